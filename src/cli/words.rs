//! The subcommands: what each takes, what `--help` says, what shells complete and what the man page has. One table.
//!
//! The server itself takes no word (see [`super::parse`]); a subcommand is the first word, and of those about plugins a
//! verb is the second.

use std::ffi::OsString;
use std::fmt::Write as _;

use lexopt::{Arg, Parser};

use super::plugin::{JSON, OF_A_SERVER, OF_CONFIG, SOCKET, VERBS};
use super::{completions, control, exit, man};
use crate::config::nearest;

/// Something that can be done.
#[derive(Debug)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// What follows it, as the help shows it.
    pub(crate) arguments: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    /// The rest, in sentences.
    pub(crate) more: &'static str,
    /// Its options, beside `--help`.
    pub(crate) options: &'static [Opt],
    pub(crate) run: fn(Parser) -> anyhow::Result<u8>,
}

/// One option.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Without dashes.
    pub(crate) name: &'static str,
    /// What its value is called; none for a switch.
    pub(crate) value: Option<&'static str>,
    pub(crate) about: &'static str,
    /// What the value can be, where that is a short list.
    pub(crate) choices: &'static [&'static str],
}

/// An option without a value.
pub(crate) const fn switch(name: &'static str, about: &'static str) -> Opt {
    Opt { name, value: None, about, choices: &[] }
}

/// An option with a value.
pub(crate) const fn value(name: &'static str, value: &'static str, about: &'static str) -> Opt {
    Opt { name, value: Some(value), about, choices: &[] }
}

/// An option whose value is one of a few.
pub(crate) const fn choice(
    name: &'static str,
    value: &'static str,
    choices: &'static [&'static str],
    about: &'static str,
) -> Opt {
    Opt { name, value: Some(value), about, choices }
}

/// The subcommands that are a single word.
pub(crate) const SINGLE: &[Verb] = &[
    Verb {
        name: "why",
        arguments: "TOPIC",
        about: "Show who answers a lookup of a running server, and the route before and after each policy",
        more: OF_A_SERVER,
        options: &[
            value("client", "ADDRESS", "who asks; this decides which brokers some policies show"),
            value("field", "NAME=VALUE", "a field of the request; may be given again"),
            SOCKET,
            OF_CONFIG,
            JSON,
        ],
        run: why,
    },
    Verb {
        name: "completions",
        arguments: "SHELL",
        about: "Print the completions of a shell: bash, zsh or fish",
        more: "For example: fingerpost completions bash > /usr/share/bash-completion/completions/fingerpost",
        options: &[],
        run: completions::run,
    },
    Verb {
        name: "man",
        arguments: "",
        about: "Print the manual page",
        more: "For example: fingerpost man > /usr/share/man/man1/fingerpost.1",
        options: &[],
        run: man::run,
    },
];

fn why(mut words: Parser) -> anyhow::Result<u8> {
    control::why(words.raw_args()?.collect())
}

/// Every subcommand with its whole name.
pub(crate) fn all() -> impl Iterator<Item = (String, &'static Verb)> + Clone {
    let verbs = VERBS.iter().map(|verb| (format!("plugin {}", verb.name), verb));
    verbs.chain(SINGLE.iter().map(|verb| (verb.name.to_owned(), verb)))
}

/// Runs a subcommand of a single word, and returns the exit code.
///
/// # Errors
/// When it could not even be tried.
pub fn single(name: &str, arguments: Vec<OsString>) -> anyhow::Result<u8> {
    match SINGLE.iter().find(|verb| verb.name == name) {
        Some(verb) => verb.start("", arguments),
        None => Err(anyhow::anyhow!("there is no command {name:?}")),
    }
}

impl Verb {
    /// Runs it, or prints its help when that is what the arguments ask for. `group` is the word before it.
    pub(crate) fn start(&self, group: &str, arguments: Vec<OsString>) -> anyhow::Result<u8> {
        let mut options = arguments.iter().take_while(|word| *word != "--");
        if options.any(|word| word == "--help" || word == "-h") {
            super::plugin::print(&self.help(group));
            return Ok(exit::OK);
        }
        (self.run)(Parser::from_args(arguments)).or_else(|error| match error.downcast::<lexopt::Error>() {
            Ok(wrong) => {
                let name = [group, self.name].join(" ");
                eprintln!("fingerpost {}: {wrong}\n{}", name.trim(), self.usage(group));
                Ok(exit::USAGE)
            }
            Err(error) => Err(error),
        })
    }

