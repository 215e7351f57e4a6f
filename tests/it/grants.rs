//! What the operator grants a plugin, and what it gets without: of the server's stores, and of the machine by WASI.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use fingerpost::config::{Grant, HttpListen};
use fingerpost::remoting::Command;

use crate::guests::{allow, drop_in, log};
use crate::harness::{Ask, Server};

/// What `wasi-guest` answers, and `misbehaving`.
const ASK_WASI: i32 = 9300;
const MISBEHAVE: i32 = 9100;

fn try_to(how: &str) -> Ask {
    Ask::new(ASK_WASI).field("how", how)
}

#[track_caller]
fn field<'a>(reply: &'a Command, name: &str) -> &'a str {
    reply.field(name).unwrap_or_else(|| panic!("{reply:?} has no field {name}"))
}

fn grants(texts: &[&str]) -> Vec<Grant> {
    texts.iter().map(|text| text.parse().expect("a grant")).collect()
}

/// A server whose `wasi-guest` may do this.
fn start(granted: impl FnOnce(&std::path::Path) -> Vec<Grant>) -> Server {
    Server::start_with(|config, home| {
        config.plugins.lane_deadline = Duration::from_millis(300);
        fs::create_dir(home.join("ours")).expect("the home is writable");
        fs::write(home.join("ours/file"), "contents").expect("so is this");
        fs::write(home.join("secret"), "secret").expect("and this");
        drop_in(home, "wasi-guest");
        allow(config, "wasi-guest.wasm", false, &granted(home));
    })
}

#[test]
fn files_are_read_and_written_below_the_directories_that_are_granted_and_nowhere_else() {
    let grant =
        |home: &std::path::Path, what: &str| grants(&[&format!("files.{what}:{}", home.join("ours").display())]);
    let try_all = |server: &Server| {
        let (mut client, home) = (server.client(), server.home().to_path_buf());
        let mut told = |how: &str, what: &str, path: &str| {
            let reply = client.ask(try_to(how).field("path", &home.join(path).display().to_string()));
            field(&reply, what).to_owned()
        };
        [
            told("read", "read", "ours/file"),
            told("write", "written", "ours/new"),
            told("read", "read", "secret"),
            told("read", "read", "ours/../secret"),
        ]
    };

    let nothing = try_all(&start(|_| Vec::new()));
    assert!(nothing.iter().all(|told| told.starts_with("Err(\"denied")), "{nothing:?}");

    let server = start(|home| grant(home, "read"));
    let [read, written, other, detour] = try_all(&server);
    assert_eq!(read, "Ok(\"contents\")");
    assert!(
        [&written, &other, &detour].iter().all(|told| told.starts_with("Err(\"denied")),
        "{written} {other} {detour}"
    );
    assert!(!server.home().join("ours/new").exists());

    let server = start(|home| grant(home, "write"));
    let [read, written, other, detour] = try_all(&server);
    assert_eq!((&*read, &*written), ("Ok(\"contents\")", "Ok(7)"));
    assert!([&other, &detour].iter().all(|told| told.starts_with("Err(\"denied")), "{other} {detour}");
    assert_eq!(fs::read(server.home().join("ours/new")).unwrap(), b"written");
}

#[test]
fn a_directory_that_is_not_there_is_told_and_keeps_nothing_else_from_working() {
    log();
    let server = start(|home| grants(&[&format!("files.read:{}", home.join("missing").display())]));
    let missing = server.home().join("missing").display().to_string();

    let reply = server.client().ask(try_to("read").field("path", &missing));

    assert!(field(&reply, "read").starts_with("Err(\"denied"));
    assert!(!log().lines(&["cannot be opened", &missing]).is_empty());
}

