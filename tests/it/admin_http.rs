//! What those who watch the server are told over HTTP.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use fingerpost::config::HttpListen;

use crate::guests::{drop_in, drop_in_bytes};
use crate::harness::{Ask, Server};
use crate::requests::{Broker, Reply, cluster_info, kv_put, route};

fn watched() -> Server {
    Server::start_with(|config, _| config.admin.http_listen = HttpListen::from(SocketAddr::from(([127, 0, 0, 1], 0))))
}

/// Sends bytes, and returns all that comes until the connection is closed.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and its end");
    answer
}

/// The status and the body.
pub(crate) fn get(server: &Server, path: &str) -> (u16, String) {
    let answer = exchange(server.http(), &format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    (status, body.to_owned())
}

/// The value of a line of the metrics.
pub(crate) fn value(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|other| other.strip_prefix(line)?.strip_prefix(' '));
    found.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {line} in {text}"))
}

#[test]
fn requests_connections_and_tables_are_counted() {
    let server = watched();
    let (mut broker, mut client) = (server.client(), server.client());
    Broker::new("a").topics(&["T", "U"]).register(&mut broker);
    assert_eq!(client.ask(route("T")).code, 0);
    assert_eq!(client.ask(route("NONE")).code, 17);
    assert_eq!(client.ask(Ask::new(9999)).code, 3);
    assert_eq!(client.ask(kv_put("n", "k", "v")).code, 0);

    let (status, text) = get(&server, "/metrics");

    assert_eq!(status, 200);
    for (line, expected) in [
        ("fingerpost_ready", 1.0),
        ("fingerpost_topics", 2.0),
        ("fingerpost_brokers", 1.0),
        ("fingerpost_requests_total{code=\"105\",outcome=\"success\"}", 1.0),
        ("fingerpost_requests_total{code=\"105\",outcome=\"error\"}", 1.0),
        ("fingerpost_requests_total{code=\"103\",outcome=\"success\"}", 1.0),
        ("fingerpost_requests_total{code=\"other\",outcome=\"unsupported\"}", 1.0),
        ("fingerpost_registrations_total{outcome=\"accepted\"}", 1.0),
        ("fingerpost_kv_writes_total{outcome=\"done\"}", 1.0),
        ("fingerpost_kv_commits_total{outcome=\"done\"}", 1.0),
        ("fingerpost_kv_entries", 1.0),
    ] {
        assert_eq!(value(&text, line), expected, "{line}");
    }
    // A topic that is not there may take a second, closer look.
    assert!(value(&text, "fingerpost_plugin_calls_total{plugin=\"lookup\"}") >= 2.0);
    let of_workers = |name: &str| (0..2).map(|at| value(&text, &format!("{name}{{worker=\"{at}\"}}"))).sum::<f64>();
    assert_eq!(of_workers("fingerpost_connections"), 2.0);
    assert_eq!(of_workers("fingerpost_frames_total"), 5.0);
    assert_eq!(of_workers("fingerpost_reads_total"), 5.0);
    assert!(value(&text, "fingerpost_turn_seconds_count") >= 5.0);
    assert!(value(&text, "process_cpu_seconds_total") > 0.0);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
}

#[test]
fn brokers_that_go_and_connections_that_close_are_counted_by_reason() {
    let server = watched();
    let (mut first, mut second, mut third) = (server.client(), server.client(), server.client());
    Broker::new("a").register(&mut first);
    Broker::new("b").register(&mut second);
    Broker::new("c").register(&mut third);
    assert_eq!(first.ask(Broker::new("a").departure()).code, 0);
    drop(second);
    third.wait_until(|client| !client.ask(cluster_info()).text().contains("\"b\""));
    server.clock.advance(Duration::from_secs(121));
    assert_eq!(server.scan(), 1);
    assert!(third.receive().is_none());
    let mut stranger = server.client();
    stranger.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    assert!(stranger.receive().is_none());

    let removed =
        |text: &str, reason: &str| value(text, &format!("fingerpost_brokers_removed_total{{reason=\"{reason}\"}}"));
    let closed =
        |text: &str, reason: &str| value(text, &format!("fingerpost_connections_closed_total{{reason=\"{reason}\"}}"));
    // The socket is closed before that is counted.
    first.wait_until(|_| closed(&get(&server, "/metrics").1, "stranger") == 1.0);
    let (_, text) = get(&server, "/metrics");

    for reason in ["unregistered", "disconnected", "expired"] {
        assert_eq!(removed(&text, reason), 1.0, "{reason}");
    }
    assert_eq!((closed(&text, "peer"), closed(&text, "requested")), (1.0, 1.0));
}

