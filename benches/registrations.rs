//! What a registration costs the server: the CPU of all its threads, over a real socket, from the first read of the
//! frame to the last free.
//!
//! One broker registers again and again over one connection; what differs from one registration to the next is the
//! case. Bodies look as a current broker writes them (Java: `RegisterBrokerBody.encode`), with a real checksum. The
//! server runs in this process; the time of the thread that sends is not counted. The best of many batches is what the
//! table compares, because everything else that the machine does only adds.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use common::{median, quantile, report};
use fingerpost::clock::SystemClock;
use fingerpost::config::{Config, Loaded, Overlay, Place, Settings};
use fingerpost::remoting::{Command, Fields, RequestCode, SerializeType, frame};
use fingerpost::server::{NameServer, Running};

const REGISTER_BROKER: i32 = 103;
/// Java: `MQVersion.Version.V5_5_0`.
const VERSION: i32 = 513;

/// Registrations that are counted together, so that what a thread does after its answer falls into the same count.
const BATCH: usize = 8;

fn main() {
    let rounds = if common::is_quick() { 5 } else { 40 };
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let only = common::number_after("--row");
    let mut rows = Vec::new();
    for topics in [1_000, 20_000] {
        let server = Server::start(&home.path().join(topics.to_string()));
        for case in Case::ALL {
            if only.is_none_or(|only| only == rows.len()) {
                let mut figures = measure(&server, case, topics, rounds);
                rows.push((case, topics, quantile(&mut figures, 0.0), median(&mut figures)));
            } else {
                rows.push((case, topics, f64::NAN, f64::NAN));
            }
        }
    }
    print(&rows);
}

/// What one registration says that the one before did not.
#[derive(Clone, Copy)]
enum Case {
    Identical,
    Version,
    OneTopic,
    TenthOfTopics,
    AllQueues,
    CompressedIdentical,
    CompressedVersion,
}

impl Case {
    const ALL: [Self; 7] = [
        Self::Identical,
        Self::Version,
        Self::OneTopic,
        Self::TenthOfTopics,
        Self::AllQueues,
        Self::CompressedIdentical,
        Self::CompressedVersion,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Identical => "the very same body",
            Self::Version => "a new data version, and nothing else",
            Self::OneTopic => "one topic changed",
            Self::TenthOfTopics => "every tenth topic changed",
            Self::AllQueues => "the queues of all topics changed",
            Self::CompressedIdentical => "compressed, the very same body",
            Self::CompressedVersion => "compressed, a new data version",
        }
    }

    fn frame(self, topics: usize, turn: usize) -> Bytes {
        let counter = if matches!(self, Self::Identical | Self::CompressedIdentical) { 1 } else { 1 + turn };
        let queues = |topic: usize| match self {
            Self::OneTopic if topic == topics / 2 => 1 + turn % 16,
            Self::TenthOfTopics if topic.is_multiple_of(10) => 1 + turn % 16,
            Self::AllQueues => 1 + turn % 16,
            _ => 8,
        };
        let is_compressed = matches!(self, Self::CompressedIdentical | Self::CompressedVersion);
        let body = if is_compressed { compressed(topics, counter, queues) } else { json(topics, counter, queues) };
        registration(body.into(), is_compressed)
    }
}

/// CPU time of one registration in milliseconds, once for each batch.
fn measure(server: &Server, case: Case, topics: usize, rounds: usize) -> Vec<f64> {
    let mut client = Client::connect(server);
    // What the body of this case was before, and the buffers of a server that has seen some.
    (0..3).for_each(|turn| client.register(&case.frame(topics, turn)));
    let batch = |round: usize| {
        let frames: Vec<Bytes> = (0..BATCH).map(|index| case.frame(topics, 3 + round * BATCH + index)).collect();
        let before = server_nanos();
        frames.iter().for_each(|frame| client.register(frame));
        (server_nanos() - before) as f64 / BATCH as f64 / 1e6
    };
    (0..rounds).map(batch).collect()
}

struct Server {
    running: Running,
}

impl Server {
    fn start(home: &Path) -> Self {
        let mut config = Config::default();
        config.net.bind_address = [127, 0, 0, 1].into();
        config.net.listen_port = 0;
        config.net.workers = 1;
        config.kv.path = home.join("kvConfig.json");
        config.plugins.dirs = Vec::new();
        config.plugins.cache_dir = Place::At(home.join("cache"));
        let loaded = Loaded { config, overlay: Overlay::default(), extras: Default::default(), notices: Vec::new() };
        let settings = Settings::new(&loaded);
        let server = NameServer::bind(loaded.config, settings, Arc::new(SystemClock::default())).expect("it binds");
        Self { running: server.serve().expect("it serves") }
    }
}

