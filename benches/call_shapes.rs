//! What each way of answering a route lookup costs, in the real host and without sockets.
//!
//! One thread answers frames through `NameServer::inline`: decoded, admitted, dispatched, run, encoded, as on a worker.
//! Beside it stands the same work done by hand: decode, look up, encode, with no plugin at all. Every shape is measured
//! in short batches, one after the other, round after round, so that what else the machine does hits all alike. A batch
//! is shorter than a time slice: the best tenth of the batches was not interrupted, and is what the table compares.

mod common;

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use common::cluster::{self, BROKERS, QUEUES, TOPICS};
use common::{median, quantile, report};
use fingerpost::body::route::{GroupBody, RouteBody, Style};
use fingerpost::clock::{Clock, SystemClock};
use fingerpost::config::{ByteSize, Config, Loaded, Overlay, Place, Settings};
use fingerpost::inline::Inline;
use fingerpost::remoting;
use fingerpost::remoting::{Command, Response, ResponseCode, SerializeType};
use fingerpost::route::{Connection, ConnectionId, Registration, Route, RouteTable, TopicConfig, TopicTable};
use fingerpost::server::NameServer;

/// What sockets cost one request, in ns: the CPU of the floor in `benches/servers`, at D=16 and at D=1.
///
/// A server that spends them as well answers with a plugin this share of what it answers without:
/// (native + sockets) / (with the plugin + sockets).
const SOCKETS: [f64; 2] = [450.0, 5670.0];

/// Long enough that reading the clock does not count, short enough to fit between two interruptions.
const BATCH: usize = 500;

fn main() {
    let rounds = if common::is_quick() { 40 } else { 400 };
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let mut plain = Host::start(home.path(), "plain", |_| {});
    let mut acting = Host::start(home.path(), "acting", |config| config.route.support_acting_master = true);
    let mut crowded = Host::start(home.path(), "crowded", |config| {
        config.plugins.dirs.push(copies_of_zone(home.path()));
        config.policies.chain = std::iter::once("zone".to_owned()).chain((1..8).map(copy_of_zone)).collect();
    });
    let native = Native::new();
    let clock = SystemClock::default();

    let lookup = |code, fields: &[(&str, &str)]| Shape::frames(code, fields);
    let zone = [("__ZONE_MODE", "true"), ("__ZONE_NAME", "z1")];
    let wanted = native.answer(&lookup(105, &[]).frames[0]);
    let mut rows = [
        Row::new("decode the header, and no more", lookup(105, &[])),
        Row::new("native: decode, look up, encode; no plugin", lookup(105, &[])),
        Row::new("chosen: decided at a glance; topic and route stay in the host (`lookup`)", lookup(105, &[])),
        Row::new("the same, acting-master active", lookup(105, &[])),
        Row::new("the same, zone active", lookup(105, &zone)),
        Row::new("the same, both active", lookup(105, &zone)),
        Row::new("the same, eight policies active: zone and copies of it", lookup(105, &zone)),
        Row::new("`handle` with two imports, in a plugin that was dropped in", lookup(9101, &[])),
        Row::new("topic copied through the sandbox", lookup(9102, &[])),
        Row::new("whole route copied through the sandbox, and encoded there", lookup(9103, &[])),
        Row::new("empty call (`nop`), error reply", lookup(9100, &[])),
    ];
    let mut run = |index: usize, frame: &Bytes, out: &mut BytesMut| match index {
        0 => drop(std::hint::black_box(Command::decode(frame.clone()).expect("a valid frame"))),
        1 => native.write(frame, out),
        3 | 5 => acting.answer(frame, out),
        6 => crowded.answer(frame, out),
        _ => plain.answer(frame, out),
    };

    let mut out = BytesMut::new();
    for (index, row) in rows.iter().enumerate() {
        // A plugin that was dropped in has to show that it is fast before it may leave the lane.
        row.shape.frames.iter().cycle().take(3000).for_each(|frame| {
            out.clear();
            run(index, frame, &mut out);
        });
        if !matches!(index, 0 | 10) {
            out.clear();
            run(index, &row.shape.frames[0], &mut out);
            let answer = Command::decode(out.split().freeze()).expect("a valid reply");
            assert_eq!((answer.code, &answer.body), (0, &wanted), "{}: another answer", row.name);
        }
    }
    // One row alone, again and again: for a profiler.
    if let Some(only) = common::number_after("--row") {
        return (0..rounds * 50).for_each(|_| {
            rows[only].shape.next_batch().iter().for_each(|frame| {
                out.clear();
                run(only, frame, &mut out);
            });
        });
    }
    for _ in 0..rounds {
        for (index, row) in rows.iter_mut().enumerate() {
            let frames = row.shape.next_batch();
            let began = clock.monotonic();
            for frame in frames {
                out.clear();
                run(index, frame, &mut out);
                std::hint::black_box(&out);
            }
            row.nanos.push((clock.monotonic() - began).as_nanos() as f64 / BATCH as f64);
        }
    }
    print(&mut rows);
}

