//! Java's keys, one by one: none is missing, each works or says why not, and 318 and 319 treat them as documented.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use fingerpost::config::java::{Effect, Group, JavaKey, KEYS, Kind};
use fingerpost::config::{Environment, load};

use crate::harness::{Ask, Client, Server};
use crate::process;
use crate::requests::{Broker, Reply, change_settings, kv_put, route, topic_list};

/// Java 5.5.0: the fields of `NamesrvConfig`.
const NAMESRV: &str = "rocketmqHome kvConfigPath configStorePath productEnvName clusterTest orderMessageEnable \
    returnOrderTopicConfigToBroker clientRequestThreadPoolNums defaultThreadPoolNums \
    clientRequestThreadPoolQueueCapacity defaultThreadPoolQueueCapacity scanNotActiveBrokerInterval \
    unRegisterBrokerQueueCapacity supportActingMaster enableAllTopicList enableTopicList notifyMinBrokerIdChanged \
    enableControllerInNamesrv needWaitForService waitSecondsForService deleteTopicWithBrokerRegistration configBlackList";

/// Of `NettyServerConfig`.
const SERVER: &str = "bindAddress listenPort serverWorkerThreads serverCallbackExecutorThreads serverSelectorThreads \
    serverOnewaySemaphoreValue serverAsyncSemaphoreValue serverChannelMaxIdleTimeSeconds serverSocketSndBufSize \
    serverSocketRcvBufSize writeBufferHighWaterMark writeBufferLowWaterMark serverSocketBacklog \
    serverNettyWorkerGroupEnable serverPooledByteBufAllocatorEnable enableShutdownGracefully shutdownWaitTimeSeconds \
    useEpollNativeSelector";

/// Of `NettyClientConfig`.
const CLIENT: &str = "clientWorkerThreads clientCallbackExecutorThreads clientOnewaySemaphoreValue \
    clientAsyncSemaphoreValue connectTimeoutMillis channelNotActiveInterval isScanAvailableNameSrv \
    clientChannelMaxIdleTimeSeconds clientSocketSndBufSize clientSocketRcvBufSize clientPooledByteBufAllocatorEnable \
    clientCloseSocketIfTimeout useTLS socksProxyConfig writeBufferHighWaterMark writeBufferLowWaterMark \
    disableCallbackExecutor disableNettyWorkerGroup maxReconnectIntervalTimeSeconds enableReconnectForGoAway";

/// The constants of `NettySystemConfig` and `TlsSystemConfig`, and the properties that the NameServer reads besides.
const SYSTEM: &str = "com.rocketmq.remoting.nettyPooledByteBufAllocatorEnable com.rocketmq.remoting.socket.sndbuf.size \
    com.rocketmq.remoting.socket.rcvbuf.size com.rocketmq.remoting.socket.backlog \
    com.rocketmq.remoting.clientAsyncSemaphoreValue com.rocketmq.remoting.clientOnewaySemaphoreValue \
    com.rocketmq.remoting.client.worker.size com.rocketmq.remoting.client.connect.timeout \
    com.rocketmq.remoting.client.channel.maxIdleTimeSeconds com.rocketmq.remoting.client.closeSocketIfTimeout \
    com.rocketmq.remoting.write.buffer.high.water.mark com.rocketmq.remoting.write.buffer.low.water.mark \
    com.rocketmq.remoting.frameMaxLength tls.server.mode tls.enable tls.config.file tls.test.mode.enable \
    tls.server.need.client.auth tls.server.keyPath tls.server.keyPassword tls.server.certPath tls.server.authClient \
    tls.server.trustCertPath tls.client.keyPath tls.client.keyPassword tls.client.certPath tls.client.authServer \
    tls.client.trustCertPath tls.ciphers tls.protocols rocketmq.home.dir user.home rocketmq.namesrv.addr \
    rocketmq.namesrv.domain rocketmq.namesrv.domain.subgroup \
    rocketmq.serialize.type";

/// Java: `Configuration.blackList`, whatever `configBlackList` says.
const BLACK_LIST: [&str; 4] = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

#[test]
fn no_key_of_java_is_missing() {
    for (group, javas) in
        [(Group::Namesrv, NAMESRV), (Group::Server, SERVER), (Group::Client, CLIENT), (Group::System, SYSTEM)]
    {
        let ours: BTreeSet<_> = KEYS.iter().filter(|key| key.group == group).map(|key| key.name).collect();
        let missing: Vec<_> = javas.split_whitespace().filter(|name| !ours.contains(name)).collect();
        assert!(missing.is_empty(), "{group:?}: {missing:?}");
        // Java has no more of these; of system properties its libraries know others.
        assert!(group == Group::System || ours.len() == javas.split_whitespace().count(), "{group:?}");
    }
}

