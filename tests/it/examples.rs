//! The examples do in a running server what their pages say, in whatever language they are written.
//!
//! Those in Rust and C are committed. Those in JavaScript and Python bring an interpreter along and are not:
//! `examples/build` makes them, and without it their tests say that they are skipped; where everything is to be tested,
//! they fail.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;
use std::time::Duration;

use fingerpost::config::{ByteSize, Config};
use fingerpost::remoting::Command;
use fingerpost::server::Reloaded;

use crate::guests::{component, drop_in, drop_in_bytes, log, register, with_section};
use crate::harness::{Ask, Client, Server};
use crate::plugins::hello_client;

/// The same processor in every language, and the code that each answers.
const RUST: (&str, i32) = ("hello-processor", 9001);
const C: (&str, i32) = ("hello-c", 9011);
const JAVASCRIPT: (&str, i32) = ("hello-js", 9012);
const PYTHON: (&str, i32) = ("hello-python", 9013);
/// A processor in JavaScript that never ends.
const ENDLESS: (&str, i32) = ("endless-js", 9019);

/// A component that `examples/build` makes; none where it has not been run.
fn built(name: &str) -> Option<Vec<u8>> {
    let dir = std::env::var_os("FINGERPOST_TEST_EXAMPLES").unwrap_or_else(|| "target/guest/examples".into());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir).join(format!("{name}.wasm"));
    let found = fs::read(&path).ok();
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is not there: examples/build", path.display());
        // Not by a macro, whose output nobody sees of a test that passes.
        let _ = writeln!(stderr(), "SKIPPED: {} is not there; examples/build makes it", path.display());
    }
    found
}

/// What the page of `hello-python` says that its size asks for.
fn allow_large(config: &mut Config) {
    config.plugins.component_size_max = ByteSize::mib(32);
}

