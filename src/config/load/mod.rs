//! Reading a configuration file, checking it, and adding what the environment and the overlay say.

mod java_file;
mod tls_file;
mod toml_file;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::java::{self, Extras};
use super::overlay::Overlay;
use super::{
    Config, ConfigError, Environment, HostPort, Notice, Place, Problem, Severity, TlsConfig, check, properties,
};

/// No configuration is larger; whatever is, was named by mistake.
const FILE_SIZE_MAX: u64 = 4 << 20;

const OVERLAY_NAME: &str = "fingerpost-overlay.properties";

const STATE_NAME: &str = "fingerpost-plugins";

const CONTROL_NAME: &str = "control.sock";

/// A configuration, and what else its files say.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, checked, with the overlay applied and every path final.
    pub config: Config,
    /// Java's view of the rest, for request 319.
    pub extras: Extras,
    /// What was changed at run time before, and where changes are kept.
    pub overlay: Overlay,
    /// What should be logged.
    pub notices: Vec<Notice>,
}

impl Loaded {
    /// What `-p` prints: `key=value` of Java's three configuration objects, in Java's order.
    pub fn items(&self) -> Vec<(&'static str, String)> {
        java::fields(&self.config, &self.extras)
    }
}

/// Reads the configuration: TOML when `path` ends in `.toml`, else a Java properties file; the defaults without one.
pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
    let mut draft = match path {
        None => Draft::new(Config::default()),
        Some(path) if path.extension().is_some_and(|extension| extension == "toml") => toml_file::read(path)?,
        Some(path) => java_file::read(path, environment)?,
    };
    draft.settle(environment);
    tls_file::read(path, environment, &mut draft)?;
    let mut problems = draft.problems(path);
    if draft.overlay_would_replace(path) {
        let text = "`settings.overlay-path` is this file, which is never written".to_owned();
        problems.push(Problem { line: draft.line_of("settings.overlay-path"), text });
    }
    if !problems.is_empty() {
        problems.sort();
        return Err(ConfigError::Invalid { path: path.map(Path::to_owned), problems });
    }
    draft.finish(path, environment)
}

/// A configuration that has been read, but neither completed nor checked.
struct Draft {
    config: Config,
    extras: Extras,
    notices: Vec<Notice>,
    /// The lines of our keys, for complaints about them.
    lines: Vec<(String, usize)>,
    /// Keys about which a complaint is a warning only: Java starts with such a file.
    forgiven: &'static [&'static str],
}

impl Draft {
    fn new(config: Config) -> Self {
        Self { config, extras: Extras::default(), notices: Vec::new(), lines: Vec::new(), forgiven: &[] }
    }

    fn line_of(&self, key: &str) -> Option<usize> {
        self.lines.iter().find(|(known, _)| known == key).map(|(_, line)| *line)
    }

    /// Decides everything that was left to the server.
    fn settle(&mut self, environment: &Environment) {
        expand_home(&mut self.config, environment);
        let config = &mut self.config;
        if config.settings.overlay_path == Place::Auto {
            // Beside the KV file, and not in the home: two servers of one user have two KV files.
            config.settings.overlay_path = Place::At(config.kv.path.with_file_name(OVERLAY_NAME));
        }
        if config.plugins.state_dir == Place::Auto {
            config.plugins.state_dir = Place::At(config.kv.path.with_file_name(STATE_NAME));
        }
        if config.admin.control_socket == Place::Auto {
            let dir = config.plugins.state_dir.path();
            config.admin.control_socket = dir.map_or(Place::None, |dir| Place::At(dir.join(CONTROL_NAME)));
        }
        if config.plugins.cache_dir == Place::Auto {
            config.plugins.cache_dir = environment.cache_dir().map_or(Place::None, Place::At);
        }
        if let (true, Some(list)) = (config.cluster_test.name_servers.is_empty(), &environment.name_servers) {
            // The variable is every RocketMQ program's, so what is wrong with it matters only where it is used.
            config.cluster_test.name_servers = HostPort::list(list).unwrap_or_default();
        }
    }

    fn problems(&mut self, path: Option<&Path>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, text) in check::complaints(&self.config) {
            match (self.line_of(&key), path) {
                (Some(line), Some(path)) if self.forgiven.contains(&key.as_str()) => {
                    let path = path.to_owned();
                    self.notices.push(Notice { severity: Severity::Warning, path, line, text });
                }
                (line, _) => problems.push(Problem { line, text }),
            }
        }
        problems
    }

    fn overlay_would_replace(&self, file: Option<&Path>) -> bool {
        let (Some(overlay), Some(file)) = (self.config.settings.overlay_path.path(), file) else { return false };
        overlay == file || matches!((overlay.canonicalize(), file.canonicalize()), (Ok(a), Ok(b)) if a == b)
    }

    /// Adds the overlay, and what Java shows although nothing here depends on it.
    fn finish(mut self, path: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
        // Java: `NamesrvStartup.parseCommandlineAndConfigFile` sets it to the argument of -c, as it was written.
        let default_store = || environment.expand(Path::new("~/namesrv/namesrv.properties"));
        let store = path.map_or_else(default_store, Path::to_owned).to_string_lossy().into_owned();
        self.extras.0.insert("configStorePath".to_owned(), store);
        if let Some(home) = &environment.rocketmq_home {
            self.extras.0.entry("rocketmqHome".to_owned()).or_insert_with(|| home.clone());
        }

        let mut overlay =
            Overlay { path: self.config.settings.overlay_path.path().map(Path::to_owned), ..Overlay::default() };
        if let Some(path) = overlay.path.clone() {
            match read_file(&path) {
                Ok(file) => {
                    let entries = parse_properties(&path, &file)?;
                    self.notices.extend(overlay.apply(&path, entries, &mut self.config));
                }
                Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Loaded { config: self.config, extras: self.extras, overlay, notices: self.notices })
    }
}

fn expand_home(config: &mut Config, environment: &Environment) {
    config.kv.path = environment.expand(&config.kv.path);
    for dir in &mut config.plugins.dirs {
        *dir = environment.expand(dir);
    }
    let TlsConfig { cert_path, key_path, trust_cert_path, client, .. } = &mut config.tls;
    let clients = [&mut client.cert_path, &mut client.key_path, &mut client.trust_cert_path];
    for path in [cert_path, key_path, trust_cert_path].into_iter().chain(clients) {
        *path = environment.expand(path);
    }
    let Config { settings, plugins, tls, admin, .. } = config;
    let places = [&mut settings.overlay_path, &mut tls.properties_file, &mut admin.control_socket];
    let places = places.into_iter().chain([&mut plugins.cache_dir, &mut plugins.state_dir]);
    for place in places {
        if let Place::At(path) = place {
            *path = environment.expand(path);
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut content = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_SIZE_MAX + 1).read_to_end(&mut content)).map_err(failed)?;
    if content.len() as u64 > FILE_SIZE_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: FILE_SIZE_MAX });
    }
    Ok(content)
}

fn parse_properties(path: &Path, file: &[u8]) -> Result<Vec<properties::Entry>, ConfigError> {
    properties::parse(file).map_err(|source| ConfigError::Properties { path: PathBuf::from(path), source })
}