/// What loading a file with this one line tells of it.
fn told_of(home: &Path, line: &str) -> Vec<String> {
    let file = home.join("one.properties");
    std::fs::write(&file, line).expect("the temporary directory is writable");
    let environment = Environment { home: Some(home.to_owned()), ..Environment::default() };
    let loaded = load(Some(&file), &environment).unwrap_or_else(|error| panic!("{line}: {error}"));
    loaded.notices.iter().map(|notice| notice.text.clone()).collect()
}

#[test]
fn a_key_without_effect_says_why_when_the_server_starts() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let mut without = 0;
    for key in KEYS {
        let Effect::Nothing(reason) = key.effect else { continue };
        // A client's key of a server's name is never looked at.
        if JavaKey::find(key.name).is_some_and(|first| first.group != key.group) {
            continue;
        }
        let value = match key.kind {
            Kind::Bool => (key.default != Some("true")).to_string(),
            Kind::Int | Kind::Long => "7".to_owned(),
            Kind::Text => "elsewhere".to_owned(),
        };
        let told = told_of(home.path(), &format!("{}={value}", key.name));
        assert_eq!(told, [format!("`{}` is accepted without effect: {reason}", key.name)]);
        without += 1;
    }
    assert!(without > 10, "{without}");
}

fn shown(client: &mut Client) -> BTreeMap<String, String> {
    let reply = client.ask(Ask::new(319));
    assert_eq!(reply.code, 0, "{}", reply.remark_text());
    let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    reply.text().lines().filter_map(pair).collect()
}

/// What request 318 does with a key that it changes: a value it takes, how that is shown, and values that leave it.
const LIVE: [(&str, &str, &str, &[&str]); 10] = [
    ("orderMessageEnable", "TRUE", "true", &[]),
    ("returnOrderTopicConfigToBroker", "no", "false", &[]),
    // Java would take more than a day.
    ("scanNotActiveBrokerInterval", "86400000", "86400000", &["0", "-1", "86400001", "1s", ""]),
    ("supportActingMaster", "True", "true", &[]),
    ("enableAllTopicList", "", "false", &[]),
    ("enableTopicList", "1", "false", &[]),
    ("needWaitForService", "true", "true", &[]),
    ("waitSecondsForService", "+7", "7", &["-1", "86401", "7 ", "0x7", "", "seven", "2147483648"]),
    ("deleteTopicWithBrokerRegistration", "true", "true", &[]),
    ("serverChannelMaxIdleTimeSeconds", "60", "60", &["-1", "1.5", "2147483648"]),
];

#[test]
fn request_318_takes_what_it_may_and_says_success_to_what_it_leaves() {
    let server = Server::start();
    let mut client = server.client();

    for (key, value, taken, left) in LIVE {
        assert_eq!(client.ask(change_settings(&format!("{key}={value}"))).code, 0, "{key}");
        assert_eq!(shown(&mut client)[key], taken, "{key}");
        for value in left {
            let reply = client.ask(change_settings(&format!("{key}={value}")));
            assert_eq!((reply.code, reply.remark_text()), (0, ""), "{key}={value}");
            assert_eq!(shown(&mut client)[key], taken, "{key}={value}");
        }
    }
}

#[test]
fn request_318_leaves_every_other_key_as_it_was() {
    let server = Server::start();
    let mut client = server.client();
    let before = shown(&mut client);

    for key in KEYS.iter().filter(|key| key.effect != Effect::Live) {
        for value in ["7", "true", "x", "-1", ""] {
            let reply = client.ask(change_settings(&format!("{}={value}", key.name)));
            let expected =
                if BLACK_LIST.contains(&key.name) { (16, "Can not update config in black list.") } else { (0, "") };
            assert_eq!((reply.code, reply.remark_text()), expected, "{}={value}", key.name);
        }
    }

    assert_eq!(shown(&mut client), before);
}

#[test]
fn every_key_that_318_changes_is_tried() {
    // Those that are tried where what they do is tested.
    const ELSEWHERE: [&str; 3] = ["notifyMinBrokerIdChanged", "enableShutdownGracefully", "shutdownWaitTimeSeconds"];
    for key in KEYS.iter().filter(|key| key.effect == Effect::Live) {
        assert!(LIVE.iter().any(|row| row.0 == key.name) || ELSEWHERE.contains(&key.name), "{}", key.name);
    }
}

/// Whether what a key decides can be seen to be on.
type Probe = fn(&mut Client) -> bool;

