//! What the command line says.

use fingerpost::clock::{Clock, SystemClock};

pub(crate) const USAGE: &str = "\
usage: tests/differential/run [OPTIONS]
  --ci               20,000 operations: three seeds that never change, and one that is new each time
  --seed N           this seed (may be given more than once; default 1)
  --seeds FROM..TO   these seeds
  --operations N     so many operations of each seed (default 5000)
  --sequence N       only this sequence of each seed
  --memo on|off      whether Fingerpost remembers replies (default on)
env:
  FINGERPOST_INTEROP_CACHE     where the RocketMQ jars are or go, as for tests/interop/run
  FINGERPOST_DIFFERENTIAL_LOG  a file for what the JVM prints
  CI=true                      fail, and do not skip, without Java";

/// A run.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) seeds: Vec<u64>,
    /// Of each seed.
    pub(crate) operations: usize,
    pub(crate) sequence: Option<u64>,
    /// Whether our side remembers replies.
    pub(crate) memo: bool,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { seeds: Vec::new(), operations: 5000, sequence: None, memo: true };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--ci" => options.seeds.extend([1, 2, 3, new_seed()]),
                "--seed" => options.seeds.push(number(&value()?)?),
                "--seeds" => {
                    let range = value()?;
                    let (from, to) = range.split_once("..").ok_or_else(|| format!("{range} is not FROM..TO"))?;
                    options.seeds.extend(number::<u64>(from)?..number(to)?);
                }
                "--operations" => options.operations = number(&value()?)?,
                "--sequence" => options.sequence = Some(number(&value()?)?),
                "--memo" => match value()?.as_str() {
                    "on" => options.memo = true,
                    "off" => options.memo = false,
                    other => return Err(format!("--memo is on or off, not {other}")),
                },
                // What `cargo test` passes on.
                "--nocapture" => {}
                _ => return Err(format!("{arg} is no option")),
            }
        }
        if options.seeds.is_empty() {
            options.seeds.push(1);
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// Another one every millisecond.
fn new_seed() -> u64 {
    SystemClock::default().now()
}