#[test]
fn the_table_of_metrics_names_all_that_is_shown_with_its_labels() {
    let server = watched();
    assert_eq!(server.client().ask(cluster_info()).code, 0);
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/METRICS.md")).expect("it is there");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let documented: BTreeSet<String> = rows
        .map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            format!("{} {} {}", cells[0].trim_end_matches('`'), cells[1], cells[2].trim().replace(['`', ' '], ""))
        })
        .collect();

    let (_, text) = get(&server, "/metrics");

    let mut shown = BTreeSet::new();
    let mut kind = ("", "");
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            kind = typed.split_once(' ').expect("a name and a kind");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').expect("it is closed").0);
            let labels: Vec<_> = labels.split(',').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
            let labels: Vec<_> = labels.into_iter().filter(|label| *label != "le").collect();
            assert!(name.starts_with(kind.0), "{line} stands below {kind:?}");
            shown.insert(format!("{} {} {}", kind.0, kind.1, labels.join(",")));
        }
    }
    assert_eq!(shown, documented);
}

#[test]
fn readiness_says_what_is_missing_and_life_goes_on() {
    let server = Server::start_with(|config, _| {
        config.admin.http_listen = HttpListen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.requests.need_wait_for_service = true;
    });
    assert_eq!(get(&server, "/livez"), (200, "alive\n".to_owned()));
    let (status, why) = get(&server, "/readyz");
    assert_eq!(status, 503);
    assert!(why.contains("routes: ") && why.contains("`requests.wait-for-service-time`"), "{why}");

    server.clock.advance(Duration::from_secs(46));

    assert_eq!(get(&server, "/readyz"), (200, "ready\n".to_owned()));
}

