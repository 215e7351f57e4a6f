//! The command line.

use crate::cases::{GROUPS, Group};
use crate::server::Kind;

/// What a run is asked for.
pub(crate) struct Options {
    pub(crate) groups: Vec<&'static Group>,
    /// Whether to be quick rather than sure.
    pub(crate) quick: bool,
    /// Of all that is random.
    pub(crate) seed: u64,
    /// Servers that are not ours.
    pub(crate) others: Vec<Kind>,
    /// Whether the tables go into the page in the tree.
    pub(crate) write_page: bool,
    arguments: Vec<String>,
}

pub(crate) enum Asked {
    Run(Options),
    /// How to ask.
    Help(String),
}

const SEED: u64 = 5;

impl Options {
    pub(crate) fn read() -> Result<Asked, String> {
        use lexopt::prelude::{Long, Short, Value, ValueExt};
        let mut options = Self {
            groups: Vec::new(),
            quick: false,
            seed: SEED,
            others: Vec::new(),
            write_page: false,
            // What `cargo bench` adds is none of ours.
            arguments: std::env::args().skip(1).filter(|argument| argument != "--bench").collect(),
        };
        let mut parser = lexopt::Parser::from_args(options.arguments.clone());
        let text = |error: lexopt::Error| error.to_string();
        while let Some(argument) = parser.next().map_err(text)? {
            match argument {
                Long("quick") => options.quick = true,
                Long("seed") => options.seed = parser.value().and_then(|value| value.parse()).map_err(text)?,
                Long("server") => {
                    options.others.push(other(&parser.value().and_then(ValueExt::string).map_err(text)?)?);
                }
                Long("write-page") => options.write_page = true,
                Long("help") | Short('h') => return Ok(Asked::Help(help())),
                Value(name) => {
                    let name = name.string().map_err(text)?;
                    let group = GROUPS.iter().find(|group| group.name == name);
                    options.groups.push(group.ok_or_else(|| format!("no cases {name:?}\n\n{}", help()))?);
                }
                argument => return Err(format!("{}\n\n{}", argument.unexpected(), help())),
            }
        }
        if options.write_page && (options.quick || !options.groups.is_empty()) {
            return Err("the page has whole runs: --write-page goes with neither --quick nor CASES".to_owned());
        }
        if options.groups.is_empty() {
            options.groups = GROUPS.iter().collect();
        }
        Ok(Asked::Run(options))
    }

    /// What was typed.
    pub(crate) fn command(&self) -> String {
        let dashes = if self.arguments.is_empty() { "" } else { " -- " };
        format!("cargo bench --bench servers{dashes}{}", self.arguments.join(" "))
    }
}

/// `NAME=COMMAND`
fn other(text: &str) -> Result<Kind, String> {
    let (name, command) = text.split_once('=').ok_or("--server takes NAME=COMMAND")?;
    if !command.contains("{port}") {
        return Err(format!("the command of {name} must say {{port}} where its port belongs"));
    }
    Ok(Kind::Other { name: name.to_owned(), command: command.to_owned() })
}

fn help() -> String {
    let mut text = "cargo bench --bench servers -- [OPTIONS] [CASES...]

  --quick                 a first impression in a fraction of the time
  --server NAME=COMMAND   another server; COMMAND has {port} for its port, and perhaps {home} for its directory
  --seed N                of all that is random
  --write-page            put the tables into benches/README.md; only with all cases

CASES, all if none is named:
"
    .to_owned();
    for group in &GROUPS {
        text += &format!("  {:14}{}\n", group.name, group.about);
    }
    text
}
