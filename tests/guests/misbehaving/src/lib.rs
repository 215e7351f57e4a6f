//! A guest for the tests: the field `how` of a request says in which way to break a promise.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;

use fingerpost_sdk::registrations::{self, Registration, TopicTable};
use fingerpost_sdk::{
    Outcome, Processor, Refusal, code, export_processor, field, kv, log, registrations::BodyForm, reply, routes,
    settings,
};

struct Misbehaving;

thread_local! {
    /// Memory that is never given back.
    static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// A handle that outlives its call.
    static KEPT: RefCell<Option<TopicTable>> = const { RefCell::new(None) };
    /// How often this instance was entered.
    static CALLS: Cell<i64> = const { Cell::new(0) };
}

impl Processor for Misbehaving {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        CALLS.set(CALLS.get() + 1);
        match field::required("how")?.as_str() {
            "not-at-all" => reply::set_code(code::SUCCESS),
            "panic" => panic!("as asked"),
            "spin" => spin(),
            "recurse" => tell("depth", recurse(0)),
            "grow" => grow(),
            "hoard" => hoard(field::required_long("bytes")? as usize),
            "say-nothing" => {}
            "unknown-route" => reply::succeed_with_route(number("handle")?, reply::JsonStyle::Standard, None),
            "describe-unknown-route" => drop(routes::describe(number("handle")?)),
            "count" => tell("calls", CALLS.get()),
            "many-routes" => many_routes(&field::required("topic")?),
            "write" => write(),
            "write-and-panic" => {
                tell("kv.put", kv::put("misbehaving", "written", Some("before the end")));
                panic!("as asked, after a write");
            }
            "ask-for-ever" => ask_for_ever(),
            "leak-one" => std::mem::forget(routes::groups()),
            "large-body" => large_body(number("bytes")? as usize),
            "large-field" => reply::set_field("large", &"x".repeat(number("bytes")? as usize)),
            "leak-cursors" => leak_cursors(number("count")?),
            "leak-tables" => leak_tables(number("count")?),
            "keep-table" => keep_table(),
            "chatter" => chatter(&field::required("word")?, number("count")?),
            other => return Err(Refusal::error(["there is no way ", other].concat())),
        }
        Ok(())
    }
}

fn number(name: &str) -> Result<u32, Refusal> {
    Ok(field::required_long(name)? as u32)
}

fn tell(name: &str, value: impl Debug) {
    reply::set_field(name, &format!("{value:?}"));
    reply::set_code(code::SUCCESS);
}

fn spin() {
    let mut turns = 0u64;
    while std::hint::black_box(turns) != u64::MAX {
        turns += 1;
    }
}

fn recurse(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    if here[0] == u64::MAX { depth } else { recurse(depth + 1) + here[63] }
}

/// Takes memory until there is none, and does not expect that.
fn grow() {
    loop {
        HOARD.with_borrow_mut(|hoard| hoard.push(vec![1; 64 * 1024]));
    }
}

/// Takes as much memory as it gets, politely, and keeps it.
fn hoard(bytes: usize) {
    const PIECE: usize = 64 * 1024;
    let mut taken = 0;
    while taken < bytes {
        let mut piece: Vec<u8> = Vec::new();
        if piece.try_reserve_exact(PIECE).is_err() {
            break;
        }
        taken += PIECE;
        HOARD.with_borrow_mut(|hoard| hoard.push(piece));
    }
    tell("taken", taken);
    tell("calls", CALLS.get());
}

fn many_routes(topic: &str) {
    loop {
        routes::find(topic);
    }
}

/// Tries everything that needs a grant, and says what came of it.
fn write() {
    tell("kv.put", kv::put("misbehaving", "key", Some("value")));
    reply::when_durable();
    tell("kv.delete", kv::delete("misbehaving", "nothing"));
    tell("settings.update", settings::update(&[("enableTopicList".into(), "true".into())]));
    tell("reply.forward", reply::forward("product"));
    let registration = Registration {
        cluster: "misbehaving".into(),
        broker_name: "misbehaving".into(),
        broker_id: 0,
        address: "misbehaving:1".into(),
        ha_address: None,
        zone_name: None,
        enable_acting_master: None,
        heartbeat_timeout_ms: None,
        delete_missing_topics: false,
    };
    tell("register", registrations::register(&registration, TopicTable::empty()).map(drop));
    tell("unregister", registrations::unregister("misbehaving", "misbehaving", 0, "misbehaving:1"));
    tell("delete-topic", registrations::delete_topic("misbehaving", None));
    tell("put-topic", registrations::put_topic("misbehaving", &[]));
    tell("change-permissions", registrations::change_permissions("nobody", 0, 7));
}

fn ask_for_ever() {
    loop {
        std::hint::black_box(settings::flag("orderMessageEnable"));
    }
}

fn large_body(bytes: usize) {
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..bytes.div_ceil(piece.len()) {
        reply::append_body(&piece);
    }
    reply::set_code(code::SUCCESS);
}

fn leak_cursors(count: u32) {
    for _ in 0..count {
        std::mem::forget(routes::topics(None));
        std::mem::forget(routes::groups());
    }
    tell("calls", CALLS.get());
}

fn leak_tables(count: u32) {
    for _ in 0..count {
        if let Ok(table) = TopicTable::from_body(BodyForm::Json) {
            std::mem::forget(table);
        }
    }
    tell("calls", CALLS.get());
}

/// The first call of an instance keeps a table, the next one uses it.
fn keep_table() {
    match KEPT.take() {
        Some(kept) => {
            drop(kept);
            tell("kept", "still valid");
        }
        None => {
            KEPT.set(Some(TopicTable::empty()));
            tell("kept", "now");
        }
    }
}

fn chatter(word: &str, count: u32) {
    for _ in 0..count {
        log::write(log::Level::Warn, word);
    }
    if field::text("then").as_deref() == Some("panic") {
        panic!("{word}");
    }
    tell("calls", CALLS.get());
}

export_processor!(Misbehaving);

/// By hand, because the SDK knows what a glance may answer. The client's version says what to do.
impl fingerpost_sdk::bindings::glance::exports::fingerpost::nameserver::glance::Guest for FingerpostExport {
    fn glance(_code: i32, version: i32, route: u32, marks: u32) -> u32 {
        match version {
            7001 if route != 0 => 1,
            7002 if route != 0 => 2,
            // Answers a route that there is not.
            7003 => 1,
            7004 => 3,
            7005 => panic!("as asked, at a glance"),
            7006 => {
                spin();
                0
            }
            // Nothing may be asked meanwhile.
            7007 => routes::find("T"),
            7008 => u32::from(settings::flag("orderMessageEnable")),
            7009 => {
                reply::set_code(code::SUCCESS);
                0
            }
            7010 => {
                log::write(log::Level::Info, "glanced");
                0
            }
            // Tells the marks by whether there is a route in the answer.
            7100.. if marks == version as u32 - 7100 => 1,
            _ => 0,
        }
    }
}

#[allow(unsafe_code, reason = "an export of a component is a symbol with a name of the contract's")]
const _: () = {
    fingerpost_sdk::bindings::glance::export_glance!(
        FingerpostExport with_types_in fingerpost_sdk::bindings::glance
    );
};
