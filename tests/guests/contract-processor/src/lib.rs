//! A guest for the tests: it calls every function that the contract offers to a processor, and tells what came back.
//! Built once against each version of the contract and kept in `tests/data/contract`, it has to run for ever.

use fingerpost_sdk::registrations::{self, BodyForm, Registration, TopicTable};
use fingerpost_sdk::reply::JsonStyle;
use fingerpost_sdk::{
    Glancing, Outcome, Processor, Refusal, Sight, Verdict, bodies, clock, code, export_processor, field, kv, log,
    metrics, reply, request, routes, settings, state,
};

struct Contract;

impl Processor for Contract {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        match field::required("call")?.as_str() {
            "read" => tell(&read()),
            "write" => tell(&write()),
            "bodies" => tell(&format!("{:?} {:?}", bodies::decode_data_version(), bodies::decode_queues())),
            "route" => {
                let style = if request::version() < 401 { JsonStyle::BareKeys } else { JsonStyle::Standard };
                reply::succeed_with_route(routes::find_by_field("topic"), style, Some("a:4"));
            }
            "upstream" => {
                reply::when_durable();
                reply::fail(17, "nobody upstream");
            }
            "keep" => tell(&keep()),
            "wait" => wait(),
            other => return Err(Refusal::new(code::QUERY_NOT_FOUND, ["there is no call ", other].concat())),
        }
        Ok(())
    }
}

impl Glancing for Contract {
    fn glance(sight: &Sight) -> Verdict {
        log::write(log::Level::Debug, "a glance");
        match sight.version {
            _ if !sight.has_route || sight.mark(0) || sight.mark(1) => Verdict::LookCloser,
            ..401 => Verdict::Route(JsonStyle::BareKeys),
            _ => Verdict::Route(JsonStyle::Standard),
        }
    }
}

fn tell(lines: &str) {
    let (first, rest) = lines.split_at(lines.len() / 2);
    reply::set_fields_present();
    reply::set_field("told", "everything");
    reply::set_body(first.as_bytes());
    reply::append_body(rest.as_bytes());
    reply::set_code(code::SUCCESS);
}

fn read() -> String {
    let topics = routes::topics(None);
    let of_a = routes::topics(Some(&["a".to_owned()]));
    let groups = routes::groups();
    let (route, same) = (routes::find_by_field("topic"), routes::find("T"));
    let now = clock::now_ms();
    [
        format!("request {} {} {:?}", request::code(), request::version(), request::field("topic")),
        format!("fields {:?}", request::fields()),
        format!("body {} {:?} {:08x}", request::body_size(), request::body(), request::body_crc32()),
        format!("peer {}", request::peer().starts_with("127.0.0.1:")),
        format!("route {} {:?}", routes::find("unknown"), routes::describe(route)),
        format!("the same {}", format!("{:?}", routes::describe(same)) == format!("{:?}", routes::describe(route))),
        format!("topics {:?} {:?} {}", topics.next(1), topics.next(9), topics.next(9).len()),
        format!("topics of a {:?}", of_a.next(9)),
        format!("groups {:?} {:?}", groups.next(9), routes::group("unknown")),
        format!("group {:?}", routes::group("a")),
        format!("clusters {:?}", routes::clusters()),
        format!("kv {:?} {:?}", kv::get("n", "k"), kv::entries("n")),
        format!("setting {} {:?}", settings::flag("clusterTest"), settings::get("clusterTest")),
        format!("settings {}", settings::entries().len() > 30),
        format!("clock {}", now > 0 && clock::uptime_ms() <= now),
        format!("version of {:?}", registrations::version_of("c", "a:10911")),
        format!("heartbeat {}", registrations::heartbeat("c", "a:10911")),
        String::new(),
    ]
    .join("\n")
}

/// Without a grant all of it is denied, and none of it is a trap.
fn write() -> String {
    let registration = Registration {
        cluster: "c".to_owned(),
        broker_name: "b".to_owned(),
        broker_id: 0,
        address: "b:1".to_owned(),
        ha_address: None,
        zone_name: None,
        enable_acting_master: None,
        heartbeat_timeout_ms: None,
        delete_missing_topics: false,
    };
    let decoded = TopicTable::from_body(BodyForm::Json).is_ok();
    [
        format!("register {decoded} {:?}", registrations::register(&registration, TopicTable::empty())),
        format!("unregister {:?}", registrations::unregister("c", "a", 0, "a:10911")),
        format!("change-permissions {:?}", registrations::change_permissions("a", 7, 0)),
        format!("delete-topic {:?}", registrations::delete_topic("T", None)),
        format!("put-topic {:?}", registrations::put_topic("T", &[])),
        format!("kv.put {:?}", kv::put("n", "k", Some("v"))),
        format!("kv.delete {:?}", kv::delete("n", "k")),
        format!("settings.update {:?}", settings::update(&[("enableTopicList".to_owned(), "false".to_owned())])),
        format!("forward {:?}", reply::forward("center")),
        String::new(),
    ]
    .join("\n")
}

/// What 0.1.1 brought, but for waiting.
fn keep() -> String {
    metrics::count("kept", &["a".to_owned()], 2);
    metrics::set("level", &[], 0.5);
    metrics::observe("size", &[], 3.0);
    [
        format!("called on {:?}", request::called_on()),
        format!("route version {} {}", routes::route_version("unknown"), routes::route_version("T") > 0),
        format!("put {:?}", state::put("k", b"v")),
        format!("get {:?} {:?}", state::get("k"), state::get("unknown")),
        format!("swap {:?}", state::compare_and_swap("k", Some(b"v"), Some(b"w"))),
        format!("no swap {:?}", state::compare_and_swap("k", None, None)),
        format!("delete {:?}", state::delete("k")),
        format!("increment {:?} {:?}", state::increment("n", 5), state::increment("n", -1)),
        format!("invalid {:?}", state::put("", b"")),
        String::new(),
    ]
    .join("\n")
}

/// Answers when the route of `T` changes, or after a millisecond.
fn wait() {
    let on = request::called_on();
    if on == request::Occasion::Arrived {
        return reply::when_changed("T", routes::route_version("T"), 1).expect("there is a seat");
    }
    let again = reply::when_changed("T", 0, 1);
    tell(&format!("called on {on:?} {again:?}"));
}

export_processor!(Contract, glancing);
