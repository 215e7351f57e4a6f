//! The command line: what `mqnamesrv` accepts, and the texts that scripts read.
//!
//! [`parse`] is pure; `main` prints and exits. A subcommand is the first word; without one, words that are no options
//! are passed over, as in Java.

#[cfg(feature = "server")]
mod completions;
#[cfg(feature = "server")]
mod control;
#[cfg(feature = "server")]
mod embedded;
#[cfg(feature = "server")]
mod files;
#[cfg(feature = "server")]
mod man;
#[cfg(feature = "server")]
mod plugin;
#[cfg(feature = "server")]
mod serve;
mod text;
#[cfg(feature = "server")]
mod words;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use lexopt::Arg;

#[cfg(feature = "server")]
pub use control::why;
#[cfg(feature = "server")]
pub use plugin::plugin;
#[cfg(feature = "server")]
pub use serve::{print_config, serve};
pub use text::{boot_success_line, config_loaded_line, print_config_items, usage};
#[cfg(feature = "server")]
pub use words::single;

/// The exit codes of Java's NameServer.
pub mod exit {
    /// Help, or the configuration, was printed.
    pub const OK: u8 = 0;
    /// The command line is wrong. Java: `ServerUtil.parseCmdLine`.
    pub const USAGE: u8 = 1;
    /// What a subcommand was asked is not so, or was refused.
    pub const NO: u8 = 1;
    /// A SIGINT came while the server was stopping.
    pub const INTERRUPTED: u8 = 130;
    /// The server could not start: a bad file, a port that is taken. Java: -1.
    pub const FATAL: u8 = 255;
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Serve, until a signal ends it.
    Serve {
        /// `-c`
        config: Option<PathBuf>,
    },
    /// Print the configuration as Java's NameServer prints its own.
    PrintConfig {
        /// `-c`
        config: Option<PathBuf>,
    },
    /// Print [`usage`] on stdout.
    Help,
    /// Do something with plugins.
    Plugin {
        /// The words after `plugin`, which say what.
        arguments: Vec<OsString>,
    },
    /// Ask a running server why a route is shown as it is.
    Why {
        /// The words after `why`, which say which.
        arguments: Vec<OsString>,
    },
    /// Print something about the program itself.
    Single {
        /// The word that says what.
        name: &'static str,
        /// The words after it.
        arguments: Vec<OsString>,
    },
}

/// The first words that are subcommands by themselves.
const SINGLE: [&str; 2] = ["completions", "man"];

/// The command line is wrong: this text belongs on stderr, [`usage`] on stdout, and the exit code is [`exit::USAGE`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Usage {
    /// The whole word, with its dashes.
    #[error("Unrecognized option: {0}")]
    Unrecognized(String),
    /// The short name of the option.
    #[error("Missing argument for option: {0}")]
    MissingArgument(char),
}

/// Reads the arguments, without the name of the program.
// Java: `ServerUtil.parseCmdLine`, and the DefaultParser of commons-cli: a long name may be cut short, and may stand
// behind one dash; of an option given twice the first counts; an error wins over -h.
pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Command, Usage> {
    let mut arguments = arguments.into_iter().map(Into::into).peekable();
    if arguments.next_if(|word| word == "plugin").is_some() {
        return Ok(Command::Plugin { arguments: arguments.collect() });
    }
    if arguments.next_if(|word| word == "why").is_some() {
        return Ok(Command::Why { arguments: arguments.collect() });
    }
    let first = arguments.peek().and_then(|word| SINGLE.into_iter().find(|single| word == single));
    if let Some(name) = first {
        return Ok(Command::Single { name, arguments: arguments.skip(1).collect() });
    }
    let mut given = Given::default();
    let mut parser = lexopt::Parser::from_args(normalized(arguments));
    let mut word = OsString::new();
    loop {
        // Between two words the next one is still whole, dashes included; within `-pn` it is the one begun.
        if let Some(next) = parser.try_raw_args().and_then(|raw| raw.peek().map(OsStr::to_owned)) {
            word = next;
        }
        match parser.next().map_err(|_| unrecognized(&word))? {
            None => break,
            Some(Arg::Value(_)) => {}
            Some(Arg::Short(short)) => given.option(short, &word, &mut parser)?,
            Some(Arg::Long(long)) => {
                let short = long_option(long).ok_or_else(|| unrecognized(&word))?;
                given.option(short, &word, &mut parser)?;
            }
        }
    }
    Ok(given.into_command())
}

#[derive(Default)]
struct Given {
    config: Option<PathBuf>,
    print: bool,
    help: bool,
}

impl Given {
    fn option(&mut self, short: char, word: &OsStr, parser: &mut lexopt::Parser) -> Result<(), Usage> {
        match short {
            'c' => {
                let file = argument(short, parser)?;
                self.config.get_or_insert_with(|| PathBuf::from(file));
            }
            'n' => drop(argument(short, parser)?),
            'p' => self.print = true,
            'h' => self.help = true,
            _ => return Err(unrecognized(word)),
        }
        Ok(())
    }

    fn into_command(self) -> Command {
        let Self { config, print, help } = self;
        match (help, print) {
            (true, _) => Command::Help,
            (false, true) => Command::PrintConfig { config },
            (false, false) => Command::Serve { config },
        }
    }
}

fn argument(short: char, parser: &mut lexopt::Parser) -> Result<OsString, Usage> {
    let is_taken = |next: &OsStr| is_option(&next.to_string_lossy());
    if parser.try_raw_args().is_some_and(|raw| raw.peek().is_some_and(is_taken)) {
        return Err(Usage::MissingArgument(short));
    }
    parser.value().map_err(|_| Usage::MissingArgument(short))
}

fn unrecognized(word: &OsStr) -> Usage {
    Usage::Unrecognized(word.to_string_lossy().into_owned())
}

/// Short and long name of every option.
const OPTIONS: [(char, &str); 4] = [('c', "configFile"), ('h', "help"), ('n', "namesrvAddr"), ('p', "printConfigItem")];

/// The option whose long name begins so. No two begin with the same letter.
fn long_option(name: &str) -> Option<char> {
    OPTIONS.iter().find(|(_, long)| !name.is_empty() && long.starts_with(name)).map(|(short, _)| *short)
}

/// Whether a word is an option rather than the argument of one.
fn is_option(word: &str) -> bool {
    let Some(name) = word.strip_prefix('-') else { return false };
    let name = name.strip_prefix('-').unwrap_or(name).split('=').next().unwrap_or_default();
    let is_short = !word.starts_with("--") && OPTIONS.iter().any(|(short, _)| name.starts_with(*short));
    word == "--" || is_short || long_option(name).is_some()
}

/// The arguments with a second dash before long names that have one only.
fn normalized(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut options_end = false;
    let normalize = |argument: OsString| {
        options_end |= argument == "--";
        let name = argument.to_str().and_then(|text| text.strip_prefix('-')).unwrap_or_default();
        let bare = name.split('=').next().unwrap_or_default();
        if options_end || name.starts_with('-') || bare.len() < 2 || long_option(bare).is_none() {
            return argument;
        }
        OsString::from(format!("--{name}"))
    };
    arguments.map(normalize).collect()
}

#[cfg(test)]
mod tests;
