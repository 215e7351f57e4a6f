//! What is wrong with a configuration, and what is only worth a word.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::properties::PropertiesError;

/// Why there is no configuration. The text names the file, the line and, where one is near, the key that was meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// A properties file that Java cannot read either.
    #[error("{}:{}: {source}", path.display(), source.line)]
    Properties {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: PropertiesError,
    },
    /// The file can be read, and says something that cannot be.
    #[error("{}", listed(path.as_ref(), problems))]
    Invalid {
        /// Which file; none when the trouble comes from the environment.
        path: Option<PathBuf>,
        /// Everything that is wrong, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// Where, when it is in the file.
    pub line: Option<usize>,
    /// What.
    pub text: String,
}

fn listed(path: Option<&PathBuf>, problems: &[Problem]) -> String {
    let file = path.map_or_else(|| "configuration".into(), |path| path.to_string_lossy());
    let one = |problem: &Problem| match problem.line {
        Some(line) => format!("{file}:{line}: {}", problem.text),
        None => format!("{file}: {}", problem.text),
    };
    problems.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Something the operator should know about a configuration that was accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// Which file.
    pub path: PathBuf,
    /// Where in it.
    pub line: usize,
    /// What.
    pub text: String,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// As intended, but perhaps not as expected.
    Info,
    /// Something that was written does not count.
    Warning,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}
