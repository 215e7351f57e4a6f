//! What the process inherits: the home directory and the variables that Java's NameServer reads.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variables that configuration depends on. An empty one counts as absent.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `HOME`
    pub home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`
    pub cache_home: Option<PathBuf>,
    /// `ROCKETMQ_HOME`, which 319 shows. Nothing is read from there, so it may be absent.
    pub rocketmq_home: Option<String>,
    /// `NAMESRV_ADDR`: the name servers that cluster-test mode asks when the file names none.
    pub name_servers: Option<String>,
    /// The properties file about TLS that is read when nothing else is said, if it exists. Not a variable: Java's name
    /// for it is fixed.
    pub tls_properties: Option<PathBuf>,
}

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            home: variable("HOME").map(PathBuf::from),
            cache_home: variable("XDG_CACHE_HOME").map(PathBuf::from),
            rocketmq_home: text("ROCKETMQ_HOME"),
            name_servers: text("NAMESRV_ADDR"),
            // Java: `tls.config.file`.
            tls_properties: Some(PathBuf::from("/etc/rocketmq/tls.properties")),
        }
    }

    /// `path` with a leading `~` replaced by the home directory, or by the current one when there is no home.
    pub(super) fn expand(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) => self.home.as_deref().unwrap_or(Path::new(".")).join(rest),
            Err(_) => path.to_owned(),
        }
    }

    /// Where compiled components go when the operator names no place.
    pub(crate) fn cache_dir(&self) -> Option<PathBuf> {
        // The XDG specification has relative paths ignored.
        let base = self.cache_home.clone().filter(|path| path.is_absolute());
        base.or_else(|| self.home.as_ref().map(|home| home.join(".cache"))).map(|base| base.join("fingerpost"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_home_the_current_directory_is_home_and_nothing_is_cached() {
        let nobody = Environment::default();

        assert_eq!(nobody.expand(Path::new("~/namesrv/kvConfig.json")), Path::new("./namesrv/kvConfig.json"));
        assert_eq!(nobody.cache_dir(), None);
    }

    #[test]
    fn only_a_whole_leading_tilde_is_the_home() {
        let env = Environment { home: Some("/home/ann".into()), ..Environment::default() };

        assert_eq!(env.expand(Path::new("~/x")), Path::new("/home/ann/x"));
        assert_eq!(env.expand(Path::new("~bob/x")), Path::new("~bob/x"));
        assert_eq!(env.cache_dir().unwrap(), Path::new("/home/ann/.cache/fingerpost"));
    }
}
