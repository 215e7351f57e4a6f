//! Java's side: one JVM, in which `java/Host.java` starts one NameServer after another.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::suite::ours::write_properties;
use crate::suite::play::Side;
use crate::suite::request::Sequence;
use crate::suite::state::State;

/// The JVM; it ends when this is dropped.
pub(crate) struct Java {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    homes: tempfile::TempDir,
    /// The directory of the server that runs.
    home: Option<tempfile::TempDir>,
}

/// What the JVM is made of.
pub(crate) struct Setup {
    pub(crate) lib: PathBuf,
    pub(crate) classes: PathBuf,
    pub(crate) log: PathBuf,
}

impl Setup {
    /// From the environment that `run` sets; the text says what is missing.
    pub(crate) fn from_env() -> Result<Self, String> {
        let path = |name: &str| {
            let path = std::env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"))?;
            if path.exists() { Ok(path) } else { Err(format!("{} does not exist", path.display())) }
        };
        let log = std::env::var_os("FINGERPOST_DIFFERENTIAL_LOG").map_or_else(|| "/dev/null".into(), PathBuf::from);
        Ok(Self { lib: path("FINGERPOST_DIFFERENTIAL_LIB")?, classes: path("FINGERPOST_DIFFERENTIAL_CLASSES")?, log })
    }
}

impl Java {
    pub(crate) fn launch(setup: &Setup) -> std::io::Result<Self> {
        let homes = tempfile::tempdir()?;
        let logback = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/java/logback.xml");
        let mut class_path = setup.classes.clone().into_os_string();
        class_path.push(":");
        class_path.push(setup.lib.join("*"));
        let property = |name: &str, value: &Path| format!("-D{name}={}", value.display());
        let mut child = Command::new("java")
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dtls.server.mode=disabled"])
            .arg(property("user.home", homes.path()))
            .arg(property("java.io.tmpdir", homes.path()))
            .arg(property("rmq.logback.configurationFile", &logback))
            .arg("-Drocketmq.logback.statusListenerClass=org.apache.rocketmq.logging.ch.qos.logback.core.status.NopStatusListener")
            .arg("-cp")
            .arg(class_path)
            .arg("Host")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&setup.log)?)
            .spawn()?;
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("it was asked for"));
        Ok(Self { child, commands, answers, homes, home: None })
    }

    fn command(&mut self, line: &str) -> String {
        let commands = self.commands.as_mut().expect("it runs");
        writeln!(commands, "{line}").and_then(|()| commands.flush()).expect("the JVM reads commands");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the JVM answers");
        match answer.trim_end_matches('\n').strip_prefix("ok ") {
            Some(answer) => answer.to_owned(),
            None => panic!("the JVM answers {answer:?} to {line:?}"),
        }
    }
}

impl Side for Java {
    fn start(&mut self, sequence: &Sequence) -> SocketAddr {
        let home = tempfile::tempdir_in(self.homes.path()).expect("a temporary directory");
        let file = write_properties(home.path(), sequence);
        let form = if sequence.binary_replies { "ROCKETMQ" } else { "JSON" };
        let port = self.command(&format!("start {} {form}", file.display()));
        self.home = Some(home);
        (Ipv4Addr::LOCALHOST, port.parse().expect("a port")).into()
    }

    fn age(&mut self, millis: u64) {
        self.command(&format!("age {millis}"));
    }

    fn scan(&mut self) {
        self.command("scan");
    }

    fn settle(&mut self) {
        self.command("settle");
    }

    fn state(&mut self) -> State {
        let state = self.command("state");
        serde_json::from_str(&state).unwrap_or_else(|error| panic!("the state is not as agreed: {error}: {state}"))
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}
