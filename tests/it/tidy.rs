//! What the sources promise about themselves: who knows of whom, and how long a file may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A source file of the server, as far as a rule may be about it.
struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Everything before the tests, which come last in a file.
    fn production(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// The lines of production code without their comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.production().lines().enumerate();
        lines.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a directory, by path.
fn sources(directory: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(directory), &mut found);
    assert!(!found.is_empty(), "{directory} holds no source");
    found.sort();
    let relative =
        |path: &Path| path.strip_prefix(root()).expect("it is below the root").to_string_lossy().into_owned();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a source is text");
    found.iter().map(|path| Source { path: relative(path), text: read(path) }).collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(directory) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    entries.map(|entry| entry.expect("it can be read").path()).collect()
}

/// The server's sources without those of its tests.
fn production() -> impl Iterator<Item = Source> {
    sources("src").into_iter().filter(|source| !source.is_test())
}

/// Fails with everything that breaks a rule, not only with the first.
#[track_caller]
fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// Words of letters, digits and underscores, each once for every time it stands there.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

/// The stock plugins: the folders of `plugins/` that become components.
fn stock_plugins() -> Vec<String> {
    let folders = entries(&root().join("plugins")).into_iter().filter(|path| path.join("manifest.toml").is_file());
    let mut names: Vec<_> = folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    names
}

/// What the manifest of a stock plugin says after `key =`, however often.
fn manifest_values(plugin: &str, key: &str) -> Vec<String> {
    let path = root().join("plugins").join(plugin).join("manifest.toml");
    let text = fs::read_to_string(path).expect("a plugin has a manifest");
    let value =
        |line: &str| Some(line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().trim_matches('"').to_owned());
    text.lines().filter_map(value).collect()
}

#[test]
fn no_request_code_is_a_number_in_the_server() {
    /// Numbers that are something else, and what.
    const SOMETHING_ELSE: [(&str, &str, &str); 4] = [
        ("src/config/suggest.rs", "100", "letters of a word"),
        ("src/json/write.rs", "100", "two decimal digits at once"),
        ("src/net/listener.rs", "100", "milliseconds"),
        ("src/config/parts/plugins.rs", "100", "lines per second"),
    ];
    let codes: BTreeSet<String> = stock_plugins().iter().flat_map(|plugin| manifest_values(plugin, "code")).collect();
    assert_eq!(codes.len(), 24, "{codes:?}");

    let mut broken = Vec::new();
    let mut needed = BTreeSet::new();
    for source in production() {
        for (at, line) in source.code() {
            for word in words(line) {
                let digits: String = word.chars().filter(|letter| *letter != '_').collect();
                if !codes.contains(&digits) {
                    continue;
                }
                match SOMETHING_ELSE.iter().find(|(path, number, _)| *path == source.path && *number == digits) {
                    Some(exception) => drop(needed.insert(exception)),
                    None => broken.push(format!("{}:{at}: {}", source.path, line.trim())),
                }
            }
        }
    }

    assert_none("what a request code means is said by a plugin's manifest alone", &broken);
    assert_eq!(needed.len(), SOMETHING_ELSE.len(), "an exception for no line");
}

