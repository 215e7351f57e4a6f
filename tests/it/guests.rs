//! Components to drop into a server, and the log lines that tell what the server made of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use fingerpost::config::{Config, Grant, PluginFile};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::harness::{Ask, Client};

/// The component of a guest: a stock plugin, an example, or one of `tests/guests`.
///
/// When the server under test embeds the guests of a directory (see `plugins/embed.rs`), it is that directory's.
pub(crate) fn component(name: &str) -> Vec<u8> {
    fs::read(path_of(name)).expect("it can be read")
}

/// Where the component of a guest is.
pub(crate) fn path_of(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The directory of the embedded ones comes first, and holds all of them if it is one of rebuilt guests.
    let dirs = [env!("FINGERPOST_EMBEDDED_GUESTS"), "examples", "tests/guests"].map(|dir| root.join(dir));
    let file = format!("{name}.wasm");
    let found = dirs.iter().map(|dir| dir.join(&file)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{file} is in none of {dirs:?}; `plugins/build {name}` makes it"))
}

/// Registers the master of a broker name with `topics`, the members of a JSON object. More than one, because a broker
/// that is not known yet must not bring exactly one.
pub(crate) fn register(client: &mut Client, broker_name: &str, topics: &str) {
    let body = format!(
        r#"{{"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":1,"stateVersion":0,"timestamp":5}},"topicConfigTable":{{{topics}}}}}}}"#
    );
    let register = Ask::new(103)
        .field("brokerName", broker_name)
        .field("brokerAddr", &format!("{broker_name}:10911"))
        .field("clusterName", "c")
        .field("brokerId", "0")
        .field("__ZONE_NAME", broker_name)
        .body(body);
    assert_eq!(client.ask(register).code, 0);
}

/// Puts a guest into the plugins directory below `home`, as `NAME.wasm`.
pub(crate) fn drop_in(home: &Path, name: &str) {
    drop_in_bytes(home, &format!("{name}.wasm"), &component(name));
}

pub(crate) fn drop_in_bytes(home: &Path, file: &str, bytes: &[u8]) {
    let dir = home.join("plugins");
    fs::create_dir_all(&dir).expect("the home is writable");
    fs::write(dir.join(file), bytes).expect("the directory is writable");
}

/// The operator's word for one file.
pub(crate) fn allow(config: &mut Config, file: &str, overrides: bool, grants: &[Grant]) {
    let word = PluginFile { overrides, grants: grants.iter().cloned().collect(), ..PluginFile::default() };
    config.plugins.files.insert(file.to_owned(), word);
}

/// A component whose manifest says something else of the same length. The manifest is text inside the component, so
/// this makes another plugin without a compiler.
pub(crate) fn with_manifest(mut component: Vec<u8>, says: &str, instead: &str) -> Vec<u8> {
    assert_eq!(says.len(), instead.len(), "the text has its place");
    let places: Vec<usize> =
        (0..=component.len() - says.len()).filter(|&at| component[at..].starts_with(says.as_bytes())).collect();
    let [at] = places[..] else { panic!("{says:?} is there {} times", places.len()) };
    component[at..at + says.len()].copy_from_slice(instead.as_bytes());
    component
}

/// A component in which a text is another one of the same length, wherever it stands.
pub(crate) fn with_text(mut component: Vec<u8>, text: &str, instead: &str) -> Vec<u8> {
    assert_eq!(text.len(), instead.len(), "the text has its place");
    let places: Vec<usize> =
        (0..=component.len() - text.len()).filter(|&at| component[at..].starts_with(text.as_bytes())).collect();
    assert!(!places.is_empty(), "{text:?} is not there");
    for at in places {
        component[at..at + text.len()].copy_from_slice(instead.as_bytes());
    }
    component
}

/// The same component with other bytes: a section is added that means nothing.
pub(crate) fn with_section(mut component: Vec<u8>, text: &str) -> Vec<u8> {
    let size = u8::try_from(text.len() + 2).ok().filter(|size| *size < 128).expect("a short text");
    component.extend([0, size, 1, b'x']);
    component.extend(text.as_bytes());
    component
}

/// What the servers of this process have logged since the first call of [`log`].
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Begins to keep the log, once for all tests: look for what only one's own server can have written.
pub(crate) fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log.clone());
        let filter = Targets::new().with_target("fingerpost", Level::INFO);
        // Another subscriber can only be there if some test set one up, and would leave this one deaf.
        tracing_subscriber::registry().with(lines).with(filter).try_init().expect("nobody else listens");
        log
    })
}

impl Log {
    /// The lines that contain every one of `words`.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
        let bytes = self.0.lock().expect("writers do not panic");
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned).collect()
    }
}

impl io::Write for &Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("writers do not panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = &'a Log;

    fn make_writer(&'a self) -> &'a Log {
        self
    }
}