#[test]
fn only_questions_are_answered() {
    let server = watched();

    let head = exchange(server.http(), "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(exchange(server.http(), "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(exchange(server.http(), "what\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert_eq!(get(&server, "/topics").0, 404);
    let endless = format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(8192));
    assert!(exchange(server.http(), &endless[..8192]).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_taken_address_is_no_reason_not_to_serve() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has one");

    let server = Server::start_with(|config, _| config.admin.http_listen = HttpListen::from(address));

    assert_eq!(server.client().ask(cluster_info()).code, 0);
}

#[test]
fn the_list_of_plugins_tells_where_each_stands_and_why() {
    let server = Server::start_with(|config, home| {
        config.admin.http_listen = HttpListen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        drop_in(home, "hello-processor");
        drop_in_bytes(home, "broken.wasm", b"not at all");
    });
    let listed = || -> serde_json::Value {
        let (status, text) = get(&server, "/plugins");
        assert_eq!(status, 200);
        serde_json::from_str(&text).expect("it is JSON")
    };
    let of = |list: &serde_json::Value, key: &str, value: &str| {
        let all = list["plugins"].as_array().expect("a list");
        let is_it = |one: &&serde_json::Value| one[key].as_str().is_some_and(|found| found.ends_with(value));
        all.iter().find(is_it).unwrap_or_else(|| panic!("no {value} in {list}")).clone()
    };

    let list = listed();
    assert_eq!(list["generation"]["published"], 1);
    let lookup = of(&list, "name", "lookup");
    assert_eq!((&lookup["state"], &lookup["codes"][0], &lookup["file"]), (&"active".into(), &105.into(), &().into()));
    assert_eq!(of(&list, "name", "zone")["policy"], 2);
    let hello = of(&list, "file", "hello-processor.wasm");
    assert_eq!(
        (&hello["state"], &hello["name"], &hello["generation"]),
        (&"active".into(), &"hello-processor".into(), &1.into())
    );
    assert_eq!(hello["sha256"].as_str().map(str::len), Some(64));
    let broken = of(&list, "file", "broken.wasm");
    assert_eq!(broken["state"], "rejected");
    assert!(broken["reason"].as_str().is_some_and(|why| why.contains("not a WebAssembly component")), "{broken}");

    drop_in_bytes(server.home(), "hello-processor.wasm", b"nor this");
    server.reload();
    assert_eq!(of(&listed(), "file", "hello-processor.wasm")["state"], "last-good");
}

#[test]
fn a_plugin_that_is_taken_out_is_told_by_the_list_and_the_metrics_and_one_of_the_servers_own_by_readiness_too() {
    let server = Server::start_with(|config, home| {
        config.admin.http_listen = HttpListen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        drop_in(home, "misbehaving");
        // It asks for the request, and for more.
        config.plugins.embedded.entry("topics".to_owned()).or_default().limits.host_calls_max = Some(1);
    });
    server.clock.stand_still();
    let mut client = server.client();
    let five_times = |client: &mut crate::harness::Client, request: Ask| {
        (0..5).for_each(|_| assert_eq!(client.ask(request.clone()).code, 2));
    };
    five_times(&mut client, Ask::new(9100).field("how", "panic"));
    assert_eq!(client.ask(Ask::new(9100).field("how", "not-at-all")).code, 2);
    assert_eq!(get(&server, "/readyz").0, 200, "whatever a plugin does that somebody dropped in");

    let (_, metrics) = get(&server, "/metrics");
    for (line, expected) in [
        ("fingerpost_plugin_out{plugin=\"misbehaving\"}", 1.0),
        ("fingerpost_plugin_out{plugin=\"lookup\"}", 0.0),
        ("fingerpost_plugin_calls_total{plugin=\"misbehaving\"}", 5.0),
        ("fingerpost_plugin_calls_refused_total{plugin=\"misbehaving\"}", 1.0),
        ("fingerpost_plugin_failures_total{plugin=\"misbehaving\",kind=\"trap\"}", 5.0),
        ("fingerpost_plugin_call_seconds_count{plugin=\"misbehaving\"}", 5.0),
        ("fingerpost_requests_total{code=\"9100\",outcome=\"failed\"}", 6.0),
        ("fingerpost_request_seconds_count{code=\"9100\"}", 5.0),
        ("fingerpost_plugin_distrusted{plugin=\"misbehaving\"}", 0.0),
        ("fingerpost_plugin_since_generation{plugin=\"misbehaving\"}", 1.0),
        ("fingerpost_plugins{state=\"rejected\"}", 0.0),
    ] {
        assert_eq!(value(&metrics, line), expected, "{line}");
    }
    let (_, list) = get(&server, "/plugins");
    let list: serde_json::Value = serde_json::from_str(&list).expect("it is JSON");
    let all = list["plugins"].as_array().expect("a list");
    let trouble = all.iter().filter_map(|one| Some((one["name"].as_str()?, one["trouble"].as_str()?)));
    let told = "it is taken out, because too often it failed; it is tried again in 1s";
    assert_eq!(trouble.collect::<Vec<_>>(), [("misbehaving", told)]);

    five_times(&mut client, Ask::new(206));
    let (status, why) = get(&server, "/readyz");
    assert_eq!((status, &*why), (503, "not ready: plugins: topics is taken out, because it failed too often\n"));
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(client.ask(Ask::new(9100).field("how", "not-at-all")).code, 0);
    assert_eq!(value(&get(&server, "/metrics").1, "fingerpost_plugin_out{plugin=\"misbehaving\"}"), 0.0);
}
