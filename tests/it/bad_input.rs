//! What strangers may send: nonsense is answered or its connection closed, nothing is applied by half, and everybody
//! else is served on.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::harness::{Ask, Client, Server};
use crate::process;
use crate::requests::{Broker, Reply, all_known, cluster_info, kv_get, kv_put, route, topic_list};

/// A frame with this header of this serialize type, well formed on the outside.
fn frame(kind: u8, header: &[u8]) -> Vec<u8> {
    let header_len = u32::try_from(header.len()).expect("a short header");
    let mut frame = (4 + header_len).to_be_bytes().to_vec();
    frame.extend([kind].iter().chain(&header_len.to_be_bytes()[1..]));
    frame.extend(header);
    frame
}

/// A binary header up to its strings: code 106, JAVA, version 513, opaque 1, no flags.
const BINARY: [u8; 13] = [0, 106, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0];

#[test]
fn a_stream_that_is_not_frames_is_closed_without_an_answer() {
    let server = Server::start();
    let mut witness = server.client();
    let binary = |rest: &[u8]| frame(1, &[&BINARY, rest].concat());
    let streams: [(&str, Vec<u8>); 25] = [
        ("another protocol", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("TLS", vec![0x16, 3, 1, 0, 200, 1, 0, 0]),
        ("a frame of nothing", 0u32.to_be_bytes().to_vec()),
        ("a frame without room for its header's length", [0, 0, 0, 3, 0, 0, 0].to_vec()),
        ("a negative length", (-1i32).to_be_bytes().to_vec()),
        ("the most negative length", i32::MIN.to_be_bytes().to_vec()),
        ("one byte too many", 16_777_213u32.to_be_bytes().to_vec()),
        ("a header longer than its frame", [0, 0, 0, 10, 0, 0, 0, 7, 1, 1, 1, 1, 1, 1].to_vec()),
        ("a third serialize type", frame(2, b"{\"code\":106}")),
        ("serialize type 255", frame(255, b"{\"code\":106}")),
        ("no header", frame(0, b"")),
        ("a null header", frame(0, b"null")),
        ("an array for a header", frame(0, b"[]")),
        ("a header cut short", frame(0, b"{\"code\":106,\"opaque\":1")),
        ("bytes after the header's end", frame(0, b"{\"code\":106,\"opaque\":1}x")),
        ("bare names", frame(0, b"{code:106}")),
        ("a byte order mark", frame(0, b"\xef\xbb\xbf{\"code\":106}")),
        ("no UTF-8", frame(0, b"{\"code\":106,\"remark\":\"\xff\"}")),
        ("a code beyond 32 bits", frame(0, b"{\"code\":4294967296}")),
        ("fields that are no object", frame(0, b"{\"code\":106,\"extFields\":\"x\"}")),
        ("too deep", frame(0, &[b"{\"code\":106,\"x\":".to_vec(), vec![b'['; 100_000]].concat())),
        ("a binary header cut short", frame(1, &BINARY)),
        ("a remark longer than its header", binary(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
        ("a field name of negative length", binary(&[0, 0, 0, 0, 0, 0, 0, 4, 0xff, 0xff, 0, 0])),
        ("a field value longer than the fields", binary(&[0, 0, 0, 0, 0, 0, 0, 8, 0, 1, b'k', 0, 1, 0, 0, b'v'])),
    ];

    for (what, bytes) in streams {
        let mut stranger = server.client();
        stranger.send_bytes(&bytes);
        assert!(stranger.receive().is_none(), "{what} was answered");
        assert_eq!(witness.ask(cluster_info()).code, 0, "after {what}");
    }
}

#[test]
fn requests_before_the_nonsense_are_answered() {
    let server = Server::start();
    let mut stranger = server.client();
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&route("T").frame(1));
    bytes.extend_from_slice(&route("T").frame(2));
    bytes.extend_from_slice(&frame(9, b"{}"));

    stranger.send_bytes(&bytes);

    assert_eq!(stranger.receive().map(|reply| (reply.opaque, reply.code)), Some((1, 17)));
    assert_eq!(stranger.receive().map(|reply| (reply.opaque, reply.code)), Some((2, 17)));
    assert!(stranger.receive().is_none());
}

#[test]
fn a_frame_that_stays_incomplete_has_no_effect() {
    let server = Server::start();
    let mut witness = server.client();
    let whole = Broker::new("a").topics(&["T", "U"]).registration().frame(1);

    for cut in [1, 4, 5, 8, 9, whole.len() / 2, whole.len() - 1] {
        let mut stranger = server.client();
        Broker::new("b").register(&mut stranger);
        stranger.send_bytes(&whole[..cut]);
        drop(stranger);
        witness.wait_until(|witness| !witness.ask(cluster_info()).text().contains("b:10911"));
        assert_eq!(witness.ask(cluster_info()).text(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    }
}

fn deflated(plain: &[u8]) -> Bytes {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("memory takes all that is written to it");
    encoder.finish().expect("memory takes all that is written to it").into()
}

/// Texts with their lengths before them, as in a compressed registration; `counts` go before the text of that index.
fn parts(texts: &[&str], counts: &[(usize, i32)]) -> Vec<u8> {
    let mut plain = Vec::new();
    for at in 0..=texts.len() {
        for (_, count) in counts.iter().filter(|(before, _)| *before == at) {
            plain.extend(count.to_be_bytes());
        }
        if let Some(text) = texts.get(at) {
            plain.extend(i32::try_from(text.len()).expect("a short text").to_be_bytes());
            plain.extend(text.as_bytes());
        }
    }
    plain
}

/// Registrations of which nothing may stay: as JSON, and compressed.
fn bad_bodies() -> Vec<(&'static str, Ask)> {
    let broker = || Broker::new("a").version(2);
    let wrapped = |table: &str| format!(r#"{{"topicConfigSerializeWrapper":{{"topicConfigTable":{table}}}}}"#);
    let json = |text: String| broker().header().body(text);
    let zlib = |plain: &[u8]| broker().header().field("compressed", "true").body(deflated(plain));
    let version = r#"{"counter":2,"stateVersion":0,"timestamp":5}"#;
    let topics = |second: &str| zlib(&parts(&[version, "NEW 1 1 6 SINGLE_TAG", second, "[]"], &[(1, 2), (4, 0)]));
    let good = deflated(&parts(&[version, "NEW 1 1 6 SINGLE_TAG", "N2 1 1 6 SINGLE_TAG", "[]"], &[(1, 2), (4, 0)]));
    let cut = good.slice(..good.len() - 6);
    vec![
        ("not JSON", json("nonsense".to_owned())),
        ("null", json("null".to_owned())),
        ("JSON cut short", json(wrapped(r#"{"NEW":{"topicName":"NEW"}"#))),
        ("bytes after the end", json(wrapped(r#"{"NEW":{"topicName":"NEW"},"N2":{"topicName":"N2"}}"#) + "x")),
        ("no wrapper", json(r#"{"topicConfigSerializeWrapper":null}"#.to_owned())),
        ("no table", json(wrapped("null"))),
        ("a nameless topic", json(wrapped(r#"{"NEW":{"topicName":"NEW"},"N2":{"perm":6}}"#))),
        ("an empty name", json(wrapped(r#"{"NEW":{"topicName":"NEW"},"N2":{"topicName":""}}"#))),
        ("a topic that is null", json(wrapped(r#"{"NEW":{"topicName":"NEW"},"N2":null}"#))),
        ("text for a number", json(wrapped(r#"{"NEW":{"topicName":"NEW"},"N2":{"topicName":"N2","perm":[]}}"#))),
        ("a wrong sum", broker().topics(&["NEW", "N2"]).field("bodyCrc32", "1").registration()),
        ("a sum of no body", broker().field("bodyCrc32", "7").header()),
        ("a negative version", broker().topics(&["NEW", "N2"]).registration().version(-1)),
        ("not zlib", broker().header().field("compressed", "true").body("nonsense")),
        ("zlib cut short", broker().header().field("compressed", "true").body(cut)),
        ("zlib that explodes", zlib(&vec![0; 300 << 20])),
        ("a topic of four words", topics("N2 1 1 6")),
        ("a topic with an unknown filter", topics("N2 1 1 6 THIRD_TAG")),
        ("a topic with a word for a number", topics("N2 one 1 6 SINGLE_TAG")),
        ("a topic that is cut", zlib(&parts(&[version], &[(1, 1), (1, 100)]))),
        ("more topics than there are bytes", zlib(&parts(&[version], &[(1, i32::MAX)]))),
        ("fewer topics than none", zlib(&parts(&[version, "[]"], &[(1, -1), (2, 0)]))),
        ("a text of negative length", zlib(&(-5i32).to_be_bytes())),
        ("a version that is no JSON", zlib(&parts(&["nonsense", "[]"], &[(1, 0), (2, 0)]))),
    ]
}

#[test]
fn a_registration_that_cannot_be_read_changes_nothing() {
    let server = Server::start();
    let mut connection = server.client();
    let known = Broker::new("a").topics(&["T", "U"]);
    known.register(&mut connection);
    let before = (all_known(&mut connection), connection.ask(route("T")).text().to_owned());

    for (what, ask) in bad_bodies() {
        let reply = connection.ask(ask);

        assert_eq!(reply.code, 1, "{what}");
        assert!(!reply.remark_text().is_empty(), "{what}");
        let after = (all_known(&mut connection), connection.ask(route("T")).text().to_owned());
        assert_eq!(after, before, "after {what}");
        assert_eq!(connection.ask(known.version_query()).field_text("changed"), "false", "after {what}");
    }
}

#[test]
fn a_stranger_whose_registration_cannot_be_read_stays_one() {
    let server = Server::start();
    let mut connection = server.client();

    for (what, ask) in bad_bodies() {
        assert_eq!(connection.ask(ask).code, 1, "{what}");
        let (info, topics) = all_known(&mut connection);
        assert_eq!(info, r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#, "after {what}");
        assert_eq!(topics, r#"{"topicList":[]}"#, "after {what}");
        assert_eq!(connection.ask(Ask::new(304)).text(), r#"{"topicList":[]}"#, "after {what}");
    }
}

#[test]
fn a_registration_that_names_nobody_is_refused() {
    let server = Server::start();
    let mut connection = server.client();
    let body = r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"topicName":"T"},"U":{"topicName":"U"}}}}"#;
    let fields = [("brokerName", "a"), ("brokerAddr", "a:1"), ("clusterName", "c"), ("brokerId", "0")];
    let without = |missing: &str| {
        let present = fields.iter().filter(|(name, _)| *name != missing);
        present.fold(Ask::new(103).body(body), |ask, (name, value)| ask.field(name, value))
    };
    let empty = |name: &str| without(name).field(name, "");
    let mut bad: Vec<Ask> = fields.iter().flat_map(|(name, _)| [without(name), empty(name)]).collect();
    bad.extend([" 0", "0x1", "1.5", "9223372036854775808"].map(|id| without("brokerId").field("brokerId", id)));

    for ask in bad {
        let reply = connection.ask(ask.clone());
        assert_eq!(reply.code, 1, "{ask:?}");
        assert_eq!(connection.ask(cluster_info()).text(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#, "{ask:?}");
        assert_eq!(connection.ask(topic_list()).text(), r#"{"topicList":[]}"#, "{ask:?}");
    }
    assert_eq!(connection.ask(without("")).code, 0);
}

#[test]
fn names_may_hold_anything_that_text_can() {
    let server = Server::start();
    let mut connection = server.client();
    let name = "q\"uo\\te \u{1}\n杭州 😀 {0:1}";
    let topics: serde_json::Value = [("T", name), ("U", "plain")]
        .iter()
        .map(|(key, name)| (*key, serde_json::json!({ "topicName": name })))
        .collect();
    let body = serde_json::json!({ "topicConfigSerializeWrapper": { "topicConfigTable": topics } });

    assert_eq!(connection.ask(Broker::new(name).header().body(body.to_string())).code, 0);

    let found = connection.ask(route(name));
    assert_eq!(found.code, 0);
    assert_eq!(found.json()["brokerDatas"][0]["brokerName"], name);
    let listed = connection.ask(topic_list()).json();
    assert!(listed["topicList"].as_array().is_some_and(|names| names.iter().any(|one| one == name)), "{listed}");
}

/// Bytes of memory that a process holds.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the system counts memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

#[test]
#[cfg(target_os = "linux")]
fn a_claimed_length_costs_no_memory() {
    const CONNECTIONS: usize = 200;
    const GROWTH_MAX: u64 = 8 << 20;
    let server = process::start(&[]);
    let mut witness = Client::connect(server.addr);
    // Everything that is made at first use is there.
    (0..200).for_each(|at| drop(witness.ask(kv_put("n", &at.to_string(), "v"))));
    let mut strangers: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(server.addr)).collect();
    strangers.iter_mut().for_each(|stranger| drop(stranger.ask(route("T"))));
    let before = resident(server.pid());
    let mut claim = 16_777_212u32.to_be_bytes().to_vec();
    claim.extend([0, 0xff, 0xff, 0x00]);
    claim.extend(b"{\"code\":103,\"extFields\":{\"x\":\"");

    // Each claims 16 MiB; most of that is a header.
    strangers.iter_mut().for_each(|stranger| stranger.send_bytes(&claim));
    let most = (0..500).map(|_| witness.ask(cluster_info())).map(|_| resident(server.pid())).max().unwrap_or_default();

    let growth = most.saturating_sub(before);
    assert!(growth < GROWTH_MAX, "{CONNECTIONS} claims of 16 MiB cost {growth} bytes");
    assert_eq!(witness.ask(kv_get("n", "7")).field_text("value"), "v");
}

#[test]
#[cfg(target_os = "linux")]
fn nonsense_in_bulk_leaves_a_few_lines_in_the_log() {
    const STRANGERS: usize = 500;
    let server = process::start(&[]);

    for _ in 0..STRANGERS {
        let mut stranger = Client::connect(server.addr);
        stranger.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
        assert!(stranger.receive().is_none());
    }

    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("127.0.0.1")).count();
    assert!(lines > 0 && lines < STRANGERS / 2, "{lines} lines for {STRANGERS} strangers:\n{log}");
}

/// One of the requests that exist, with fields and a body of its own, or a code that nobody answers.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let codes = prop_oneof![
        proptest::sample::select(vec![
            100, 101, 102, 103, 104, 105, 106, 205, 206, 216, 217, 219, 224, 304, 311, 312, 313, 319, 322, 327, 901,
            904
        ]),
        any::<i32>().prop_filter("not the one that changes settings", |code| *code != 318),
    ];
    let names = proptest::sample::select(vec![
        "brokerName",
        "brokerAddr",
        "clusterName",
        "brokerId",
        "topic",
        "namespace",
        "key",
        "value",
        "cluster",
        "compressed",
        "bodyCrc32",
        "enableActingMaster",
        "heartbeatTimeoutMillis",
        "acceptStandardJsonOnly",
        "__ZONE_MODE",
        "__ZONE_NAME",
    ]);
    let values = prop_oneof![
        proptest::sample::select(vec!["a", "b", "0", "1", "-1", "true", "T", "", "9223372036854775807"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    let bodies = prop_oneof![
        Just(String::new()),
        Just(r#"{"topicConfigSerializeWrapper":{"dataVersion":{"counter":1},"topicConfigTable":{"T":{"topicName":"T"},"U":{"topicName":"U"}}}}"#.to_owned()),
        Just(r#"{"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"writeQueueNums":4}]}"#.to_owned()),
        any::<String>(),
    ];
    let header = (codes, any::<i32>(), proptest::sample::select(vec![0, 0, 0, 1, 2, 3, -1]), any::<bool>());
    let version = proptest::sample::select(vec![-1, 0, 36, 37, 400, 401, 412, 413, 475, 513, i32::MAX]);
    (header, version, vec((names, values), 0..8), bodies).prop_map(
        |((code, opaque, flag, binary), version, fields, body)| {
            let ask = Ask::new(code).version(version).flag(flag).body(body);
            let ask = fields.iter().fold(ask, |ask, (name, value)| ask.field(name, value));
            if binary { ask.binary() } else { ask }.frame(opaque).to_vec()
        },
    )
}

/// What is done to the bytes of some requests.
#[derive(Clone, Debug)]
enum Harm {
    None,
    Flip(Index, u8),
    Cut(Index),
    Drop(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index),
}

impl Harm {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Drop(at) => drop(bytes.remove(at.index(bytes.len()))),
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(at) => bytes.extend_from_within(at.index(bytes.len())..),
        }
    }
}

fn harm() -> impl Strategy<Value = Harm> {
    let at = any::<Index>;
    prop_oneof![
        2 => Just(Harm::None),
        3 => (at(), 1..=255u8).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        1 => at().prop_map(Harm::Cut),
        1 => at().prop_map(Harm::Drop),
        1 => (at(), vec(any::<u8>(), 1..20)).prop_map(|(at, more)| Harm::Insert(at, more)),
        1 => at().prop_map(Harm::Repeat),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let requests = (vec(request(), 1..6), harm()).prop_map(|(frames, harm)| {
        let mut bytes = frames.concat();
        harm.apply(&mut bytes);
        bytes
    });
    prop_oneof![9 => requests, 1 => vec(any::<u8>(), 0..300)]
}

#[test]
fn whatever_is_sent_the_server_lives_and_keeps_nothing_of_those_who_left() {
    let server = Server::start();
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };

    proptest!(config, |(streams in vec(stream(), 1..4))| {
        let open: Vec<Client> = streams.iter().map(|bytes| {
            let stranger = server.client();
            // It may have been closed already, over the first bytes of this.
            let _ = stranger.stream().write_all(bytes).and_then(|()| stranger.stream().shutdown(Shutdown::Write));
            stranger
        }).collect();
        for stranger in open {
            // To the end, which the server makes: what it answers does not matter here.
            let ended = stranger.stream().read_to_end(&mut Vec::new());
            let is_open = ended.is_err_and(|error| error.kind() != ErrorKind::ConnectionReset);
            prop_assert!(!is_open, "the server holds on to a connection that its peer has closed");
        }
        prop_assert_eq!(server.client().ask(cluster_info()).code, 0);
    });

    let mut witness = server.client();
    // Brokers go with their connections, and topics with their brokers.
    witness
        .wait_until(|witness| witness.ask(cluster_info()).text() == r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    assert_eq!(witness.ask(topic_list()).text(), r#"{"topicList":[]}"#);
}