/// A lookup whose topic has an order configuration.
fn has_order(client: &mut Client) -> bool {
    assert_eq!(client.ask(kv_put("ORDER_TOPIC_CONFIG", "T", "a:4")).code, 0);
    client.ask(route("T")).text().contains("a:4")
}

fn tells_brokers_of_orders(client: &mut Client) -> bool {
    assert_eq!(client.ask(kv_put("ORDER_TOPIC_CONFIG", "T", "a:4")).code, 0);
    !client.ask(Broker::new("a").topics(&["T", "U"]).registration()).body.is_empty()
}

fn shows_a_slave_as_master(client: &mut Client) -> bool {
    let slave = Broker::new("s").id(1).address("s:1").field("enableActingMaster", "true");
    slave.topic("S", 4, 4, 0).topic("S2", 4, 4, 0).register(client);
    client.ask(route("S")).text().contains("\"0\":\"s:1\"")
}

fn forgets_topics_that_are_no_longer_named(client: &mut Client) -> bool {
    Broker::new("f").version(1).topics(&["F", "G"]).register(client);
    Broker::new("f").version(2).topics(&["F"]).register(client);
    !client.ask(topic_list()).text().contains("\"G\"")
}

#[test]
fn what_318_changes_counts_from_the_next_request_on() {
    let probes: [(&str, &str, &str, Probe); 6] = [
        ("orderMessageEnable", "true", "false", has_order),
        ("returnOrderTopicConfigToBroker", "true", "false", tells_brokers_of_orders),
        ("enableAllTopicList", "true", "false", |client| client.ask(topic_list()).code == 0),
        ("enableTopicList", "true", "false", |client| client.ask(Ask::new(311)).code == 0),
        ("supportActingMaster", "true", "false", shows_a_slave_as_master),
        ("deleteTopicWithBrokerRegistration", "true", "false", forgets_topics_that_are_no_longer_named),
    ];
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);

    for (key, on, off, probe) in probes {
        for (value, is_on) in [(off, false), (on, true), (off, false)] {
            assert_eq!(client.ask(change_settings(&format!("{key}={value}"))).code, 0);
            assert_eq!(probe(&mut client), is_on, "{key}={value}");
        }
        // Back to what the next probe expects.
        let default = JavaKey::find(key).and_then(|key| key.default).expect("it has a default");
        assert_eq!(client.ask(change_settings(&format!("{key}={default}"))).code, 0);
    }
}

#[test]
fn a_new_idle_timeout_counts_for_connections_that_open_from_then_on() {
    let server = Server::start();
    let mut before = server.client();
    assert_eq!(before.ask(change_settings("serverChannelMaxIdleTimeSeconds=1")).code, 0);
    let mut silent = server.client();

    assert!(silent.receive().is_none(), "it is closed");

    assert_eq!(before.ask(topic_list()).code, 0, "it has the timeout of its time");
}

/// What Java 5.5.0 showed of itself with this file, without the paths of the machine.
const OPTIONS: [(&str, &str); 10] = [
    ("connectTimeoutMillis", " 7"),
    ("useTLS", "true"),
    ("tls.server.keyPassword", "abc"),
    ("mine", "a b "),
    ("serverSelectorThreads", "+5"),
    ("notifyMinBrokerIdChanged", "TRUE "),
    ("writeBufferHighWaterMark", "100"),
    ("clientWorkerThreads", "9"),
    ("scanNotActiveBrokerInterval", "0x10"),
    ("waitSecondsForService", "-3"),
];
const SHOWN_BY_JAVA: &str = "bindAddress=127.0.0.1
clientRequestThreadPoolNums=8
clientRequestThreadPoolQueueCapacity=50000
clientWorkerThreads=9
clusterTest=false
configBlackList=configBlackList;configStorePath;kvConfigPath
configStorePath=HOME/namesrv.properties
connectTimeoutMillis=7
defaultThreadPoolNums=16
defaultThreadPoolQueueCapacity=10000
deleteTopicWithBrokerRegistration=false
enableAllTopicList=true
enableControllerInNamesrv=false
enableShutdownGracefully=false
enableTopicList=true
kvConfigPath=HOME/kvConfig.json
listenPort=PORT
mine=a b \nneedWaitForService=false
notifyMinBrokerIdChanged=false
orderMessageEnable=false
productEnvName=center
returnOrderTopicConfigToBroker=true
rocketmqHome=HOME
scanNotActiveBrokerInterval=5000
serverAsyncSemaphoreValue=64
serverCallbackExecutorThreads=0
serverChannelMaxIdleTimeSeconds=120
serverNettyWorkerGroupEnable=true
serverOnewaySemaphoreValue=256
serverPooledByteBufAllocatorEnable=true
serverSelectorThreads=5
serverSocketBacklog=1024
serverSocketRcvBufSize=0
serverSocketSndBufSize=0
serverWorkerThreads=8
shutdownWaitTimeSeconds=30
supportActingMaster=false
tls.server.keyPassword=abc
unRegisterBrokerQueueCapacity=3000
useEpollNativeSelector=false
useTLS=true
waitSecondsForService=-3
writeBufferHighWaterMark=100
writeBufferLowWaterMark=0
";

