//! Gates that noise cannot touch: counts of what a request costs. A number here that has to grow is a decision.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod instructions;
#[cfg(target_os = "linux")]
mod system_calls;
#[cfg(target_os = "linux")]
mod tools;

use std::alloc::System;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use fingerpost::clock::{Clock, SystemClock};
use fingerpost::config::{ByteSize, Config, Loaded, Overlay, Place, Settings};
use fingerpost::inline::Inline;
use fingerpost::remoting::{Command, Fields, RequestCode, SerializeType};
use fingerpost::server::NameServer;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATIONS: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for the whole process, so one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

const TOPICS: usize = 100;

/// Where the servers of these tests keep their compiled plugins.
fn plugin_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache")
}

/// A server that answers on the test's own thread, with [`TOPICS`] topics on two brokers.
struct Host {
    client: Inline,
    server: NameServer,
    _home: tempfile::TempDir,
}

impl Host {
    fn start(edit: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(Arc::new(SystemClock::default()), edit)
    }

    fn start_at(clock: Arc<dyn Clock>, edit: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config::default();
        config.net.bind_address = [127, 0, 0, 1].into();
        config.net.listen_port = 0;
        config.kv.path = home.path().join("kvConfig.json");
        config.plugins.dirs = Vec::new();
        config.plugins.cache_dir = Place::At(plugin_cache());
        edit(&mut config);
        let loaded = Loaded { config, overlay: Overlay::default(), extras: Default::default(), notices: Vec::new() };
        let settings = Settings::new(&loaded);
        let server = NameServer::bind(loaded.config, settings, clock).expect("it binds");
        let client = server.inline().expect("it answers inline");
        let mut host = Self { client, server, _home: home };
        registrations().iter().for_each(|frame| assert_eq!(host.ask(frame).code, 0));
        host
    }

    fn ask(&mut self, frame: &Bytes) -> Command {
        let mut out = BytesMut::new();
        self.client.answer(frame.clone(), &mut out).expect("a valid frame");
        Command::decode(out.freeze()).expect("a valid reply")
    }

    /// Asks all of them, three times, so that what can be remembered is.
    fn warm_up(&mut self, frames: &[Bytes]) {
        for frame in frames.iter().cycle().take(3 * frames.len()) {
            assert_eq!(self.ask(frame).code, 0);
        }
    }

    /// The most allocations that the answer to one of `frames` costs.
    fn allocations(&mut self, frames: &[Bytes]) -> usize {
        // With room for any answer, as the buffer of a worker has.
        let mut out = BytesMut::with_capacity(64 * 1024);
        let mut cost = |frame: &Bytes| {
            let frame = frame.clone();
            out.clear();
            let region = Region::new(ALLOCATIONS);
            self.client.answer(frame, &mut out).expect("a valid frame");
            let change = region.change();
            change.allocations + change.reallocations
        };
        // Another thread may fall in between; not three times in a row.
        frames.iter().map(|frame| (0..3).map(|_| cost(frame)).min().unwrap_or(0)).max().unwrap_or(0)
    }
}

