//! Records of what a running server is asked: they are replayed without a server, and hold nothing that was signed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::author::{fingerpost, guest};
use crate::control::{ask, controlled, run, socket};
use crate::guests::{component, drop_in, with_text};
use crate::harness::{Ask, Client, Server};
use crate::process;
use crate::requests::{Broker, kv_put, route, topic_list};

const MIB: u64 = 1 << 20;

/// Somebody who records a server.
pub(crate) struct Recorder(BufReader<UnixStream>);

impl Recorder {
    /// Begins a record; the error is why there is none.
    pub(crate) fn begin(home: &Path, time: Duration, bytes: u64) -> Result<Self, String> {
        Self::begin_at(&socket(home), time, bytes)
    }

    fn begin_at(socket: &Path, time: Duration, bytes: u64) -> Result<Self, String> {
        let mut recorder = Self(BufReader::new(UnixStream::connect(socket).expect("the server listens")));
        let reply = recorder.ask(json!({ "do": "record", "millis": time.as_millis() as u64, "bytes": bytes }));
        match reply.expect("it answers")["error"].as_str() {
            None => Ok(recorder),
            Some(why) => Err(why.to_owned()),
        }
    }

    /// The reply to one line; none when the server has closed the connection.
    fn ask(&mut self, request: Value) -> Option<Value> {
        // A server that has ended does not read it.
        let _ = self.0.get_mut().write_all(format!("{request}\n").as_bytes());
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap_or_default();
        (read > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    fn progress(&mut self) -> Value {
        self.ask(json!({ "do": "record-progress" })).expect("it records")["ok"].clone()
    }

    /// The file, and how many requests are in it.
    pub(crate) fn finish(mut self) -> (String, u64) {
        let reply = self.ask(json!({ "do": "record-finish" })).expect("it records");
        let text = reply["ok"]["text"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned();
        (text, reply["ok"]["progress"]["requests"].as_u64().expect("it counts"))
    }
}

fn begin(server: &Server) -> Recorder {
    Recorder::begin(server.home(), Duration::from_secs(300), MIB).expect("nobody else records")
}

/// What `plugin replay` says of a record.
fn replay(record: &str, against: &str) -> (i32, String) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let file = home.path().join("record.toml");
    fs::write(&file, record).expect("it is writable");
    let ran = fingerpost(&["plugin", "replay", &file.to_string_lossy(), "--against", against]);
    (ran.code, ran.out + &ran.err)
}

fn signed(ask: Ask) -> Ask {
    ask.field("AccessKey", "who-signed").field("Signature", "with-what").field("SecurityToken", "a-token")
}

/// Everything in a record that somebody could read: the file, and the frames in it.
fn legible(record: &str) -> String {
    let frames = record.lines().filter_map(|line| line.split_once("frame-hex = \"")?.1.split('"').next());
    let text = |pair| std::str::from_utf8(pair).expect("digits");
    let byte = |pair| u8::from_str_radix(text(pair), 16).expect("digits");
    let frames = frames.map(|hex| hex.as_bytes().chunks(2).map(byte).collect::<Vec<_>>());
    let frames: Vec<_> = frames.map(|frame| String::from_utf8_lossy(&frame).into_owned()).collect();
    assert!(!frames.is_empty());
    [record.to_owned(), frames.join("\n")].concat()
}

/// A server in whose tables and KV store there is something before anybody records.
fn server() -> (Server, Client) {
    let server = Server::start_with(controlled);
    let mut early = server.client();
    Broker::new("early").topics(&["T", "U"]).field("__ZONE_NAME", "z").register(&mut early);
    let slave = Broker::new("early").id(1).topics(&["T", "U"]).field("__ZONE_NAME", "z");
    slave.timeout_ms(300_000).register(&mut early);
    assert_eq!(early.ask(kv_put("ORDER_TOPIC_CONFIG", "T", "early:4\n")).code, 0);
    (server, early)
}

#[test]
fn what_was_asked_is_asked_again_and_a_candidate_that_answers_otherwise_is_shown() {
    let (server, _early) = server();
    let mut client = server.client();
    client.ask(route("T"));
    let mut recorder = begin(&server);
    let (mut asked, hits) = (0, server.memo().hits);

    let mut late = server.client();
    Broker::new("late").topics(&["T", "V"]).register(&mut late);
    for ask in [route("T"), route("T").binary(), signed(route("V")), signed(route("V").binary()), topic_list()] {
        for _ in 0..5 {
            assert_eq!(client.ask(ask.clone()).code, 0);
            asked += 1;
        }
    }
    assert_eq!(client.ask(signed(kv_put("n", "k", "v"))).code, 0);
    assert_eq!(client.ask(route("nowhere")).code, 17);
    drop(late);
    client.wait_until(|client| {
        asked += 1;
        client.ask(route("V")).code == 17
    });
    client.send(&route("T").oneway());
    client.ask(Ask::new(-7));

    // Those that were answered from memory are there, too.
    assert!(server.memo().hits > hits);
    assert_eq!(recorder.progress()["requests"], asked + 5);
    let (record, requests) = recorder.finish();
    assert_eq!(requests, asked + 5);
    let (code, told) = replay(&record, &guest("lookup"));
    assert!(code == 0 && told.contains(&format!("{requests} requests, all answered as before")), "{code} {told}");

    let home = tempfile::tempdir().unwrap();
    let other = home.path().join("lookup-ours.wasm");
    fs::write(&other, with_text(component("lookup"), "No topic route info", "No topic route here")).unwrap();
    let (code, told) = replay(&record, &other.to_string_lossy());
    assert_eq!(code, 1, "{told}");
    for word in ["code 105: ", "topic=nowhere", "remark:", "- No topic route info", "+ No topic route here"] {
        assert!(told.contains(word), "{word:?} is not in\n{told}");
    }
}

#[test]
fn what_is_replayed_finds_what_the_server_held_and_comes_to_the_same_end() {
    let (server, early) = server();
    let recorder = begin(&server);
    let mut late = server.client();
    Broker::new("late").topics(&["T", "V"]).register(&mut late);
    let mut client = server.client();
    assert_eq!(client.ask(kv_put("n", "k\u{7f}\"", "v\n'''")).code, 0);
    assert_eq!(client.ask(route("U")).code, 0);
    drop(late);
    server.wait_for_connections(2);
    let (record, _) = recorder.finish();

    let queue = |broker: &str| json!({ "name": broker, "read": 4, "write": 4, "perm": 6, "flag": 0 });
    let early_group = json!({ "cluster": "c", "zone": "z", "addresses": { "0": "early:10911", "1": "early-1:10911" } });
    let then = json!({
        "topics": { "T": [queue("early")], "U": [queue("early")], "V": false },
        "brokers": { "early": early_group, "late": false },
        "kv": { "ORDER_TOPIC_CONFIG": { "T": "early:4\n" }, "n": { "k\u{7f}\"": "v\n'''" } },
    });
    let then: toml::Table = serde_json::from_value(then).unwrap();
    let end = toml::Value::Table(then);
    let home = tempfile::tempdir().unwrap();
    let cases = home.path().join("cases.toml");
    fs::write(&cases, format!("{record}[[case.step]]\nthen = {end}")).unwrap();
    let ran = fingerpost(&["plugin", "test", &guest("lookup"), "--case", &cases.to_string_lossy()]);
    assert_eq!(ran.code, 0, "{}{}\n{record}", ran.out, ran.err);
    drop(early);
}

#[test]
fn nothing_that_was_signed_is_in_a_record() {
    let (server, _early) = server();
    let mut client = server.client();
    for (key, value) in [("AccessKey", "kv-one"), ("k", "{\"signature\": \"kv-two\"}"), ("DocumentSignatures", "fine")]
    {
        assert_eq!(client.ask(kv_put("held", key, value)).code, 0);
    }
    let recorder = begin(&server);
    for ask in [route("T"), topic_list(), kv_put("n", "k", "v"), Broker::new("late").topics(&["A", "B"]).registration()]
    {
        assert_eq!(client.ask(signed(ask.clone())).code, 0);
        assert_eq!(client.ask(signed(ask.binary())).code, 0);
    }
    // Where no header field is: that is left out.
    assert_eq!(client.ask(kv_put("n", "SecurityToken", "kv-three")).code, 0);
    client.ask(topic_list().body("accessKey=body-one"));

    let (record, requests) = recorder.finish();

    assert_eq!(requests, 8);
    let text = legible(&record);
    for secret in ["who-signed", "with-what", "a-token", "kv-one", "kv-two", "kv-three", "body-one"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    for name in ["AccessKey", "Signature\"", "SecurityToken", "Signature\0"] {
        assert!(!text.contains(name), "{name} is in\n{text}");
    }
    assert!(text.contains("DocumentSignatures") && text.contains("\"T\""), "{text}");
}

#[test]
fn a_record_is_as_large_and_as_long_as_was_said_and_not_larger_than_can_be_read() {
    let (server, mut client) = server();
    let refused = |seconds, bytes| Recorder::begin(server.home(), Duration::from_secs(seconds), bytes).map(|_| ());
    for (seconds, bytes, why) in [
        (0, MIB, "some time"),
        (601, MIB, "600 seconds at most"),
        (60, 17 * MIB, "16MiB at most"),
        (60, 100, "it may have 100"),
    ] {
        let told = refused(seconds, bytes).expect_err("it is too much");
        assert!(told.contains(why), "{told}");
    }

    let mut small = Recorder::begin(server.home(), Duration::from_secs(60), 4000).unwrap();
    let mut asked = 0;
    client.wait_until(|client| {
        client.ask(route("T"));
        asked += 1;
        small.progress()["is-over"] == true
    });
    client.ask(route("T"));
    let progress = small.progress();
    assert_eq!((&progress["requests"], &progress["is-full"]), (&json!(asked - 1), &json!(true)));
    let (text, _) = small.finish();
    assert!(text.len() <= 4000 && replay(&text, &guest("lookup")).0 == 0, "{} {text}", text.len());

    let mut short = Recorder::begin(server.home(), Duration::from_secs(60), MIB).unwrap();
    client.ask(route("T"));
    server.clock.advance(Duration::from_secs(61));
    client.ask(route("T"));
    let progress = short.progress();
    assert_eq!((&progress["requests"], &progress["is-over"]), (&json!(1), &json!(true)));
    let (text, requests) = short.finish();
    assert_eq!((requests, text.matches("frame-hex").count()), (1, 1));
}

#[test]
fn one_records_at_a_time_until_it_goes_away() {
    let (server, mut client) = server();
    let mut first = begin(&server);
    let why = || Recorder::begin(server.home(), Duration::from_secs(60), MIB).map(|_| ()).expect_err("somebody does");
    assert!(why().contains("somebody records this server already"), "{}", why());
    for (request, why) in
        [(json!({ "do": "list" }), "nothing else is asked"), (json!({ "do": "explode" }), "that is no request")]
    {
        let reply = first.ask(request).unwrap();
        assert!(reply["error"].as_str().is_some_and(|told| told.contains(why)), "{reply}");
    }
    // Neither do they fetch what is another's.
    for request in ["record-finish", "record-progress"] {
        let reply = ask(&server, json!({ "do": request }));
        assert!(reply["error"].as_str().is_some_and(|why| why.contains("no record was begun")), "{reply}");
    }
    client.ask(route("U"));

    drop(first);

    let mut next = None;
    client.wait_until(|_| {
        next = Recorder::begin(server.home(), Duration::from_secs(60), MIB).ok();
        next.is_some()
    });
    client.ask(route("T"));
    let (text, requests) = next.unwrap().finish();
    assert_eq!((requests, text.matches("frame-hex").count()), (1, 1));
    assert_eq!(begin(&server).finish().1, 0, "what comes between records is in none");
}

#[test]
fn plugins_are_reloaded_while_somebody_records_and_nothing_is_missing() {
    let (server, mut client) = server();
    let recorder = begin(&server);
    let hello = || Ask::new(9001).field("name", "Ada");
    assert_eq!(client.ask(hello()).code, 3);

    drop_in(server.home(), "hello-processor");
    let reloaded = ask(&server, json!({ "do": "reload", "name": null }));

    assert_eq!(reloaded["ok"]["generation"], 2, "{reloaded}");
    assert_eq!(client.ask(hello()).code, 0);
    assert_eq!(client.ask(route("T")).code, 0);
    let (record, requests) = recorder.finish();
    assert_eq!(requests, 3);
    let (code, told) = replay(&record, &guest("hello-processor"));
    assert!(code == 1 && told.contains("code 9001: 2 asked, 2 answered otherwise"), "{told}");
}

#[test]
fn whoever_records_a_server_that_stops_is_told() {
    let (mut server, mut client) = server();
    let mut recorder = begin(&server);
    client.ask(route("T"));

    server.stop();

    assert_eq!(recorder.ask(json!({ "do": "record-finish" })), None);
}

/// A command that records, and goes on until it is told otherwise.
fn recording(home: &Path, client: &mut Client) -> std::process::Child {
    let mut command = process::program(home);
    command.env("HOME", home).args(["plugin", "replay", "--record", "r.toml", "--for", "5m", "-c", "namesrv.toml"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // A wish that nobody is granted tells whether somebody records.
    let socket = home.join("namesrv/fingerpost-plugins/control.sock");
    let is_recorded = |why: String| why.contains("somebody records this server already");
    client.wait_until(|_| Recorder::begin_at(&socket, Duration::ZERO, MIB).is_err_and(is_recorded));
    child
}

#[test]
fn the_command_writes_a_file_of_its_users_alone_and_says_what_to_do_next() {
    let server = process::start_with_toml("[net]\n");
    let home = server.home().to_owned();
    let record = |words: &[&str]| run(&home, &[&["plugin", "replay", "-c", "namesrv.toml"], words].concat());
    let mut client = Client::connect(server.addr);

    let idle = record(&["--record", "r.toml", "--for", "1ms"]);
    assert_eq!(idle.code, Some(1));
    assert!(idle.stderr.contains("nothing was asked that could be kept, so there is no file"), "{idle:?}");
    assert!(!home.join("r.toml").exists());

    let child = recording(&home, &mut client);
    Broker::new("b").topics(&["T", "U"]).register(&mut client);
    assert_eq!(client.ask(route("T")).code, 0);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(told.starts_with("2 requests, ") && told.contains("in r.toml\n"), "{told}");
    assert!(told.ends_with("next: fingerpost plugin replay r.toml --against FILE.wasm\n"), "{told}");
    let file = home.join("r.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let kept = fs::read_to_string(&file).unwrap();
    assert_eq!(replay(&kept, &guest("lookup")).0, 0);

    for (words, code, why) in [
        (&["--record", "r.toml", "--for", "1ms"][..], 255, "--force overwrites it"),
        (&["--record", "none/r.toml"], 255, "there is no such directory"),
        (&["--record", "y.toml", "--for", "1h"], 1, "600 seconds at most"),
        (&["--record", "y.toml", "--max-size", "20MiB"], 1, "16MiB at most"),
        (&["--record", "y.toml", "--for", "long"], 1, "--for is a time such as 60s"),
        (&["--record", "y.toml", "--max-size", "much"], 1, "--max-size: a size is"),
        (&["--record", "y.toml", "--against", "x.wasm"], 1, "--against is too much"),
        (&["--record", "y.toml", "r.toml"], 1, "r.toml is too much"),
        (&["r.toml", "--against", "x.wasm"], 1, "--config is for --record FILE"),
    ] {
        let ended = record(words);
        assert_eq!(ended.code, Some(code), "{words:?} {ended:?}");
        assert!(ended.stderr.contains(why), "{words:?} {ended:?}");
    }
    let missing = run(&home, &["plugin", "replay"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("or --record FILE, which makes one"), "{missing:?}");
    let forced = record(&["--record", "r.toml", "--for", "1ms", "--force", "--json"]);
    assert!(forced.code == Some(1) && forced.stdout.contains("\"error\""), "{forced:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), kept, "there is nothing to put in its place");
}

#[test]
fn a_server_that_ends_ends_the_command_and_there_is_no_file() {
    let server = process::start_with_toml("[net]\n");
    let home = server.home().to_owned();
    let mut client = Client::connect(server.addr);
    let child = recording(&home, &mut client);
    client.ask(route("T"));

    let _kept = server.kill();

    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{told}");
    assert!(told.contains("stopped before the record was there"), "{told}");
    assert!(!home.join("r.toml").exists());
}