#[test]
fn a_plugin_connects_to_the_addresses_that_are_granted_and_waits_no_longer_than_its_deadline() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let ask = || try_to("connect").field("address", &address.to_string());
    let (port, other) = (address.port(), if address.port() == 1 { 2 } else { 1 });

    for denied in
        [vec![], grants(&[&format!("network:127.0.0.1:{other}")]), grants(&[&format!("network:127.0.0.2:{port}")])]
    {
        let told = start(|_| denied).client().ask(ask());
        assert!(field(&told, "said").starts_with("Err(\"denied"), "{told:?}");
    }
    let server = start(|_| grants(&["network:127.0.0.0/8:*"]));
    let mut client = server.client();
    client.send(&ask());
    listener.accept().unwrap().0.write_all(b"hello").unwrap();
    assert_eq!(field(&client.receive().unwrap(), "said"), "Ok(\"hello\")");

    client.send(&ask());
    let silent = listener.accept().unwrap();
    let ended = client.receive().unwrap();
    assert_eq!((ended.code, ended.remark.unwrap().contains("deadline")), (2, true));
    drop(silent);
}

#[test]
fn a_variable_a_clock_and_random_numbers_have_to_be_granted_one_by_one() {
    let path = std::env::var("PATH").expect("a test has one");
    let mut told = Vec::new();
    for granted in [vec![], grants(&["environment:PATH", "clocks", "random"])] {
        // Each connection may have another instance; none of them knows more than another.
        let server = start(|_| granted);
        let mut client = server.client();
        let environment = field(&client.ask(Ask::new(ASK_WASI)), "environment").to_owned();
        let time = client.ask(try_to("time"));
        let random = field(&client.ask(try_to("random")), "random").to_owned();
        told.push((environment, field(&time, "seconds").parse::<u64>().unwrap(), random));
    }
    let again = start(|_| Vec::new()).client().ask(try_to("random"));

    let [(no_environment, no_time, not_random), (environment, time, random)] = &told[..] else { panic!("two") };
    assert_eq!((&**no_environment, *no_time, &**not_random), ("[]", 0, field(&again, "random")));
    assert_eq!(*environment, format!("{:?}", [("PATH", &path)]));
    assert!(*time > 1_600_000_000, "{time}");
    assert_ne!(random, not_random);
}

#[test]
fn what_a_guest_prints_is_in_the_log_line_by_line() {
    log();
    let server = start(|_| Vec::new());
    let text = format!("printed by the test on port {}", server.address().port());
    let mut client = server.client();

    client.ask(try_to("print").field("text", &text));
    client.ask(try_to("print").field("text", &text));

    assert!(!log().lines(&["wasi-guest", &format!("out: {text}")]).is_empty());
    assert!(!log().lines(&["wasi-guest", &format!("err: {text}")]).is_empty());
}

#[test]
fn a_grant_for_one_namespace_of_the_kv_store_is_for_no_other() {
    let write = |granted: &str| {
        let server = Server::start_with(|config, home| {
            drop_in(home, "misbehaving");
            allow(config, "misbehaving.wasm", false, &grants(&[granted]));
        });
        let told = server.client().ask(Ask::new(MISBEHAVE).field("how", "write"));
        field(&told, "kv.put").to_owned()
    };

    assert_eq!(write("kv.write:misbehaving"), "Ok(())");
    assert!(write("kv.write:other").contains("the plugin has no grant kv.write:misbehaving"));
}

#[test]
fn the_list_of_plugins_says_what_is_granted_what_is_denied_and_the_line_that_would_grant_it() {
    let server = Server::start_with(|config, home| {
        config.admin.http_listen = HttpListen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        drop_in(home, "wasi-guest");
        allow(config, "wasi-guest.wasm", false, &grants(&["kv.write", "random"]));
    });

    let plugins = server.running().plugins();
    let status = plugins.iter().find(|status| status.name.as_deref() == Some("wasi-guest")).unwrap();

    assert_eq!(status.granted, ["kv.write", "random"]);
    assert_eq!(status.denied, ["files.read:/srv/wasi-guest", "clocks"], "a namespace is part of the whole");
    let all = r#"["kv.write", "random", "files.read:/srv/wasi-guest", "clocks"]"#;
    assert_eq!(status.to_grant, Some(format!("plugins.files.\"wasi-guest.wasm\".grants = {all}")));
    let mut stream = TcpStream::connect(server.http()).unwrap();
    stream.write_all(b"GET /plugins HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("\"to-grant\": \"plugins.files."), "{page}");
}