fn frame(code: i32, fields: &[(&'static str, &str)], body: Bytes, kind: SerializeType) -> Bytes {
    let fields = Fields::from_iter(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let mut frame = BytesMut::new();
    let command = Command { fields: Some(fields), body, ..Command::request(RequestCode(code), 7) };
    command.encode(kind, &mut frame).expect("it fits its frame");
    frame.freeze()
}

/// What makes [`TOPICS`] topics on two brokers.
fn registrations() -> [Bytes; 2] {
    ["a", "b"].map(|broker| {
        let topics: Vec<_> = (0..TOPICS).map(|n| format!(r#""t{n:03}":{{"topicName":"t{n:03}"}}"#)).collect();
        let body = format!(
            r#"{{"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":1}},"topicConfigTable":{{{}}}}}}}"#,
            topics.join(",")
        );
        let address = format!("{broker}:10911");
        let fields = [("brokerName", broker), ("brokerAddr", &address), ("clusterName", "c"), ("brokerId", "0")];
        frame(103, &fields, body.into(), SerializeType::Json)
    })
}

fn lookups(kind: SerializeType, more: &[(&'static str, &str)]) -> Vec<Bytes> {
    let lookup = |topic: usize| {
        let topic = format!("t{topic:03}");
        let fields: Vec<_> = [("topic", topic.as_str())].iter().chain(more).copied().collect();
        frame(105, &fields, Bytes::new(), kind)
    };
    (0..TOPICS).map(lookup).collect()
}

#[test]
fn a_remembered_lookup_allocates_nothing() {
    let _turn = turn();
    for kind in [SerializeType::Json, SerializeType::Rocketmq] {
        let mut host = Host::start(|_| {});
        let frames = lookups(kind, &[]);
        host.warm_up(&frames);

        assert_eq!(host.allocations(&frames), 0, "{kind}");
    }
}

#[test]
fn a_lookup_that_its_plugin_answers_allocates_little() {
    let _turn = turn();
    let mut host = Host::start(|config| config.memo.size = ByteSize::new(0));
    let frames = lookups(SerializeType::Json, &[]);
    host.warm_up(&frames);

    let allocations = host.allocations(&frames);

    // Before a change that needs more: what for?
    assert!(allocations <= 6, "{allocations}");
}

#[test]
fn lookups_that_are_asked_again_are_hits_and_enter_no_plugin() {
    let _turn = turn();
    let mut host = Host::start(|_| {});
    let frames = lookups(SerializeType::Json, &[]);
    host.warm_up(&frames);
    let before = host.server.memo();
    assert_eq!((before.inserted, before.hits), (TOPICS as u64, TOPICS as u64));

    for _ in 0..5 {
        frames.iter().for_each(|frame| drop(host.ask(frame)));
    }

    let after = host.server.memo();
    assert_eq!(after.hits - before.hits, 5 * TOPICS as u64);
    assert_eq!((after.unknown, after.stale), (before.unknown, before.stale));
    assert_eq!(host.server.plugin_calls("lookup"), Some(2 * TOPICS as u64));
}

/// What this process has allocated and not freed yet, in bytes.
fn allocated() -> isize {
    let stats = ALLOCATIONS.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

/// Pages of this process that are in memory, those of guests included, which the allocator knows nothing of.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_million_calls_leak_nothing_although_every_hundredth_leaves_a_handle_behind() {
    const CALLS: usize = 1_000_000;
    let _turn = turn();
    let plugins = tempfile::tempdir().expect("a temporary directory");
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/misbehaving.wasm");
    std::fs::copy(guest, plugins.path().join("misbehaving.wasm")).expect("it is committed");
    let mut host = Host::start(|config| config.plugins.dirs = vec![plugins.path().to_owned()]);
    let [well, leak] =
        ["not-at-all", "leak-one"].map(|how| frame(9100, &[("how", how)], Bytes::new(), SerializeType::Json));
    let mut out = BytesMut::with_capacity(64 * 1024);
    let mut call = |times: usize| {
        for at in 1..=times {
            out.clear();
            let frame = if at.is_multiple_of(100) { &leak } else { &well };
            host.client.answer(frame.clone(), &mut out).expect("a valid frame");
        }
    };
    call(CALLS / 10);
    let (before, resident_before) = (allocated(), resident());

    call(CALLS);

    let grown = allocated() - before;
    assert!(grown.abs() < 256 * 1024, "{grown} bytes");
    if let (Some(before), Some(after)) = (resident_before, resident()) {
        assert!(after.saturating_sub(before) < 1024, "{} pages more", after - before);
    }
    // It did answer: from the first call to the last.
    assert_eq!(host.server.plugin_calls("misbehaving"), Some((CALLS + CALLS / 10) as u64));
    assert_eq!(host.ask(&well).code, 0);
}

#[test]
fn a_policy_runs_where_its_condition_holds_and_for_what_is_not_remembered() {
    let _turn = turn();
    let mut host = Host::start(|_| {});
    let zoned = lookups(SerializeType::Json, &[("__ZONE_MODE", "true"), ("__ZONE_NAME", "z")]);

    host.warm_up(&lookups(SerializeType::Json, &[("__ZONE_MODE", "false")]));
    assert_eq!(host.server.plugin_calls("zone"), Some(0));
    host.warm_up(&zoned);
    host.warm_up(&zoned);

    assert_eq!(host.server.plugin_calls("zone"), Some(2 * TOPICS as u64));
    assert_eq!(host.server.plugin_calls("acting-master"), Some(0));
}
