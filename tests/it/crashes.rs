//! The program on a real disk: killed again and again while clients write, and with files that it cannot write or read.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Sender};
use std::{env, fs, thread};

use bytes::BytesMut;
use fastrand::Rng;
use fingerpost::kv::format;
use fingerpost::remoting::Command as Frame;

use crate::harness::{Ask, Client};
use crate::process::{self, Ended};
use crate::requests::{Reply, kv_get, kv_put};

/// Clients that write at once.
const CLIENTS: usize = 4;

/// Requests that a client sends before it waits for an answer.
const PIPELINED: usize = 4;

/// What a namespace holds.
type Entries = BTreeMap<String, String>;

/// What one client asked for, and how much of it was acknowledged.
#[derive(Debug, Default)]
struct History {
    writes: Vec<(String, Option<String>)>,
    acknowledged: usize,
}

impl History {
    /// Whether `found` is what some of the writes lead to: those that were acknowledged, and of the others the first.
    fn explains(&self, before: &Entries, found: &Entries) -> bool {
        let mut entries = before.clone();
        (0..=self.writes.len()).any(|count| {
            if let Some((key, value)) = count.checked_sub(1).map(|last| &self.writes[last]) {
                match value {
                    Some(value) => drop(entries.insert(key.clone(), value.clone())),
                    None => drop(entries.remove(key)),
                }
            }
            count >= self.acknowledged && entries == *found
        })
    }
}

/// Writes to a namespace of its own until the server is gone, and tells of each answer.
fn write_until_killed(addr: SocketAddr, namespace: &str, mut random: Rng, answered: &Sender<()>) -> History {
    let mut history = History::default();
    // Whatever fails, fails because the server is gone; a refusal is no failure of the connection.
    let _ =
        TcpStream::connect(addr).and_then(|stream| write_on(stream, namespace, &mut random, answered, &mut history));
    history
}

fn write_on(
    mut stream: TcpStream,
    namespace: &str,
    random: &mut Rng,
    answered: &Sender<()>,
    history: &mut History,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        while history.writes.len() < history.acknowledged + PIPELINED {
            let key = format!("k{}", random.u8(..6));
            let value = (random.u8(..4) > 0).then(|| format!("{}", random.u64(..)));
            let request = match &value {
                Some(value) => kv_put(namespace, &key, value),
                None => Ask::new(102).field("namespace", namespace).field("key", &key),
            };
            history.writes.push((key, value));
            stream.write_all(&request.frame(history.writes.len() as i32))?;
        }
        let reply = read_frame(&mut stream)?;
        assert_eq!(reply.code, 0, "{:?}", reply.remark);
        // Writes are applied in the order sent, so an answer is one to all before it, too.
        history.acknowledged = history.acknowledged.max(reply.opaque as usize);
        let _ = answered.send(());
    }
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Frame> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = BytesMut::from(&length[..]);
    frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut frame[4..])?;
    Ok(Frame::decode(frame.freeze()).expect("the server writes valid frames"))
}

fn namespace(client: usize) -> String {
    format!("client {client}")
}

/// What the file holds for a client.
fn held(file: &[u8], client: usize) -> Entries {
    let table = format::parse(file).expect("the file is whole");
    let Some(namespace) = table.namespace(&namespace(client)) else { return Entries::new() };
    namespace.entries().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// `FINGERPOST_KILLS` asks for more.
#[test]
fn whenever_the_server_is_killed_it_has_lost_nothing_that_it_acknowledged() {
    let kills: usize = env::var("FINGERPOST_KILLS").map_or(30, |kills| kills.parse().expect("a number"));
    let seed = fastrand::u64(..);
    let mut random = Rng::with_seed(seed);
    let mut entries = vec![Entries::new(); CLIENTS];
    let mut home = tempfile::tempdir().expect("a temporary directory can be made");
    let (mut acknowledged, mut unanswered) = (0, 0);
    for kill in 0..kills {
        let server = process::start_in(home, &[]);
        let mut client = Client::connect(server.addr);
        for (at, entries) in entries.iter().enumerate() {
            let answer = client.ask(Ask::new(219).field("namespace", &namespace(at)));
            let served = if answer.code == 22 { "{}".to_owned() } else { answer.text().to_owned() };
            let served: BTreeMap<String, Entries> = serde_json::from_str(&served).expect("a table");
            assert_eq!(served.get("table").unwrap_or(&Entries::new()), entries, "seed {seed}, kill {kill}");
        }

        let (answered, answers) = mpsc::channel();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|at| {
                let (addr, answered, random) = (server.addr, answered.clone(), random.fork());
                thread::spawn(move || write_until_killed(addr, &namespace(at), random, &answered))
            })
            .collect();
        for _ in 0..random.usize(1..200) {
            answers.recv().expect("the clients write");
        }
        home = server.kill();

        let file = fs::read(home.path().join("kvConfig.json")).expect("something was written");
        for (at, client) in clients.into_iter().enumerate() {
            let history = client.join().expect("every write is acknowledged");
            let found = held(&file, at);
            assert!(
                history.explains(&entries[at], &found),
                "seed {seed}, kill {kill}: from {:?}\n through {history:?}\n to {found:?}",
                entries[at]
            );
            acknowledged += history.acknowledged;
            unanswered += history.writes.len() - history.acknowledged;
            entries[at] = found;
        }
    }
    println!("seed {seed}: {kills} kills, {acknowledged} writes acknowledged, {unanswered} without an answer");
    assert!(unanswered > 0, "nothing was in flight");
}

