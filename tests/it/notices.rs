//! What brokers are told of their group, at the addresses that they registered.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use fingerpost::config::{Config, Grant, SerializeType};
use fingerpost::remoting::{Command, LanguageCode};

use crate::guests::{allow, component, drop_in_bytes, log, with_manifest};
use crate::harness::{Client, Server};
use crate::requests::{Broker, Reply, change_settings};

/// What comes, comes well before this.
const PATIENCE: Duration = Duration::from_secs(20);

/// The other end of a broker's address: takes every connection, one after the other, and keeps every frame.
struct Ear {
    address: SocketAddr,
    frames: Receiver<Bytes>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    fn open() -> Self {
        Self::at(IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("a port is free")
    }

    fn at(ip: IpAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        let address = listener.local_addr()?;
        let (sender, frames) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                while let Some(frame) = read_frame(&mut stream) {
                    // The test may have heard enough.
                    let _ = sender.send(frame);
                }
            }
        });
        Ok(Self { address, frames, stop, thread: Some(thread) })
    }

    fn address(&self) -> String {
        self.address.to_string()
    }

    #[track_caller]
    fn hear_frame(&self) -> Bytes {
        self.frames.recv_timeout(PATIENCE).expect("the broker is told")
    }

    #[track_caller]
    fn hear(&self) -> Command {
        Command::decode(self.hear_frame()).expect("the server writes valid frames")
    }

    /// The fields of the next message.
    #[track_caller]
    fn hear_fields(&self) -> BTreeMap<String, String> {
        let told = self.hear();
        let fields = told.fields.as_ref().expect("it has fields");
        fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// Everything that was said up to now, when nobody speaks any more.
    fn all(&self) -> Vec<Bytes> {
        self.frames.try_iter().collect()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_frame(stream: &mut TcpStream) -> Option<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame.into())
}

/// A server that tells brokers, as far as `edit` leaves it so.
fn telling_with(edit: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(|config, _| {
        config.route.notify_min_broker_id_changed = true;
        edit(config);
    })
}

fn telling() -> Server {
    telling_with(|_| {})
}

/// A member of the group `a`, which allows an acting master, at an address of ours.
fn member(id: i64, address: &str) -> Broker {
    Broker::new("a").id(id).address(address).field("enableActingMaster", "true").topics(&["T", "U"])
}