/// One line of the table.
struct Row {
    name: &'static str,
    shape: Shape,
    /// Per call, one for each batch.
    nanos: Vec<f64>,
}

impl Row {
    fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, nanos: Vec::new() }
    }
}

/// The same request for every topic.
struct Shape {
    frames: Vec<Bytes>,
    next: usize,
}

impl Shape {
    fn frames(code: i32, fields: &[(&str, &str)]) -> Self {
        let frames = (0..TOPICS).map(|topic| cluster::lookup(code, topic, fields, 1)).collect();
        Self { frames, next: 0 }
    }

    fn next_batch(&mut self) -> &[Bytes] {
        let start = self.next;
        self.next = (start + BATCH) % TOPICS;
        &self.frames[start..start + BATCH]
    }
}

/// The server, with the brokers registered.
struct Host {
    client: Inline,
    _server: NameServer,
}

impl Host {
    fn start(home: &Path, name: &str, edit: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.net.bind_address = [127, 0, 0, 1].into();
        config.net.listen_port = 0;
        // What is measured is a call, and a remembered reply is none.
        config.memo.size = ByteSize::mib(0);
        config.kv.path = home.join(name).join("kvConfig.json");
        config.plugins.dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guests")];
        config.plugins.cache_dir = Place::At(home.join("cache"));
        edit(&mut config);
        let mut overlay = Overlay::default();
        overlay.path = Some(home.join(name).join("overlay.properties"));
        let loaded = Loaded { config, overlay, extras: Default::default(), notices: Vec::new() };
        let settings = Settings::new(&loaded);
        let server = NameServer::bind(loaded.config, settings, Arc::new(SystemClock::default())).expect("it binds");
        let mut client = server.inline().expect("it answers inline");
        let mut out = BytesMut::new();
        for broker in 0..BROKERS {
            client.answer(cluster::registration(broker), &mut out).expect("a valid frame");
            assert_eq!(Command::decode(out.split().freeze()).expect("a valid reply").code, 0);
        }
        Self { client, _server: server }
    }

    fn answer(&mut self, frame: &Bytes, out: &mut BytesMut) {
        self.client.answer(frame.clone(), out).expect("a valid frame");
    }
}

/// The name of a copy: as long as that of the original.
fn copy_of_zone(number: usize) -> String {
    format!("zon{number}")
}

/// Components that differ from the stock policy `zone` by their names alone, in a directory of their own.
fn copies_of_zone(home: &Path) -> std::path::PathBuf {
    let dir = home.join("policies");
    std::fs::create_dir(&dir).expect("the home is writable");
    let zone = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/zone.wasm")).expect("it is there");
    let says = b"name = \"zone\"";
    let at = zone.windows(says.len()).position(|bytes| bytes == says).expect("its manifest is in it as text");
    for name in (1..8).map(copy_of_zone) {
        let mut copy = zone.clone();
        copy[at..at + says.len()].copy_from_slice(format!("name = \"{name}\"").as_bytes());
        std::fs::write(dir.join(name).with_extension("wasm"), copy).expect("the home is writable");
    }
    dir
}