/// A server with these components, and two topics.
fn start(components: &[(&str, Vec<u8>)]) -> (Server, Client) {
    let server = Server::start_with(|config, home| {
        allow_large(config);
        for (name, bytes) in components {
            drop_in_bytes(home, &format!("{name}.wasm"), bytes);
        }
    });
    let mut broker = server.client();
    register(&mut broker, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    (server, broker)
}

/// What each of the examples does.
fn greets((name, code): (&str, i32), bytes: Vec<u8>) {
    let (server, _broker) = start(&[(name, bytes)]);

    for who in ["Ada", "Zoë 🦀", ""] {
        let greeting = hello_client::greet(server.address(), code, who).expect("it answers");
        assert_eq!(greeting, format!("hello, {who} (there are 2 topics)"), "{name}");
    }
    let refused = server.client().ask(Ask::new(code));
    let remark = refused.remark.as_deref();
    assert_eq!((refused.code, remark), (1, Some("the field name is missing or malformed")), "{name}");
}

#[test]
fn the_example_in_rust_greets() {
    greets(RUST, component(RUST.0));
}

#[test]
fn the_example_in_c_greets() {
    greets(C, component(C.0));
}

#[test]
fn the_example_in_javascript_greets() {
    if let Some(bytes) = built(JAVASCRIPT.0) {
        greets(JAVASCRIPT, bytes);
    }
}

#[test]
fn the_example_in_python_greets() {
    if let Some(bytes) = built(PYTHON.0) {
        greets(PYTHON, bytes);
    }
}

#[test]
fn the_same_processor_in_every_language_runs_side_by_side() {
    let (Some(javascript), Some(python)) = (built(JAVASCRIPT.0), built(PYTHON.0)) else { return };
    let all = [RUST, C, JAVASCRIPT, PYTHON];
    let bytes = [component(RUST.0), component(C.0), javascript, python];
    let components: Vec<_> = all.iter().map(|(name, _)| *name).zip(bytes).collect();

    let (server, _broker) = start(&components);

    for (name, code) in all {
        let greeting = hello_client::greet(server.address(), code, "Ada").unwrap();
        assert_eq!(greeting, "hello, Ada (there are 2 topics)", "{name}");
    }
}

#[test]
fn an_example_in_an_interpreter_lives_through_a_reload() {
    let Some(bytes) = built(JAVASCRIPT.0) else { return };
    let (name, code) = JAVASCRIPT;
    let (server, mut client) = start(&[(name, bytes.clone())]);
    let ask = Ask::new(code).field("name", "Ada");

    for generation in 2..5 {
        let answers = |client: &mut Client| {
            let reply = client.ask(ask.clone());
            assert_eq!(reply.field("greeting").map(|text| &**text), Some("hello, Ada"), "{reply:?}");
        };
        answers(&mut client);
        drop_in_bytes(server.home(), &format!("{name}.wasm"), &with_section(bytes.clone(), &generation.to_string()));
        assert_eq!(server.reload(), Reloaded::Generation(generation));
        answers(&mut client);
    }
}

#[test]
fn an_interpreter_that_never_ends_misses_its_deadline_and_is_started_again() {
    let Some(bytes) = built(ENDLESS.0) else { return };
    let (name, code) = ENDLESS;
    let server = Server::start_with(|config, home| {
        config.plugins.lane_deadline = Duration::from_millis(200);
        drop_in_bytes(home, &format!("{name}.wasm"), &bytes);
    });
    let mut client = server.client();

    for _ in 0..2 {
        let late = client.ask(Ask::new(code).field("how", "for ever"));
        let remark = late.remark.as_deref();
        assert_eq!((late.code, remark), (2, Some("plugin endless-js is unavailable: it missed its deadline")));
        assert_eq!(client.ask(Ask::new(code)).code, 0);
    }
}

#[test]
fn a_component_that_is_too_large_is_rejected_with_the_line_that_would_allow_it() {
    log();
    let Some(bytes) = built(PYTHON.0) else { return };
    let server = Server::start_with(|_, home| drop_in_bytes(home, "hello-python.wasm", &bytes));

    let file = server.home().join("plugins/hello-python.wasm").display().to_string();
    let told = log().lines(&["plugin rejected", &file]);
    assert!(told.iter().any(|line| line.contains("set `component-size-max` in [plugins]")), "{told:?}");
    assert_eq!(server.client().ask(Ask::new(PYTHON.1)).code, 3);
}

/// The brokers of a route in the order in which they are shown.
fn shown(reply: &Command) -> Vec<&'static str> {
    let body = std::str::from_utf8(&reply.body).expect("a route is text");
    let mut places: Vec<_> =
        ["a", "b", "c"].into_iter().filter_map(|name| Some((body.find(&format!("{name}:10911"))?, name))).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn a_client_that_names_its_zone_is_shown_its_brokers_first_when_the_chain_has_the_example() {
    let start = |chain: &[&str]| {
        let server = Server::start_with(|config, home| {
            config.policies.chain = chain.iter().map(|name| (*name).to_owned()).collect();
            drop_in(home, "zone-first");
        });
        let mut broker = server.client();
        // Each in a zone of its own name.
        for name in ["a", "b", "c"] {
            register(&mut broker, name, r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
        }
        (server, broker)
    };
    let lookup = || Ask::new(105).field("topic", "T");
    let (server, _broker) = start(&["acting-master", "zone", "zone-first"]);
    let mut client = server.client();

    assert_eq!(shown(&client.ask(lookup())), ["a", "b", "c"]);
    assert_eq!(shown(&client.ask(lookup().field("__ZONE_NAME", "b"))), ["b", "a", "c"]);
    assert_eq!(shown(&client.ask(lookup().field("__ZONE_NAME", "C"))), ["c", "a", "b"]);
    assert_eq!(shown(&client.ask(lookup().field("__ZONE_NAME", "elsewhere"))), ["a", "b", "c"]);
    // Whoever wants the others left out still gets that.
    let only = client.ask(lookup().field("__ZONE_NAME", "b").field("__ZONE_MODE", "true"));
    assert_eq!(shown(&only), ["b"]);

    let (without, _broker) = start(&["acting-master", "zone"]);
    assert_eq!(shown(&without.client().ask(lookup().field("__ZONE_NAME", "b"))), ["a", "b", "c"]);
}