fn fields(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn when_the_master_leaves_all_that_remain_are_told_who_is_the_smallest_now() {
    let server = telling();
    let mut client = server.client();
    let (master, first, second) = (Ear::open(), Ear::open(), Ear::open());
    for (id, ear) in [(0, &master), (2, &second), (1, &first)] {
        member(id, &ear.address()).register(&mut client);
    }
    // Until then no registration made an id smaller than the smallest; the first of a group never does.
    let told = second.frames.try_recv();
    assert!(told.is_err(), "{told:?}");

    client.ask(member(0, &master.address()).departure());

    let (frames, opaque) = (first.hear_frame(), second.hear().opaque);
    let told = Command::decode(frames.clone()).expect("the server writes valid frames");
    assert_eq!((told.code, told.flag, told.version, told.language), (905, 2, 513, LanguageCode::JAVA));
    assert_eq!((told.opaque, told.body.len(), told.remark.is_none()), (opaque, 0, true), "the same message to all");
    let header = format!(
        r#""extFields":{{"offlineBrokerAddr":"{}","minBrokerAddr":"{}","minBrokerId":"1"}}"#,
        master.address(),
        first.address()
    );
    let text = String::from_utf8_lossy(&frames);
    assert!(text.contains(&header), "{text}");
}

#[test]
fn when_a_smaller_id_joins_all_others_are_told_where_it_serves_slaves() {
    let server = telling();
    let mut client = server.client();
    let (master, first, second) = (Ear::open(), Ear::open(), Ear::open());
    let address = master.address();
    for (id, ear) in [(1, &first), (2, &second)] {
        // It does not matter here whether the group allows an acting master.
        Broker::new("a").id(id).address(&ear.address()).topics(&["T", "U"]).register(&mut client);
    }

    let newcomer = Broker::new("a").address(&address).topics(&["T", "U"]).field("haServerAddr", "10.0.0.1:10912");
    newcomer.register(&mut client);

    let expected = fields(&[("minBrokerId", "0"), ("minBrokerAddr", &address), ("haBrokerAddr", "10.0.0.1:10912")]);
    assert_eq!(first.hear_fields(), expected);
    assert_eq!(second.hear_fields(), expected);
    drop(server);
    assert_eq!(master.all(), Vec::<Bytes>::new(), "the newcomer knows");
}

#[test]
fn a_broker_that_loses_its_connection_or_falls_silent_has_left_as_well() {
    let server = telling();
    let (master, first, second) = (Ear::open(), Ear::open(), Ear::open());
    let (mut of_master, mut client) = (server.client(), server.client());
    member(0, &master.address()).register(&mut of_master);
    member(1, &first.address()).timeout_ms(30_000).register(&mut client);
    member(2, &second.address()).timeout_ms(90_000).register(&mut client);

    drop(of_master);
    assert_eq!(first.hear().field_text("offlineBrokerAddr"), master.address());
    assert_eq!(second.hear().field_text("minBrokerId"), "1");

    server.clock.advance(Duration::from_secs(31));
    assert_eq!(server.scan(), 1);
    let told = second.hear();
    assert_eq!((told.field_text("minBrokerId"), told.field_text("offlineBrokerAddr")), ("2", &*first.address()));
}

#[test]
fn a_group_that_allows_no_acting_master_is_not_told_of_departures() {
    let server = telling();
    let mut client = server.client();
    let slave = Ear::open();
    let master = Broker::new("a").topics(&["T", "U"]);
    master.register(&mut client);
    let of_slave = Broker::new("a").id(5).address(&slave.address()).topics(&["T", "U"]);
    of_slave.register(&mut client);

    client.ask(master.departure());
    // A joining is told to anybody, so this is what it hears first.
    Broker::new("a").id(4).topics(&["T", "U"]).register(&mut client);

    assert_eq!(slave.hear().field_text("minBrokerId"), "4");
}

#[test]
fn nobody_is_told_unless_the_operator_wants_it_who_may_change_his_mind() {
    let server = Server::start();
    let mut client = server.client();
    let slave = Ear::open();
    let join = |client: &mut Client, id| drop(Broker::new("a").id(id).topics(&["T", "U"]).register(client));
    Broker::new("a").id(9).address(&slave.address()).topics(&["T", "U"]).register(&mut client);

    join(&mut client, 8);
    client.ask(change_settings("notifyMinBrokerIdChanged=true"));
    join(&mut client, 7);
    assert_eq!(slave.hear().field_text("minBrokerId"), "7");
    client.ask(change_settings("notifyMinBrokerIdChanged=false"));
    join(&mut client, 6);
    client.ask(change_settings("notifyMinBrokerIdChanged=true"));
    join(&mut client, 5);
    assert_eq!(slave.hear().field_text("minBrokerId"), "5");
}

#[test]
fn brokers_that_are_gone_or_do_not_read_keep_the_news_from_nobody() {
    log();
    let server = telling();
    let mut client = server.client();
    let closed = TcpListener::bind(("127.0.0.1", 0)).and_then(|gone| gone.local_addr()).expect("a port was free");
    let deaf = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let deaf_address = deaf.local_addr().expect("it has an address").to_string();
    let (early, late) = (Ear::open(), Ear::open());
    // 192.0.2.0/24 is nobody's; a name with a dot at its end is looked up as it is.
    let addresses = [
        &*closed.to_string(),
        &early.address(),
        &deaf_address,
        "192.0.2.1:10911",
        "no-such-broker.invalid.:10911",
        "not an address",
        &late.address(),
    ];
    for (id, address) in (10..).zip(addresses) {
        member(id, address).register(&mut client);
    }

    member(1, "m:1").register(&mut client);

    assert_eq!(early.hear().field_text("minBrokerId"), "1");
    assert_eq!(late.hear().field_text("minBrokerId"), "1");
    client.wait_until(|_| !log().lines(&["a broker: not told", &closed.to_string()]).is_empty());
    assert!(!log().lines(&["a broker: not told: its address is not host:port", "not an address"]).is_empty());
}

#[test]
fn one_broker_hears_of_changes_in_the_order_in_which_they_happened() {
    let server = telling();
    let mut client = server.client();
    let slave = Ear::open();
    Broker::new("a").id(1000).address(&slave.address()).topics(&["T", "U"]).register(&mut client);

    // From many connections, which the threads of the lane serve side by side, each after the other's answer.
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    let ids: Vec<i64> = (1..100).rev().collect();
    for (at, id) in ids.iter().enumerate() {
        Broker::new("a").id(*id).topics(&["T", "U"]).register(&mut clients[at % 8]);
    }

    // What is still on its way may be dropped for newer news, though never the newest.
    let mut heard = Vec::new();
    while heard.last() != Some(&1) {
        heard.push(slave.hear().field_text("minBrokerId").parse::<i64>().expect("a number"));
    }
    assert!(heard.is_sorted_by(|before, after| before > after), "{heard:?}");
}

#[test]
fn a_server_that_stops_does_not_tell_brokers_that_the_others_have_left() {
    let mut server = telling();
    let (mut of_master, mut client) = (server.client(), server.client());
    let slave = Ear::open();
    member(0, "m:1").register(&mut of_master);
    member(1, &slave.address()).register(&mut client);

    server.stop();

    assert!(of_master.receive().is_none(), "its connection is closed");
    assert_eq!(slave.all(), Vec::<Bytes>::new());
}

#[test]
fn brokers_at_ipv6_addresses_and_names_are_told() {
    let server = telling();
    let mut client = server.client();
    let Ok(ear) = Ear::at(IpAddr::V6(Ipv6Addr::LOCALHOST)) else {
        assert!(std::env::var_os("CI").is_none(), "this machine has no IPv6");
        return eprintln!("skipped: this machine has no IPv6");
    };
    let named = Ear::open();
    let port = ear.address.port();

    // With the brackets that Java writes, and without, as an operator may.
    let addresses = [format!("[::1]:{port}"), format!("::1:{port}"), format!("localhost:{}", named.address.port())];
    for (id, address) in (10..).zip(&addresses) {
        member(id, address).register(&mut client);
    }
    member(1, "m:1").register(&mut client);

    for ear in [&ear, &ear, &named] {
        assert_eq!(ear.hear().field_text("minBrokerId"), "1");
    }
}

#[test]
fn the_message_is_written_as_replies_are() {
    let server = telling_with(|config| config.net.serialize_type = SerializeType::Rocketmq);
    let mut client = server.client();
    let slave = Ear::open();
    member(1, &slave.address()).register(&mut client);

    member(0, "m:1").register(&mut client);

    let frame = slave.hear_frame();
    assert_eq!(frame[4], 1, "the kind of header");
    assert_eq!(Command::decode(frame).expect("the server writes valid frames").field_text("minBrokerAddr"), "m:1");
}

/// A server with a stand-in for `brokers`, which says something else.
fn with_other_brokers(stand_in: &[u8], overrides: bool, grants: &[Grant], edit: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(|config, home| {
        config.route.notify_min_broker_id_changed = true;
        drop_in_bytes(home, "other-brokers.wasm", stand_in);
        allow(config, "other-brokers.wasm", overrides, grants);
        edit(config);
    })
}

/// The code of what a slave is told when its master joins.
#[track_caller]
fn code_told(server: &Server) -> i32 {
    let slave = Ear::open();
    let mut client = server.client();
    member(1, &slave.address()).register(&mut client);
    member(0, "m:1").register(&mut client);
    slave.hear().code
}

#[test]
fn what_brokers_are_told_is_said_by_the_plugin_that_answers_them() {
    let other = with_manifest(component("brokers"), "code = 905", "code = 995");
    let write = &[Grant::RoutesWrite];
    let without_ours = |config: &mut Config| config.plugins.disabled.push("brokers".to_owned());

    let overriding = with_other_brokers(&other, true, write, |_| {});
    let standing_in = with_other_brokers(&other, false, write, without_ours);
    let rejected = with_other_brokers(&other, false, write, |_| {});

    assert_eq!(code_told(&overriding), 995);
    assert_eq!(code_told(&standing_in), 995);
    assert_eq!(code_told(&rejected), 905, "it had no word for it");
}