/// Tables and encoder, put together by hand.
struct Native {
    routes: RouteTable,
}

impl Native {
    fn new() -> Self {
        let routes = RouteTable::new();
        for broker in 0..BROKERS {
            let registration = Registration {
                cluster: cluster::CLUSTER.into(),
                broker_name: cluster::broker_name(broker).into(),
                broker_id: 0,
                address: cluster::broker_address(broker).into(),
                ha_address: None,
                zone_name: Some(cluster::ZONE.into()),
                enable_acting_master: Some(true),
                heartbeat_timeout: None,
                delete_missing_topics: false,
            };
            let topic = |number| TopicConfig {
                name: cluster::topic_name(number).into(),
                key: None,
                read_queue_nums: QUEUES,
                write_queue_nums: QUEUES,
                perm: 6,
                topic_sys_flag: 0,
            };
            let table = TopicTable { topics: (0..TOPICS).map(topic).collect(), ..TopicTable::default() };
            let connection = Connection::new(ConnectionId(1 + broker as u64));
            routes.register(registration, table, &connection, 1).expect("a first registration is taken");
        }
        Self { routes }
    }

    fn write(&self, frame: &Bytes, out: &mut BytesMut) {
        // As a socket would have to.
        assert!(remoting::frame::split(frame, 1 << 24).expect("a valid frame").is_some());
        let command = Command::decode(frame.clone()).expect("a valid frame");
        let topic = command.field("topic").expect("a lookup names its topic");
        let route = self.routes.tables().route(topic).expect("the topic is known");
        let mut writer = Response::new(ResponseCode::SUCCESS, command.opaque)
            .begin(SerializeType::Json, out)
            .expect("a header that fits");
        encode(&route, writer.body());
        writer.finish().expect("a frame that fits");
    }

    fn answer(&self, frame: &Bytes) -> Bytes {
        let mut out = BytesMut::new();
        self.write(frame, &mut out);
        Command::decode(out.freeze()).expect("a valid reply").body
    }
}

fn encode(route: &Route, out: &mut BytesMut) {
    let body = RouteBody {
        groups: route.groups.iter().map(|group| GroupBody {
            broker_name: &group.broker_name,
            cluster: &group.cluster,
            zone: group.zone_name.as_deref(),
            acting_master: group.enable_acting_master,
            addresses: &group.addresses,
        }),
        queues: route.topic.queues.iter(),
        filter_servers: route.filter_servers.iter().map(|(address, servers)| (&**address, &**servers)),
        mappings: route.mappings.as_deref(),
        order_topic_conf: None,
    };
    body.encode(Style::Standard, out);
}

fn print(rows: &mut [Row]) {
    let best = |row: &mut Row| quantile(&mut row.nanos, 0.1);
    let native = best(&mut rows[1]);
    println!("| one lookup | ns, best tenth | ns, median | over native, ns | × native | D=16 | D=1 |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut json = Vec::new();
    for row in rows {
        let (best, middle) = (best(row), median(&mut row.nanos));
        let share = |sockets: f64| 100.0 * (native + sockets) / (best + sockets);
        let [deep, single] = SOCKETS.map(share);
        let (over, times) = (best - native, best / native);
        println!("| {} | {best:.0} | {middle:.0} | {over:+.0} | {times:.2} | {deep:.1} % | {single:.1} % |", row.name);
        json.push(serde_json::json!({ "shape": row.name, "ns_best_tenth": best, "ns_median": middle }));
    }
    report("call_shapes", &serde_json::Value::Array(json));
}
