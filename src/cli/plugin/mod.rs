//! `fingerpost plugin VERB …`: what authors and operators do with plugins.
//!
//! A verb is a row of [`VERBS`] and a file of its own. It reads the rest of the command line by itself, prints what it
//! has to say on standard output, and says how it went: [`exit::OK`], or [`exit::NO`] when it ran and the answer is no.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::{control, exit};
use crate::config::nearest;

/// Something that can be done with plugins.
struct Verb {
    name: &'static str,
    /// What follows it, as the help shows it.
    arguments: &'static str,
    /// What it does, in one line.
    about: &'static str,
    run: fn(Parser) -> anyhow::Result<u8>,
}

/// Everything that can be done, in the order of the help.
const VERBS: &[Verb] = &[
    Verb {
        name: "list",
        arguments: "[--json] [-c FILE | --socket PATH]",
        about: "Show the plugins of a running server, and what is wrong with them",
        run: control::list,
    },
    Verb {
        name: "reload",
        arguments: "[NAME] …",
        about: "Have it read the files now; that of NAME also if it was rolled back",
        run: control::reload,
    },
    Verb {
        name: "rollback",
        arguments: "NAME …",
        about: "Have it use what was in use of a plugin's file before, until told otherwise",
        run: control::rollback,
    },
    Verb {
        name: "enable",
        arguments: "NAME …",
        about: "Take back what was said last: `disable`, or else `rollback`",
        run: control::enable,
    },
    Verb { name: "disable", arguments: "NAME …", about: "Have it use a plugin no more", run: control::disable },
    Verb { name: "help", arguments: "[VERB]", about: "Show what there is to do", run: help },
];

/// Does what the words after `plugin` say, and returns the exit code.
///
/// # Errors
/// When it could not even be tried: a file that cannot be read, a server that is not there.
pub fn plugin(arguments: Vec<OsString>) -> anyhow::Result<u8> {
    let mut words = arguments.into_iter();
    let Some(word) = words.next() else {
        print!("{}", overview());
        return Ok(exit::USAGE);
    };
    let word = word.to_string_lossy();
    if matches!(&*word, "-h" | "--help") {
        print!("{}", overview());
        return Ok(exit::OK);
    }
    let verb = match find(&word) {
        Ok(verb) => verb,
        Err(wrong) => {
            eprintln!("{wrong}");
            return Ok(exit::USAGE);
        }
    };
    (verb.run)(Parser::from_args(words)).or_else(|error| match error.downcast::<lexopt::Error>() {
        Ok(wrong) => {
            eprintln!("fingerpost plugin {}: {wrong}\n{}", verb.name, verb.usage());
            Ok(exit::USAGE)
        }
        Err(error) => Err(error),
    })
}

fn help(mut words: Parser) -> anyhow::Result<u8> {
    match words.next()? {
        None => print!("{}", overview()),
        Some(Arg::Value(name)) => match find(&name.to_string_lossy()) {
            Ok(verb) => println!("{}\n{}", verb.usage(), verb.about),
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
    let rows = VERBS.iter().map(|verb| format!("  {:width$}  {}\n", left(verb), verb.about));
    format!("usage: fingerpost plugin VERB …\n{}", rows.collect::<String>())
}

impl Verb {
    fn usage(&self) -> String {
        format!("usage: fingerpost plugin {} {}", self.name, self.arguments)
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