/// Where ours shows something else, and why.
const SHOWN_DIFFERENTLY: [(&str, Option<&str>, &str); 3] = [
    ("tls.server.keyPassword", None, "secrets are not shown"),
    ("waitSecondsForService", Some("45"), "a negative time is not taken"),
    ("writeBufferHighWaterMark", Some("0"), "it does nothing without the other mark, here and there"),
];

#[test]
fn request_319_shows_what_java_shows_of_the_same_file() {
    let server = process::start(&OPTIONS);
    let mut client = Client::connect(server.addr);

    let ours = client.ask(Ask::new(319)).text().to_owned();

    let (home, port) = (server.home().to_string_lossy().into_owned(), server.addr.port());
    let mut expected = String::new();
    for line in SHOWN_BY_JAVA.replace("HOME", &home).replace("PORT", &port.to_string()).lines() {
        let (key, value) = line.split_once('=').expect("key=value");
        match SHOWN_DIFFERENTLY.iter().find(|row| row.0 == key) {
            Some((_, instead, reason)) => {
                assert_ne!(*instead, Some(value), "{key} is no different, though {reason}");
                instead.iter().for_each(|value| writeln!(expected, "{key}={value}").expect("a string takes it"));
            }
            None => writeln!(expected, "{line}").expect("a string takes it"),
        }
    }
    assert_eq!(ours, expected);
}

/// The table for operators.
fn table() -> String {
    let mut text = "\
# Java's keys, one by one

What Fingerpost makes of every key of the Java NameServer 5.5.0, in a file given with `-c`, and what request 318
(`mqadmin updateNamesrvConfig`) does with it. [`namesrv.toml`](namesrv.toml) explains our own keys.

A value that Java cannot read is passed over, as in Java, and so is one out of range, which Java would take; both are told
with their line. Java's 318 also changes what is shown of keys that count only at the start; ours changes what counts at
once, and answers success to the rest, as Java does, with a line in the log.

A test keeps this table as the server has it.
"
    .to_owned();
    let groups = [
        ("NamesrvConfig", Group::Namesrv),
        ("NettyServerConfig", Group::Server),
        ("NettyClientConfig", Group::Client),
        ("System properties, which may stand in the file here", Group::System),
    ];
    for (title, group) in groups {
        text +=
            &format!("\n## {title}\n\n| key | value | default | what it does here | 318 |\n|---|---|---|---|---|\n");
        for key in KEYS.iter().filter(|key| key.group == group) {
            let value = match (key.kind, key.range) {
                (Kind::Bool, _) => "`true`, or anything else for false".to_owned(),
                (Kind::Text, _) => "text".to_owned(),
                (Kind::Int, (min, max)) if (min, max) == (i32::MIN.into(), i32::MAX.into()) => "32 bits".to_owned(),
                (Kind::Long, (i64::MIN, i64::MAX)) => "64 bits".to_owned(),
                (_, (min, max)) => format!("{min} to {max}"),
            };
            let default = key.default.filter(|text| !text.is_empty()).map_or("".to_owned(), |text| format!("`{text}`"));
            let ours = key.ours.unwrap_or_default();
            let does = match key.effect {
                Effect::Live => format!("`{ours}`, at once"),
                Effect::AtStart => format!("`{ours}`, when the server starts"),
                Effect::Nothing(reason) => format!("nothing: {reason}"),
            };
            let secret = if key.secret { "; never shown" } else { "" };
            let change = match key.effect {
                _ if BLACK_LIST.contains(&key.name) => "code 16",
                Effect::Live => "changes it",
                _ => "changes nothing",
            };
            text += &format!("| `{}` | {value} | {default} | {does}{secret} | {change} |\n", key.name);
        }
    }
    text
}

#[test]
fn the_table_for_operators_is_the_servers_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/JAVA-KEYS.md");
    if std::env::var_os("FINGERPOST_WRITE_TABLES").is_some() {
        std::fs::write(&path, table()).expect("the tree is writable");
    }

    let written = std::fs::read_to_string(&path).unwrap_or_default();

    let how = "run this test with FINGERPOST_WRITE_TABLES=1 to write conf/JAVA-KEYS.md anew";
    assert!(written == table(), "conf/JAVA-KEYS.md is not what the server has: {how}");
}
