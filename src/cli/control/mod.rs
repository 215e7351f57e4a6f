//! Commands for a running server: `fingerpost plugin list`, `reload`, `rollback`, `enable`, `disable`, `replay
//! --record`, and `fingerpost why`.
//!
//! The server is found by its configuration (`-c FILE`, as it was started with), or by its socket (`--socket PATH`).
//! Tables are for people; `--json` is for programs.

mod list;
mod orders;
mod record;
mod why;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser};
use serde_json::Value;

pub(super) use self::list::list;
pub(super) use self::orders::{disable, enable, reload, rollback};
pub(super) use self::record::{FOR, FORCE, MAX_SIZE, record};
pub use self::why::why;
use super::exit;
use crate::config::{self, Environment};
use crate::control::{Reply, Request, ask};

/// What every command for a server understands, and what follows it.
#[derive(Debug, Default)]
struct Given {
    config: Option<PathBuf>,
    socket: Option<PathBuf>,
    json: bool,
    /// `--client`
    client: Option<String>,
    /// `--field`
    fields: Vec<String>,
    /// What is no option.
    words: Vec<String>,
}

impl Given {
    /// Reads the rest of a command line, with so many words at least and at most.
    fn read(mut parser: Parser, (least, most): (usize, usize), explains: bool) -> Result<Self, lexopt::Error> {
        let mut given = Self::default();
        let text = |value: OsString| value.into_string().map_err(lexopt::Error::NonUnicodeValue);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Short('c') | Arg::Long("config") => given.config = Some(parser.value()?.into()),
                Arg::Long("socket") => given.socket = Some(parser.value()?.into()),
                Arg::Long("json") => given.json = true,
                Arg::Long("client") if explains => given.client = Some(text(parser.value()?)?),
                Arg::Long("field") if explains => given.fields.push(text(parser.value()?)?),
                Arg::Value(word) if given.words.len() < most => given.words.push(text(word)?),
                other => return Err(other.unexpected()),
            }
        }
        if given.words.len() < least {
            return Err(lexopt::Error::from("something is missing: a name"));
        }
        Ok(given)
    }

    /// The word that may follow.
    fn word(&self) -> Option<String> {
        self.words.first().cloned()
    }

    /// Asks the server, and shows its answer; says how it went.
    fn ask(&self, request: &Request, show: impl FnOnce(&Value) -> anyhow::Result<String>) -> anyhow::Result<u8> {
        let socket = socket_of(self.config.as_deref(), self.socket.as_deref())?;
        match ask(&socket, request)? {
            Reply::Ok(answer) if self.json => println!("{answer:#}"),
            Reply::Ok(answer) => print!("{}", show(&answer)?),
            Reply::Error(why) => {
                if self.json {
                    println!("{:#}", serde_json::json!({ "error": why }));
                } else {
                    eprintln!("fingerpost: {why}");
                }
                return Ok(exit::NO);
            }
        }
        Ok(exit::OK)
    }
}

/// Where the server of a configuration takes orders, or the one whose socket this is.
fn socket_of(config: Option<&Path>, socket: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = socket {
        return Ok(path.to_owned());
    }
    let loaded = config::load(config, &Environment::of_process())?;
    let socket = loaded.config.admin.control_socket.path().map(ToOwned::to_owned);
    socket.ok_or_else(|| anyhow::anyhow!("`admin.control-socket` is \"none\": that server takes no orders"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Given, String> {
        let parser = Parser::from_args(line.split_whitespace());
        Given::read(parser, (1, 1), true).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_is_named_by_its_configuration_or_its_socket() {
        let given = read("-c a.toml hello --socket=/s --json --client 10.0.0.1 --field a=b --field c=").unwrap();

        assert_eq!((given.config, given.socket), (Some("a.toml".into()), Some("/s".into())));
        assert_eq!((given.words, given.json), (vec!["hello".to_owned()], true));
        assert_eq!((given.client.as_deref(), given.fields), (Some("10.0.0.1"), vec!["a=b".into(), "c=".into()]));
    }

    #[test]
    fn what_is_missing_or_too_much_is_told() {
        assert!(read("").unwrap_err().contains("something is missing"));
        assert!(read("a b").unwrap_err().contains("\"b\""));
        assert!(read("a --colour").unwrap_err().contains("--colour"));
        assert!(read("a --socket").unwrap_err().contains("--socket"));
    }
}