/// Bounds the size of the files that a running process may write; none is no bound.
fn limit_file_size(pid: u32, limit: Option<u64>) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("it is a process");
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: limit, maximum: None }).expect("it is our child");
}

#[test]
fn a_disk_that_is_full_is_told_and_once_it_has_room_again_everything_is_stored() {
    const ROOM: u64 = 64 << 10;
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let server = process::start_in(home, &[]);
    let mut client = Client::connect(server.addr);
    let large = "v".repeat(ROOM as usize);
    assert_eq!(client.ask(kv_put("n", "before", "1")).code, 0);

    limit_file_size(server.pid(), Some(ROOM));
    for _ in 0..3 {
        let refused = client.ask(kv_put("n", "large", &large));
        assert_eq!((refused.code, refused.remark_text()), (1, "not stored: the file may not grow any further"));
    }
    assert_eq!(client.ask(kv_put("n", "small", "2")).code, 0, "what has room is stored");
    assert_eq!(client.ask(kv_get("n", "large")).code, 22);
    limit_file_size(server.pid(), None);
    assert_eq!(client.ask(kv_put("n", "large", &large)).code, 0);

    let log = server.log();
    let told = log.lines().filter(|line| line.contains("KV writes fail")).collect::<Vec<_>>();
    assert!(told.len() == 1 && told[0].contains("kvConfig.json.tmp"), "once, and with the file: {log}");
    assert!(log.contains("the KV file can be written again"), "{log}");
    let server = process::start_in(server.kill(), &[]);
    let mut client = Client::connect(server.addr);
    for (key, value) in [("before", "1"), ("small", "2"), ("large", &large)] {
        assert!(client.ask(kv_get("n", key)).field_text("value") == value, "{key}");
    }
}

#[test]
fn a_file_that_vanishes_from_a_running_server_is_whole_after_the_next_write() {
    let server = process::start(&[]);
    let mut client = Client::connect(server.addr);
    assert_eq!(client.ask(kv_put("n", "a", "1")).code, 0);
    let file = server.home().join("kvConfig.json");

    fs::remove_file(&file).expect("it is there");
    assert_eq!(client.ask(kv_put("n", "b", "2")).code, 0);

    assert_eq!(fs::read(&file).expect("it is back"), br#"{"configTable":{"n":{"a":"1","b":"2"}}}"#);
}

/// Runs a server that is to refuse to start with this path for its KV file, as a user whom permissions bind.
fn refused(home: &Path, kv_path: &Path) -> Ended {
    let file = process::write_properties(home, &[("kvConfigPath", &kv_path.to_string_lossy())]);
    let mut command = process::program(home);
    if rustix::process::geteuid().is_root() {
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65_534;
        // Where the program was built may be closed to everybody else.
        let copy = home.join("program");
        fs::copy(command.get_program(), &copy).expect("there is room");
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).expect("it is ours");
        command = Command::new(copy);
        command.current_dir(home).env_clear().uid(NOBODY).gid(NOBODY);
    }
    command.arg("-c").arg(file);
    process::run(command)
}

#[test]
fn a_file_that_cannot_be_used_keeps_the_server_from_starting_and_is_named() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let at = |name: &str| home.path().join(name);
    let make = |name: &str, mode: u32| {
        fs::create_dir(at(name)).expect("the temporary directory is writable");
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    make("read-only", 0o555);
    make("open", 0o777);
    make("open/directory", 0o777);
    fs::write(at("open/others"), "{\"configTable\":{}}").expect("the directory is writable");
    fs::set_permissions(at("open/others"), fs::Permissions::from_mode(0o000)).expect("it is ours");

    for (name, said) in [
        ("read-only/kv.json", "cannot lock"),
        ("read-only/below/kv.json", "cannot create the directory"),
        ("open/others", "cannot read"),
        ("open/directory", "is not a regular file: kv.path must name the file itself"),
    ] {
        let ended = refused(home.path(), &at(name));

        assert!(ended.code.is_some_and(|code| code != 0), "{name}: {ended:?}");
        let named = at(name).parent().expect("it has one").display().to_string();
        assert!(ended.stderr.contains(said) && ended.stderr.contains(&named), "{name}: {ended:?}");
        assert!(!ended.stdout.contains("boot success"), "{name}: {ended:?}");
    }
    assert_eq!(fs::metadata(at("open/others")).expect("it is there").len(), 18, "nothing was touched");
}
