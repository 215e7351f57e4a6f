//! System calls of a worker for a batch of remembered lookups, counted by strace.
//!
//! A batch is what a client sends at once, and whose answers it awaits before the next. Between requests that can be
//! told from all others in the trace lie as many batches, and then twice as many; what the second part has more is
//! what these batches cost, and nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command as Process, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fingerpost::remoting::{Command, SerializeType};
use tempfile::TempDir;

use super::{frame, lookups, plugin_cache, registrations, tools, turn};

/// Lookups of a batch.
const BATCH: usize = 16;

const BATCHES: usize = 500;

#[test]
fn a_batch_of_lookups_is_waited_for_once_and_takes_one_read_and_one_write() {
    let _turn = turn();
    if !tools::work(&["strace", "-o", "/dev/null", "true"]) {
        return;
    }
    let mut server = Traced::start();
    let mut client = Client::connect(server.address);
    client.ask(&registrations()[0], 1, 0);
    let batch: BytesMut = lookups(SerializeType::Json, &[]).into_iter().take(BATCH).flatten().collect();
    // So often that what can be remembered is.
    (0..5).for_each(|_| client.ask(&batch, BATCH, 0));

    client.mark(0);
    (0..BATCHES).for_each(|_| client.ask(&batch, BATCH, 0));
    client.mark(1);
    (0..2 * BATCHES).for_each(|_| client.ask(&batch, BATCH, 0));
    client.mark(2);
    server.stop();

    let trace = server.trace_of("worker-0");
    let mut calls = count(behind_mark(&trace, 1));
    for (name, number) in count(behind_mark(&trace, 0)) {
        *calls.entry(name).or_default() -= number;
    }
    println!("{BATCHES} batches: {calls:?}");
    let mut take = |name| calls.remove(name).unwrap_or(0);
    let batches = BATCHES as i64;
    assert_eq!(take("recvfrom"), batches);
    assert_eq!(take("sendto"), batches);
    // A worker also wakes up four times a second, when time goes by.
    let waits = take("epoll_wait") + take("epoll_pwait");
    assert!(waits <= batches + batches / 2, "{waits} waits");
    // A worker asks for its CPU time after a tenth of a millisecond of work, and strace makes each batch as much.
    take("clock_gettime");
    // The rest comes now and then, if at all.
    assert!(calls.into_values().filter(|more| *more > 0).sum::<i64>() <= batches / 50);
}

/// How many calls of each name there are.
fn count<'a>(trace: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, i64> {
    let mut calls = BTreeMap::new();
    // What is no call, like a signal, has a line of another kind.
    for (name, _) in trace.filter_map(|line| line.split_once('(')) {
        *calls.entry(name).or_default() += 1;
    }
    calls
}

/// A topic that is not there, to be found in the trace.
fn mark(number: usize) -> String {
    format!("mark-{number}")
}

/// What was called from this mark to the next one.
fn behind_mark(trace: &str, number: usize) -> impl Iterator<Item = &str> {
    let [from, to] = [number, number + 1].map(mark);
    let calls = trace.lines().skip_while(move |line| !line.contains(&from));
    calls.take_while(move |line| !line.contains(&to))
}

/// One connection, which waits for every answer.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// Sends this at once, and takes so many answers of this code.
    fn ask(&mut self, frames: &[u8], answers: usize, code: i32) {
        self.0.get_mut().write_all(frames).expect("the server reads");
        for _ in 0..answers {
            let mut answer = vec![0; 4];
            self.0.read_exact(&mut answer).expect("an answer");
            let length = u32::from_be_bytes([answer[0], answer[1], answer[2], answer[3]]);
            answer.resize(4 + length as usize, 0);
            self.0.read_exact(&mut answer[4..]).expect("a whole answer");
            assert_eq!(Command::decode(answer.into()).expect("a valid answer").code, code);
        }
    }

    fn mark(&mut self, number: usize) {
        let lookup = frame(105, &[("topic", &mark(number))], Bytes::new(), SerializeType::Json);
        self.ask(&lookup, 1, TOPIC_NOT_EXIST);
    }
}

const TOPIC_NOT_EXIST: i32 = 17;

/// A server under strace, which writes a file for each of its threads.
struct Traced {
    address: SocketAddr,
    strace: Child,
    /// The server's process, until it is stopped.
    pid: Option<String>,
    /// Kept open, so that the server can say goodbye.
    _stdout: BufReader<ChildStdout>,
    home: TempDir,
}

impl Traced {
    fn start() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("namesrv.toml");
        let text = format!(
            "[net]\nbind-address = '127.0.0.1'\nlisten-port = 0\nworkers = 1\n\
             [plugins]\ndirs = []\ncache-dir = '{}'\n\
             [kv]\npath = 'kvConfig.json'\n",
            plugin_cache().display()
        );
        fs::write(&file, text).expect("a file in a directory of ours");
        let log = File::create(home.path().join("log")).expect("a file in a directory of ours");
        // Marks are looked for behind what a header begins with.
        let mut strace = Process::new("strace");
        strace.args(["--follow-forks", "--output-separately", "--string-limit=256", "--output=trace"]);
        // Who is to be stopped is the server, and strace ends with it.
        strace.args(["sh", "-c", r#"echo "$$" && exec "$0" -c "$1""#, env!("CARGO_BIN_EXE_fingerpost")]).arg(&file);
        strace.current_dir(home.path()).env_clear().env("HOME", home.path());
        strace.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let mut strace = strace.stdout(Stdio::piped()).stderr(log).spawn().expect("there is a strace");
        let mut stdout = BufReader::new(strace.stdout.take().expect("it is piped"));
        let mut lines = stdout.by_ref().lines().map_while(Result::ok);
        let pid = lines.next().expect("the shell says who it is");
        let boot = lines.find(|line| line.contains("boot success"));
        // Without it, there will be nothing to stop: it has ended.
        let log = || fs::read_to_string(home.path().join("log")).unwrap_or_default();
        let boot = boot.unwrap_or_else(|| panic!("the server does not start: {}", log()));
        let address =
            boot.rsplit(' ').next().and_then(|address| address.parse().ok()).expect("it ends with the address");
        Self { address, strace, pid: Some(pid), _stdout: stdout, home }
    }

    /// Ends the server, so that the trace is whole.
    fn stop(&mut self) {
        if let Some(pid) = self.pid.take() {
            let _ = Process::new("kill").args(["-KILL", &pid]).status();
            let _ = self.strace.wait();
        }
    }

    /// What the thread of this name called.
    fn trace_of(&self, thread: &str) -> String {
        let files =
            fs::read_dir(self.home.path()).expect("it is there").map(|entry| entry.expect("it is there").path());
        let traces = files.filter(|path| path.file_stem().is_some_and(|stem| stem == "trace"));
        let mut texts = traces.map(|path| fs::read_to_string(path).expect("strace writes text"));
        let named = format!("prctl(PR_SET_NAME, \"{thread}\")");
        texts.find(|text| text.contains(&named)).expect("every thread has its file")
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.stop();
    }
}
