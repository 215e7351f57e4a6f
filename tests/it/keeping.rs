//! What plugins keep from one call to the next, and what they count for themselves.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use fingerpost::config::{ByteSize, HttpListen};
use fingerpost::remoting::Command;

use crate::guests::{component, drop_in, drop_in_bytes, with_section, with_text};
use crate::harness::{Ask, Client, Server};

/// What `counter-processor` answers.
const COUNT: i32 = 9002;

fn count(name: &str) -> Ask {
    Ask::new(COUNT).field("name", name)
}

#[track_caller]
fn counted(reply: &Command) -> u64 {
    assert_eq!(reply.code, 0, "{reply:?}");
    reply.field("count").expect("an answer with a count").parse().expect("a number")
}

fn start() -> Server {
    Server::start_with(|config, home| {
        // A thread for each connection, and one that plugins of files never have.
        config.net.lane_threads = 5;
        drop_in(home, "counter-processor");
    })
}

fn replace(server: &Server, name: &str, bytes: &[u8]) {
    let part = server.home().join("plugins").join(format!(".{name}"));
    fs::write(&part, bytes).expect("the directory is writable");
    fs::rename(part, server.home().join("plugins").join(name)).expect("both are in one directory");
}

#[test]
fn what_a_plugin_keeps_is_the_same_on_every_connection_and_for_no_other_plugin() {
    let server = Server::start_with(|_, home| {
        drop_in(home, "counter-processor");
        let other = with_text(component("counter-processor"), "code = 9002", "code = 9012");
        drop_in_bytes(home, "other.wasm", &with_text(other, "\"counter-processor\"", "\"counter-processar\""));
    });

    let counts: Vec<u64> = (0..6).map(|_| counted(&server.client().ask(count("a")))).collect();

    assert_eq!(counts, [1, 2, 3, 4, 5, 6]);
    assert_eq!(counted(&server.client().ask(count("b"))), 1);
    assert_eq!(counted(&server.client().ask(Ask::new(9012).field("name", "a"))), 1);
}

#[test]
fn no_count_is_lost_by_reloads_in_the_middle_of_them() {
    const RELOADS: usize = 12;
    const UNDER_WAY: u64 = 8;
    let server = start();
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    let mut highest = 0;

    for round in 0..RELOADS {
        let sent: Vec<_> = clients
            .iter_mut()
            .map(|client| (0..UNDER_WAY).map(|_| client.send(&count("a"))).collect::<Vec<_>>())
            .collect();
        let other = with_section(component("counter-processor"), &format!("build {round}"));
        replace(&server, "counter-processor.wasm", &other);
        server.reload();
        for (client, sent) in clients.iter_mut().zip(sent) {
            let counts: Vec<u64> = client.receive_all(&sent).iter().map(counted).collect();
            highest = counts.into_iter().fold(highest, u64::max);
        }
        assert_eq!(highest, (round as u64 + 1) * 4 * UNDER_WAY, "in round {round}");
    }
}

#[test]
fn what_a_plugin_kept_is_there_when_its_file_comes_back_and_ends_with_the_server() {
    let server = start();
    let file = server.home().join("plugins/counter-processor.wasm");
    assert_eq!(counted(&server.client().ask(count("a"))), 1);

    fs::remove_file(&file).unwrap();
    server.reload();
    assert_eq!(server.client().ask(count("a")).code, 3);
    fs::write(&file, component("counter-processor")).unwrap();
    server.reload();

    assert_eq!(counted(&server.client().ask(count("a"))), 2);
    let again = Server::start_again(server.stop_and_keep_files());
    assert_eq!(counted(&again.client().ask(count("a"))), 1);
}

#[test]
fn an_answer_that_rests_on_what_a_plugin_keeps_is_never_remembered_whatever_it_promises() {
    let server = Server::start_with(|_, home| {
        let promising = with_text(component("counter-processor"), "access = \"client\"", "pure = true      ");
        drop_in_bytes(home, "counter-processor.wasm", &promising);
    });
    // With a clock that stands still every call is a fast one, and after a thousand the workers answer, who remember.
    server.clock.stand_still();
    let mut client = server.client();

    let last = (0..1100).map(|_| counted(&client.ask(count("a")))).last();

    assert_eq!(last, Some(1100));
    let unfit = |why: &str| server.memo().unfit.iter().find(|(name, _)| *name == why).map_or(0, |(_, count)| *count);
    assert!(unfit("wrote") >= 100, "{:?}", server.memo());
}

#[test]
fn a_plugin_keeps_no_more_than_its_quota_and_says_so() {
    let server = Server::start_with(|config, home| {
        config.plugins.state_max = ByteSize::new(1000);
        drop_in(home, "counter-processor");
    });
    let mut client = server.client();

    let replies: Vec<Command> = (0..100).map(|name| client.ask(count(&format!("{name:02}")))).collect();

    let full: Vec<&Command> = replies.iter().filter(|reply| reply.code == 1).collect();
    assert_eq!(full.len(), 100 - 1000 / (2 + 1 + 64));
    let remark = full[0].remark.as_deref().unwrap();
    assert!(remark.contains("`plugins.state-max` allows 1000"), "{remark}");
    assert_eq!(counted(&client.ask(count("00"))), 2, "what is there goes on");
}

#[test]
fn what_a_plugin_declares_and_counts_is_on_the_metrics_page_and_goes_on_after_a_reload() {
    let server = Server::start_with(|config, home| {
        config.admin.http_listen = HttpListen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        drop_in(home, "counter-processor");
    });
    let mut client = server.client();
    for name in ["a", "a", "b\"c"] {
        client.ask(count(name));
    }

    let page = metrics(&server);

    for line in [
        "# TYPE fingerpost_plugin_custom_counted_total counter",
        "fingerpost_plugin_custom_counted_total{plugin=\"counter-processor\"} 3",
        "fingerpost_plugin_custom_highest{plugin=\"counter-processor\",name=\"a\"} 2",
        "fingerpost_plugin_custom_highest{plugin=\"counter-processor\",name=\"b\\\"c\"} 1",
        "fingerpost_plugin_state_bytes{plugin=\"counter-processor\"} 134",
    ] {
        assert!(page.lines().any(|told| told == line), "{line:?} is not in\n{page}");
    }
    replace(&server, "counter-processor.wasm", &with_section(component("counter-processor"), "another build"));
    server.reload();
    client.ask(count("a"));
    assert!(metrics(&server).contains("custom_counted_total{plugin=\"counter-processor\"} 4\n"));
}

#[test]
fn a_metric_that_is_not_declared_costs_the_call_and_nobody_else() {
    let undeclared = with_text(component("counter-processor"), "name = \"counted\"", "name = \"countad\"");
    let server = Server::start_with(|_, home| drop_in_bytes(home, "counter.wasm", &undeclared));
    let mut client = server.client();

    let failed = client.ask(count("a"));

    assert_eq!(
        (failed.code, failed.remark.as_deref()),
        (2, Some("plugin counter-processor is unavailable: it failed"))
    );
    assert_eq!(client.ask(Ask::new(206)).code, 0);
}

fn metrics(server: &Server) -> String {
    let mut stream = TcpStream::connect(server.http()).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in text");
    answer
}
