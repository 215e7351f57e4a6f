//! `fingerpost plugin VERB …`: what authors and operators do with plugins.
//!
//! A verb is a row of [`VERBS`] and a file of its own. It reads the rest of the command line by itself, prints what it
//! has to say on standard output, and says how it went: [`exit::OK`], or [`exit::NO`] when it ran and the answer is no.
//!
//! What needs no server works on a [workbench](crate::workbench): the very server, without its sockets.

mod bench;
pub(crate) mod cases;
mod check;
mod conformance;
mod inspect;
mod new;
mod replay;
mod subject;
mod test;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;

use lexopt::{Arg, Parser};

use super::words::{Given, Opt, Verb, switch, value};
use super::{control, exit};
use crate::config::{self, Config, Environment, nearest};

/// Everything that can be done, in the order of the help.
pub(crate) const VERBS: &[Verb] = &[
    Verb {
        name: "new",
        arguments: "NAME",
        about: "Write a plugin to begin with, into a new directory",
        more: "The directory holds all that it needs: the contract, test cases, a README, and ./build, which makes the \
               component, or says which tool is missing. NAME is lower-case letters, digits and dashes.",
        options: new::OPTIONS,
        run: new::run,
    },
    Verb {
        name: "check",
        arguments: "FILE...",
        about: "Say whether a server would use a component, and what to do if not",
        more: "Loads it as the server does: size, imports by name, manifest, request codes, grants. One line for each \
               finding. The exit code is 1 when a server would not use it. A native library is loaded only if the \
               configuration of --config names it, as by a server.",
        options: check::OPTIONS,
        run: check::run,
    },
    Verb {
        name: "inspect",
        arguments: "FILE",
        about: "Show what a component is: manifest, request codes, imports and exports as WIT",
        more: "The WIT is read from the component's types, so it has no comments. A native library is loaded only if \
               the configuration of --config names it.",
        options: inspect::OPTIONS,
        run: inspect::run,
    },
    Verb {
        name: "test",
        arguments: "FILE",
        about: "Ask a component the requests of case files, and compare the answers",
        more: "No server runs and no socket is opened. The exit code is 1 when a case fails; what differs is shown.",
        options: test::OPTIONS,
        run: test::run,
    },
    Verb {
        name: "bench",
        arguments: "FILE",
        about: "Measure what the requests of case files cost: time, host calls, fuel, memory",
        more: "Each case is set up once; its last request is then asked again and again. The time is that of the whole \
               answer, from the frame of the request to the frame of the reply, on one thread.",
        options: bench::OPTIONS,
        run: bench::run,
    },
    Verb {
        name: "replay",
        arguments: "[RECORD.toml]",
        about: "Ask a candidate what a record has, and show what it answers otherwise; or make a record",
        more: "With --against: the record is a file of cases; what it expects does not count. Each request is asked of \
               the candidate, and of what is in use without it. The exit code is 1 when an answer differs. With \
               --record: what a running server is asked from now on is written into FILE, without what was signed, \
               after what its tables and its KV store hold. The server is found by its configuration (-c FILE, as it \
               was started with), or by its socket.",
        options: replay::OPTIONS,
        run: replay::run,
    },
    Verb {
        name: "list",
        arguments: "",
        about: "Show the plugins of a running server, and what is wrong with them",
        more: OF_A_SERVER,
        options: &[SOCKET, OF_CONFIG, JSON],
        run: control::list,
    },
    Verb {
        name: "reload",
        arguments: "[NAME]",
        about: "Have a running server read the files now; that of NAME also if it was rolled back",
        more: OF_A_SERVER,
        options: &[SOCKET, OF_CONFIG, JSON],
        run: control::reload,
    },
    Verb {
        name: "rollback",
        arguments: "NAME",
        about: "Have it use what was in use of a plugin's file before, until told otherwise",
        more: OF_A_SERVER,
        options: &[SOCKET, OF_CONFIG, JSON],
        run: control::rollback,
    },
    Verb {
        name: "enable",
        arguments: "NAME",
        about: "Take back what was said last: `disable`, or else `rollback`",
        more: OF_A_SERVER,
        options: &[SOCKET, OF_CONFIG, JSON],
        run: control::enable,
    },
    Verb {
        name: "disable",
        arguments: "NAME",
        about: "Have it use a plugin no more",
        more: OF_A_SERVER,
        options: &[SOCKET, OF_CONFIG, JSON],
        run: control::disable,
    },
    Verb { name: "help", arguments: "[VERB]", about: "Show what there is to do", more: "", options: &[], run: help },
];

