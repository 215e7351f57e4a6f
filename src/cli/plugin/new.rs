//! `plugin new`: writes a plugin to begin with, with all that it takes to build and test it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lexopt::Parser;

use super::print;
use crate::cli::words::{Given, Opt, choice};
use crate::cli::{embedded, exit};

/// What a plugin can be written in.
const LANGUAGES: &[&str] = &["rust", "c", "js", "python"];

const KINDS: &[&str] = &["processor", "policy"];

/// As the server has it.
const NAME_MAX: usize = 64;

/// What it takes beside a name.
pub(super) const OPTIONS: &[Opt] = &[
    choice("lang", "LANGUAGE", LANGUAGES, "what it is written in; rust if nothing is said"),
    choice("kind", "KIND", KINDS, "what it is; a processor if nothing is said"),
];

pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, OPTIONS, (1, 1))?;
    let dir = PathBuf::from(&given.arguments[0]);
    let language = given.text("lang").unwrap_or_else(|| "rust".to_owned());
    let kind = given.text("kind").unwrap_or_else(|| "processor".to_owned());
    let project = Project::new(&dir, &language, &kind).map_err(anyhow::Error::msg)?;
    project.write(&dir).map_err(|error| anyhow::anyhow!("{}: {error}", dir.display()))?;
    let (dir, name) = (dir.display(), &project.name);
    print(&format!(
        "{dir}: a {kind} in {language}. What comes next:\n\n    \
             cd {dir}\n    \
             ./build                                          # makes {name}.wasm, or says which tool is missing\n    \
             fingerpost plugin test {name}.wasm --case cases.toml\n    \
             cp {name}.wasm /path/to/plugins/                 # a running server uses it within two seconds\n\n\
         README.md tells what is where."
    ));
    Ok(exit::OK)
}

/// The files of a new plugin.
struct Project {
    name: String,
    /// With their paths below its directory.
    files: Vec<(String, String)>,
}

impl Project {
    /// A plugin that is called as its directory; the error says what to do instead.
    fn new(dir: &Path, language: &str, kind: &str) -> Result<Self, String> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        let begins_well = name.starts_with(|letter: char| letter.is_ascii_lowercase());
        if !begins_well || name.len() > NAME_MAX || !name.chars().all(plain) || name.ends_with('-') {
            return Err(format!(
                "{name:?} is no name of a plugin: it is lower-case letters, digits and dashes, up to {NAME_MAX}, and \
                 begins with a letter"
            ));
        }
        let own = embedded::files(&format!("templates/{language}/{kind}"));
        if own.is_empty() {
            let has = |language: &&&str| !embedded::files(&format!("templates/{language}/{kind}")).is_empty();
            let others: Vec<_> = LANGUAGES.iter().filter(has).copied().collect();
            return Err(format!("there is no template of a {kind} in {language}; there is in {}", others.join(", ")));
        }
        let words = [
            ("@NAME@", name.clone()),
            ("@SNAKE@", name.replace('-', "_")),
            ("@PASCAL@", pascal(&name)),
            ("@UPPER@", name.replace('-', "_").to_uppercase()),
            ("@KIND@", kind.to_owned()),
        ];
        let filled = |text: &str| words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value));
        let common = embedded::files(&format!("templates/{language}/common"));
        let mut files: Vec<_> =
            common.into_iter().chain(own).map(|(path, text)| (filled(path), filled(text))).collect();
        let copied = |group: &str, into: &str| -> Vec<(String, String)> {
            let copy = |(path, text): (&str, &str)| (format!("{into}/{path}"), text.to_owned());
            embedded::files(group).into_iter().map(copy).collect()
        };
        files.extend(copied("wit", "wit"));
        if language == "rust" {
            files.extend(copied("sdk", "crates/fingerpost-sdk"));
        }
        Ok(Self { name, files })
    }

    /// Writes the files into a directory that is not there yet, or is empty.
    fn write(&self, dir: &Path) -> io::Result<()> {
        match fs::read_dir(dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(io::Error::other("it is there already, and is not empty; choose another name"));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for (path, text) in &self.files {
            let path = dir.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, text)?;
            if text.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }
}

/// `my-plugin` as a type: `MyPlugin`.
fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split('-').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_type() {
        assert_eq!(["a", "my-plugin", "a-2b-c"].map(pascal), ["A", "MyPlugin", "A2bC"]);
    }

    #[test]
    fn no_word_of_a_template_is_left_as_it_was() {
        for kind in KINDS {
            for language in LANGUAGES {
                let Ok(project) = Project::new(Path::new("x/my-plugin"), language, kind) else { continue };
                for (path, text) in &project.files {
                    for word in ["@NAME@", "@SNAKE@", "@PASCAL@", "@UPPER@", "@KIND@"] {
                        assert!(!path.contains(word) && !text.contains(word), "{language} {kind}: {path} has {word}");
                    }
                }
                for needed in ["build", "cases.toml", "README.md", "wit/world.wit"] {
                    assert!(project.files.iter().any(|(path, _)| path == needed), "{language} {kind}: {needed}");
                }
            }
        }
        assert!(Project::new(Path::new("my-plugin"), "rust", "processor").is_ok());
    }
}