#[test]
fn no_request_code_is_a_name_in_the_server() {
    let names: BTreeSet<String> = stock_plugins()
        .iter()
        .flat_map(|plugin| manifest_values(plugin, "name"))
        .filter(|name| name.contains('_') && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
        .collect();
    assert_eq!(names.len(), 24, "{names:?}");

    let mut broken = Vec::new();
    for source in production() {
        let found = source.code().filter(|(_, line)| words(line).any(|word| names.contains(word)));
        broken.extend(found.map(|(at, line)| format!("{}:{at}: {}", source.path, line.trim())));
    }

    assert_none("a table of request codes belongs to the plugins", &broken);
}

#[test]
fn every_interface_has_its_host_file_and_every_host_file_its_interface() {
    let stems = |directory: &str, extension: &str, except: &[&str]| -> BTreeSet<String> {
        let files = entries(&root().join(directory)).into_iter();
        let files = files.filter(|path| path.extension().is_some_and(|found| found == extension));
        let stems = files.filter_map(|path| Some(path.file_stem()?.to_str()?.replace('-', "_")));
        stems.filter(|stem| !except.contains(&&**stem)).collect()
    };

    // The world is no interface, and the roles are what plugins export: the host calls them.
    let interfaces = stems("wit", "wit", &["world", "glance", "processor", "route_policy"]);
    let hosts = stems("src/plugin/wasm/host", "rs", &["mod"]);

    assert_eq!(interfaces, hosts);
}

#[test]
fn files_are_short_and_lines_are_narrow() {
    const LINES_MAX: usize = 500;
    const WIDTH_MAX: usize = 120;
    let mut broken = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let length = source.production().lines().count();
        if !source.is_test() && length > LINES_MAX {
            broken.push(format!("{}: {length} lines before its tests", source.path));
        }
        let wide = source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > WIDTH_MAX);
        // What stands in a test as it stands on the wire is not cut, and rustfmt leaves macros alone.
        let wide = wide.filter(|(at, line)| !is_test_line(&source, *at) || line.trim_start().starts_with("//"));
        broken.extend(wide.map(|(at, line)| format!("{}:{}: {} wide", source.path, at + 1, line.chars().count())));
    }
    // The recorded exchanges' tests are left as they are.
    broken.retain(|line| !line.starts_with("tests/it/captures/"));

    assert_none("a file has 500 lines at most, a line 120 letters", &broken);
}

fn is_test_line(source: &Source, at: usize) -> bool {
    source.is_test() || at >= source.production().lines().count()
}

#[test]
fn the_pure_parts_know_neither_threads_of_others_nor_webassembly() {
    let mut broken = Vec::new();
    for directory in ["remoting", "route", "kv", "json", "body"] {
        for source in sources(&format!("src/{directory}")) {
            let lines = source.text.lines().enumerate();
            let found = lines.filter(|(_, line)| words(line).any(|word| ["wasmtime", "tokio"].contains(&word)));
            broken.extend(found.map(|(at, line)| format!("{}:{}: {}", source.path, at + 1, line.trim())));
        }
    }

    assert_none("the pure parts build and test without sockets and sandboxes", &broken);
}

#[test]
fn each_part_uses_only_the_parts_below_it() {
    const BELOW: [(&str, &[&str]); 5] = [
        ("json", &["json"]),
        ("route", &["route"]),
        ("kv", &["kv"]),
        ("remoting", &["remoting", "json"]),
        ("body", &["body", "json", "route"]),
    ];
    let mut broken = Vec::new();
    for (part, below) in BELOW {
        for source in sources(&format!("src/{part}")).into_iter().filter(|source| !source.is_test()) {
            for (at, line) in source.code() {
                let used = line.split("crate::").skip(1).filter_map(|rest| words(rest).next());
                let above: Vec<_> = used.filter(|used| !below.contains(used)).collect();
                if !above.is_empty() {
                    broken.push(format!("{}:{at}: {}", source.path, line.trim()));
                }
            }
        }
    }

    assert_none("a part imports nobody's vocabulary but its own and that of what it is made of", &broken);
}