/// How a command finds its server.
pub(crate) const OF_A_SERVER: &str =
    "The server is found by its configuration (-c FILE, as it was started with), or by its socket.";

pub(crate) const SOCKET: Opt = value("socket", "PATH", "the control socket of the server");
pub(crate) const OF_CONFIG: Opt = value("config", "FILE", "the configuration of the server, also as -c FILE");
pub(crate) const JSON: Opt = switch("json", "print JSON, for programs");
const CASE: Opt = value("case", "CASES.toml", "a file of cases, or a directory of such files; may be given again");
const FILTER: Opt = value("filter", "TEXT", "only cases that have this in their names");

/// Does what the words after `plugin` say, and returns the exit code.
///
/// # Errors
/// When it could not even be tried: a file that cannot be read, a server that is not there.
pub fn plugin(arguments: Vec<OsString>) -> anyhow::Result<u8> {
    let mut words = arguments.into_iter();
    let Some(word) = words.next() else {
        print(&overview());
        return Ok(exit::USAGE);
    };
    let word = word.to_string_lossy();
    if matches!(&*word, "-h" | "--help") {
        print(&overview());
        return Ok(exit::OK);
    }
    match find(&word) {
        Ok(verb) => verb.start("plugin", words.collect()),
        Err(wrong) => {
            eprintln!("{wrong}");
            Ok(exit::USAGE)
        }
    }
}

fn help(mut words: Parser) -> anyhow::Result<u8> {
    match words.next()? {
        None => print(&overview()),
        Some(Arg::Value(name)) => match find(&name.to_string_lossy()) {
            Ok(verb) => print(&verb.help("plugin")),
            Err(wrong) => {
                eprintln!("{wrong}");
                return Ok(exit::USAGE);
            }
        },
        Some(other) => return Err(other.unexpected().into()),
    }
    Ok(exit::OK)
}

/// The verb of a name, or what to say when there is none.
fn find(name: &str) -> Result<&'static Verb, String> {
    VERBS.iter().find(|verb| verb.name == name).ok_or_else(|| {
        let near = nearest(name, VERBS.iter().map(|verb| verb.name));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("fingerpost plugin: there is no `{}`{hint}\n{}", name.escape_debug(), overview())
    })
}

/// Every verb with what it does.
fn overview() -> String {
    let left = |verb: &Verb| format!("{} {}", verb.name, verb.arguments);
    let width = VERBS.iter().map(|verb| left(verb).len()).max().unwrap_or_default();
    let rows = VERBS.iter().map(|verb| format!("\n  {:width$}  {}", left(verb), verb.about));
    format!("usage: fingerpost plugin VERB …{}\n  VERB --help tells more.", rows.collect::<String>())
}

/// The configuration of the server that the option `--config` names; without it, what a server has without a file.
fn configuration(given: &Given) -> Result<Config, String> {
    let Some(path) = given.value("config") else { return Ok(Config::default()) };
    let loaded = config::load(Some(Path::new(path)), &Environment::of_process());
    loaded.map(|loaded| loaded.config).map_err(|error| error.to_string())
}

/// Prints a result, and the end of its last line. A reader that has gone away wants no more of it.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// A line that the next one replaces, while something takes long; only for people.
pub(crate) fn progress(text: &str) {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_the_overview_and_one_that_there_is_not_gets_it() {
        assert!(VERBS.iter().all(|verb| overview().contains(&format!("\n  {} ", verb.name))), "{}", overview());

        let wrong = find("hepl").map(|verb| verb.name).unwrap_err();
        assert!(wrong.contains("no `hepl`; did you mean `help`?") && wrong.ends_with(&overview()), "{wrong}");
    }

    #[test]
    fn words_that_a_verb_does_not_know_are_an_error_of_usage() {
        let run = |line: &str| plugin(line.split_whitespace().map(OsString::from).collect()).unwrap();

        assert_eq!((run("help"), run("help help"), run("-h")), (exit::OK, exit::OK, exit::OK));
        assert_eq!((run(""), run("hepl"), run("help --loud"), run("help hepl")), (1, 1, 1, 1));
    }
}