struct Client {
    socket: TcpStream,
    buffer: BytesMut,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(server.running.local_addr()).expect("the server listens");
        Self { socket, buffer: BytesMut::new() }
    }

    fn register(&mut self, request: &[u8]) {
        self.socket.write_all(request).expect("the server reads");
        let length = loop {
            if let Some(length) = frame::split(&self.buffer, 1 << 24).expect("a valid frame") {
                break length;
            }
            let mut chunk = [0; 4096];
            let read = self.socket.read(&mut chunk).expect("the server answers");
            assert_ne!(read, 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..read]);
        };
        let reply = Command::decode(self.buffer.split_to(length).freeze()).expect("a valid reply");
        assert_eq!(reply.code, 0, "{:?}", reply.remark);
    }
}

fn registration(body: Bytes, is_compressed: bool) -> Bytes {
    // Java: `UtilAll.crc32` drops the sign bit.
    let crc = (crc32fast::hash(&body) & 0x7fff_ffff).to_string();
    let fields = [
        ("brokerName", "bench-broker"),
        ("brokerAddr", "10.0.0.1:10911"),
        ("clusterName", "DefaultCluster"),
        ("haServerAddr", "10.0.0.1:10912"),
        ("brokerId", "0"),
        ("heartbeatTimeoutMillis", "600000"),
        ("enableActingMaster", "false"),
        ("compressed", if is_compressed { "true" } else { "false" }),
        ("bodyCrc32", &crc),
    ];
    let fields = Fields::from_iter(fields);
    let request =
        Command { version: VERSION, fields: Some(fields), body, ..Command::request(RequestCode(REGISTER_BROKER), 1) };
    let mut out = BytesMut::new();
    request.encode(SerializeType::Json, &mut out).expect("a request fits its frame");
    out.freeze()
}

fn topic_name(topic: usize) -> String {
    format!("bench-topic-{topic:06}")
}

/// Java: `RegisterBrokerBody`, whose members fastjson2 writes in the order of the alphabet.
fn json(topics: usize, counter: usize, queues: impl Fn(usize) -> usize) -> Vec<u8> {
    let version = data_version(counter);
    let topic = |topic: usize| {
        let (name, queues) = (topic_name(topic), queues(topic));
        format!(
            r#""{name}":{{"attributes":{{}},"order":false,"perm":6,"readQueueNums":{queues},"topicFilterType":"SINGLE_TAG","topicName":"{name}","topicSysFlag":0,"writeQueueNums":{queues}}}"#
        )
    };
    let table = (0..topics).map(topic).collect::<Vec<_>>().join(",");
    let wrapper = format!(
        r#"{{"dataVersion":{version},"mappingDataVersion":{version},"topicConfigTable":{{{table}}},"topicQueueMappingDetailMap":{{}},"topicQueueMappingInfoMap":{{}}}}"#
    );
    format!(r#"{{"filterServerList":[],"topicConfigSerializeWrapper":{wrapper}}}"#).into_bytes()
}

/// Java: the same as one zlib stream of records.
fn compressed(topics: usize, counter: usize, queues: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut plain = Vec::new();
    let number = |out: &mut Vec<u8>, number: usize| out.extend((number as u32).to_be_bytes());
    let record = |out: &mut Vec<u8>, text: &str| {
        number(out, text.len());
        out.extend(text.as_bytes());
    };
    record(&mut plain, &data_version(counter));
    number(&mut plain, topics);
    for topic in 0..topics {
        let queues = queues(topic);
        record(&mut plain, &format!("{} {queues} {queues} 6 SINGLE_TAG {{}}", topic_name(topic)));
    }
    record(&mut plain, "[]");
    number(&mut plain, 0);
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&plain).and_then(|()| encoder.finish()).expect("memory takes what is written")
}

fn data_version(counter: usize) -> String {
    format!(r#"{{"counter":{counter},"stateVersion":0,"timestamp":1700000000000}}"#)
}

/// How long the threads of this process ran so far, without the one that asks.
fn server_nanos() -> u64 {
    let own = std::fs::read_link("/proc/thread-self").expect("Linux");
    let own = own.file_name().expect("it ends with the thread's id");
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let others = tasks.map(|task| task.expect("Linux").path()).filter(|path| path.file_name() != Some(own));
    let nanos = |path: &Path| {
        let text = std::fs::read_to_string(path.join("schedstat")).expect("the threads stay");
        text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).expect("it begins with a number")
    };
    others.map(|path| nanos(&path)).sum()
}

fn print(rows: &[(Case, usize, f64, f64)]) {
    println!("| one registration | topics | CPU ms, best | CPU ms, median |");
    println!("|---|---:|---:|---:|");
    let mut json = Vec::new();
    for (case, topics, best, middle) in rows.iter().filter(|row| row.2.is_finite()) {
        println!("| {} | {topics} | {best:.2} | {middle:.2} |", case.name());
        json.push(serde_json::json!({
            "case": case.name(), "topics": topics, "cpu_ms_best": best, "cpu_ms_median": middle,
        }));
    }
    report("registrations", &serde_json::Value::Array(json));
}