#[test]
fn the_wire_knows_no_brokers_and_the_tables_know_no_wire() {
    /// What a part must not speak of, and the files that may, with the reason.
    type Rule = (&'static str, &'static [&'static str], &'static [&'static str]);
    const RULES: [Rule; 3] = [
        // The response codes carry Java's names.
        ("src/remoting", &["broker", "topic"], &["src/remoting/code.rs"]),
        ("src/route", &["json", "serde", "remoting", "requestcode", "opaque"], &[]),
        // The format of the file is JSON, and the settings of the store are read from a file.
        ("src/kv", &["json", "remoting", "requestcode", "opaque"], &["src/kv/format.rs"]),
    ];
    let mut broken = Vec::new();
    for (directory, banned, except) in RULES {
        for source in sources(directory).iter().filter(|source| !source.is_test() && !except.contains(&&*source.path)) {
            for (at, line) in source.code() {
                let line_lower = line.to_lowercase();
                // The names of files are Java's, and ours to find.
                let line_lower = line_lower.replace("kvconfig.json", "");
                if banned.iter().any(|word| line_lower.contains(word)) {
                    broken.push(format!("{}:{at}: {}", source.path, line.trim()));
                }
            }
        }
    }

    assert_none("no part speaks another's language", &broken);
}

#[test]
fn what_the_compiler_cannot_check_is_in_the_files_made_for_it() {
    const MADE_FOR_IT: [&str; 4] = [
        "src/plugin/native/",
        "plugins/native-abi/src/",
        "src/plugin/wasm/cache.rs",
        // The name of an export, in a sandbox.
        "tests/guests/slow-start/src/lib.rs",
    ];
    let mut broken = Vec::new();
    let mut needed = BTreeSet::new();
    for source in ["src", "plugins", "examples", "tests/guests", "benches"].into_iter().flat_map(sources) {
        for (at, line) in source.code().filter(|(_, line)| words(line).any(|word| word == "unsafe")) {
            match MADE_FOR_IT.iter().find(|place| source.path.starts_with(**place)) {
                Some(place) => drop(needed.insert(place)),
                None => broken.push(format!("{}:{at}: {}", source.path, line.trim())),
            }
        }
    }

    assert_none("`unsafe` is for native plugins and for loading compiled components", &broken);
    assert_eq!(needed.len(), MADE_FOR_IT.len(), "a place without any");
}

#[test]
fn every_unsafe_block_says_just_above_why_it_is_sound() {
    let mut broken = Vec::new();
    let mut blocks = 0;
    for source in ["src", "plugins", "examples", "tests/guests", "benches"].into_iter().flat_map(sources) {
        let lines: Vec<_> = source.text.lines().map(str::trim).collect();
        for (at, _) in source.code().filter(|(_, line)| line.contains("unsafe {") || line.contains("unsafe impl")) {
            blocks += 1;
            // Its own comment: the lines right above it.
            let above = lines[..at - 1].iter().rev().take_while(|line| line.starts_with("//"));
            if !above.into_iter().any(|line| line.starts_with("// SAFETY: ")) {
                broken.push(format!("{}:{at}: {}", source.path, lines[at - 1]));
            }
        }
    }

    assert_none("what the compiler cannot check is argued where it stands", &broken);
    assert!(blocks > 10, "{blocks} blocks were found");
}

#[test]
fn every_stock_plugin_has_the_same_files_and_the_same_headings() {
    let embedded = fs::read_to_string(root().join("src/plugin/stock.rs")).expect("it is there");
    let lock = fs::read_to_string(root().join("plugins/plugins.lock")).expect("it is there");
    let mut broken = Vec::new();
    for plugin in stock_plugins() {
        let folder = root().join("plugins").join(&plugin);
        let mut complain = |what: &str| broken.push(format!("plugins/{plugin}: {what}"));
        let names: BTreeSet<_> =
            entries(&folder).iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        if !names.iter().eq(["Cargo.toml", "README.md", "manifest.toml", "src"]) {
            complain(&format!("it holds {names:?}"));
        }
        if !folder.join("src/lib.rs").is_file() {
            complain("it has no src/lib.rs");
        }
        if !root().join(format!("plugins/{plugin}.wasm")).is_file() {
            complain("it was not built");
        }
        if !embedded.contains(&format!("(\"{plugin}.wasm\",")) || !lock.contains(&format!("\n[{plugin}]\n")) {
            complain("it is not embedded, or not locked");
        }
        if manifest_values(&plugin, "name").first() != Some(&plugin) {
            complain("its manifest names another");
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        // Not every plugin has settings of its own.
        let headings = readme.lines().filter(|line| line.starts_with('#') && *line != "## Settings");
        let headings: Vec<_> = headings.collect();
        let first = if manifest_values(&plugin, "code").is_empty() { "## When it runs" } else { "## Codes" };
        if headings != [&format!("# {plugin}"), first, "## Reads and writes", "## Grants", "## Against Java"] {
            complain(&format!("its README has the headings {headings:?}"));
        }
        let codes = manifest_values(&plugin, "code");
        if codes.iter().any(|code| !readme.contains(&format!("| {code} | "))) {
            complain("its README does not list its codes");
        }
    }

    assert_none("whoever knows one plugin finds their way in all", &broken);
}

#[test]
fn every_file_of_tests_belongs_to_the_binary() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).expect("it is there");
    let mut broken = Vec::new();
    for path in entries(&root().join("tests/it")) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if stem != "main" && !main.contains(&format!("mod {stem};")) {
            broken.push(path.display().to_string());
        }
    }

    assert_none("a file that nobody names is not run", &broken);
}