    /// The line that shows how it is called.
    pub(crate) fn usage(&self, group: &str) -> String {
        let options = if self.options.is_empty() { "" } else { "[OPTIONS]" };
        let words = ["usage: fingerpost", group, self.name, self.arguments, options];
        words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
    }

    /// All that there is to say about it.
    pub(crate) fn help(&self, group: &str) -> String {
        let mut text = format!("{}.\n\n{}\n\n{}\n", self.about, self.usage(group), self.more);
        let width = self.options.iter().map(|option| option.usage().len()).max().unwrap_or_default();
        for option in self.options {
            let choices = match option.choices {
                [] => String::new(),
                choices => format!(" ({})", choices.join(", ")),
            };
            write!(text, "\n  {:width$}  {}{choices}", option.usage(), option.about)
                .expect("a string takes what is written");
        }
        text.trim_end().to_owned()
    }
}

impl Opt {
    /// `--case CASES.toml`
    pub(crate) fn usage(&self) -> String {
        match self.value {
            None => format!("--{}", self.name),
            Some(value) => format!("--{} {value}", self.name),
        }
    }
}

/// What a command line said after its verb.
#[derive(Debug)]
pub(crate) struct Given {
    options: Vec<(&'static str, OsString)>,
    /// What is no option, in order.
    pub(crate) arguments: Vec<OsString>,
}

impl Given {
    /// Reads the rest of a command line: these options, and between so many arguments.
    pub(crate) fn read(
        mut parser: Parser,
        options: &'static [Opt],
        (least, most): (usize, usize),
    ) -> Result<Self, lexopt::Error> {
        let wrong = |text: String| Err(lexopt::Error::from(text));
        let mut given = Self { options: Vec::new(), arguments: Vec::new() };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(value) => given.arguments.push(value),
                Arg::Short('c') if options.iter().any(|option| option.name == OF_CONFIG.name) => {
                    given.options.push((OF_CONFIG.name, parser.value()?));
                }
                Arg::Short(short) => return wrong(format!("there is no option -{short}")),
                Arg::Long(name) => {
                    let Some(option) = options.iter().find(|option| option.name == name) else {
                        let near = nearest(name, options.iter().map(|option| option.name));
                        let hint = near.map_or_else(String::new, |near| format!("; did you mean --{near}?"));
                        return wrong(format!("there is no option --{name}{hint}"));
                    };
                    let value = if option.value.is_some() { parser.value()? } else { OsString::new() };
                    if !option.choices.is_empty() && !option.choices.iter().any(|choice| value == *choice) {
                        return wrong(format!("--{} is one of: {}", option.name, option.choices.join(", ")));
                    }
                    given.options.push((option.name, value));
                }
            }
        }
        if given.arguments.len() < least {
            return wrong("something is missing".to_owned());
        }
        if let Some(surplus) = given.arguments.get(most) {
            return wrong(format!("this is too much: {}", surplus.to_string_lossy()));
        }
        Ok(given)
    }

    /// Whether a switch was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(known, _)| *known == name)
    }

    /// The value of an option; the last one counts.
    pub(crate) fn value(&self, name: &str) -> Option<&OsString> {
        self.options.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Every value of an option, in order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &OsString> {
        self.options.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The value of an option as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| value.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[Opt] =
        &[value("case", "FILE", "cases"), switch("json", "JSON"), choice("lang", "LANGUAGE", &["rust", "c"], "which")];

    fn read(line: &str) -> Result<Given, String> {
        let words = line.split_whitespace().map(OsString::from);
        Given::read(Parser::from_args(words), OPTIONS, (1, 1)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_and_arguments_come_in_any_order() {
        let given = read("--case x.toml a.wasm --json --case=y").unwrap();

        assert_eq!(given.arguments, ["a.wasm"]);
        assert!(given.has("json") && !given.has("lang"));
        assert_eq!(given.values("case").collect::<Vec<_>>(), ["x.toml", "y"]);
        assert_eq!(given.text("case").as_deref(), Some("y"));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_probably_meant() {
        for (line, told) in [
            ("a --cse x", "did you mean --case?"),
            ("a -x", "no option -x"),
            ("a --lang cobol", "one of: rust, c"),
            ("a --case", "missing argument"),
            ("--json", "something is missing"),
            ("a b", "too much: b"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_of_each_subcommand_has_all_that_it_takes() {
        for (name, verb) in all() {
            let group = name.rsplit_once(' ').map_or("", |(group, _)| group);
            let help = verb.help(group);
            assert!(help.contains(&format!("fingerpost {name}")) && help.contains(verb.about), "{help}");
            assert!(verb.options.iter().all(|option| help.contains(&option.usage())), "{help}");
        }
    }
}
