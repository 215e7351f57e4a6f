//! What operators ask for: topics, permissions, the KV store, settings, and what does not exist.

use std::fmt::Write as _;

use fastrand::Rng;

use super::super::oddities::QUEUES;
use super::super::request::{Body, Request, quoted};
use super::pools::{ODD, World};
use super::{choose, odd, once_in, pick};

/// Switches that take effect at once, in both servers.
const SWITCHES: [&str; 8] = [
    "supportActingMaster",
    "orderMessageEnable",
    "returnOrderTopicConfigToBroker",
    "enableTopicList",
    "enableAllTopicList",
    "deleteTopicWithBrokerRegistration",
    "needWaitForService",
    "supportActingMaster",
];

pub(super) fn settings_at_start(rng: &mut Rng) -> Vec<(String, String)> {
    // One thread, so that Java too keeps the order of a connection.
    let mut settings = vec![("defaultThreadPoolNums".to_owned(), "1".to_owned())];
    let acting = rng.bool();
    settings.push(("supportActingMaster".to_owned(), acting.to_string()));
    for switch in SWITCHES {
        if once_in(rng, 10) {
            settings.push((switch.to_owned(), rng.bool().to_string()));
        }
    }
    if once_in(rng, 10) {
        settings.push(("configBlackList".to_owned(), "listenPort;enableTopicList".to_owned()));
    }
    if once_in(rng, 10) {
        settings.push(("someKey".to_owned(), "some value".to_owned()));
    }
    settings
}

/// 205 and 327
pub(super) fn permission(rng: &mut Rng, world: &World) -> Request {
    let request = Request::new(choose(rng, &[205, 205, 327]));
    if once_in(rng, 20) { request } else { request.field("brokerName", world.broker_name(rng)) }
}

/// 216 and 217
pub(super) fn topic(rng: &mut Rng, world: &World) -> Request {
    let code = choose(rng, &[216, 217, 217]);
    let mut request = Request::new(code);
    if !once_in(rng, 40) {
        let topic = if once_in(rng, 60) { "" } else { world.topic(rng) };
        request = request.field("topic", topic);
    }
    if code == 217 {
        return match rng.u8(..40) {
            0..2 => request,
            2 => request.body(Body::Text(odd(rng, QUEUES))),
            _ => request.body(Body::Text(route(rng, world).into())),
        };
    }
    if once_in(rng, 2) { request.field("clusterName", world.cluster(rng)) } else { request }
}

fn route(rng: &mut Rng, world: &World) -> String {
    if once_in(rng, 15) {
        return (choose(
            rng,
            &[
                "",
                "{}",
                "null",
                "[]",
                "x",
                "{\"queueDatas\":null}",
                "{\"queueDatas\":[]}",
                "{\"queueDatas\":[{}]}",
                "{\"queueDatas\":[null]}",
                "{\"brokerDatas\":[],\"queueDatas\":[]}",
            ],
        ))
        .to_owned();
    }
    let queues: Vec<String> = (0..rng.usize(1..4))
        .map(|_| {
            let mut queue = format!("{{\"brokerName\":{}", quoted(world.broker_name(rng)));
            for (name, values) in
                [("perm", [6, 4]), ("readQueueNums", [4, 8]), ("topicSysFlag", [0, 0]), ("writeQueueNums", [4, 8])]
            {
                if !once_in(rng, 15) {
                    write!(queue, ",\"{name}\":{}", pick(rng, &values))
                        .expect("a string takes all that is written to it");
                }
            }
            queue + "}"
        })
        .collect();
    format!("{{\"queueDatas\":[{}]}}", queues.join(","))
}

/// 100 and 102
pub(super) fn kv_write(rng: &mut Rng, world: &World) -> Request {
    let code = choose(rng, &[100, 100, 100, 102]);
    let request = kv(rng, world, code);
    if code == 100 && !once_in(rng, 30) {
        let value = if once_in(rng, 4) { choose(rng, &ODD) } else { choose(rng, &["a:4;b:4", "v1", "v2"]) };
        return request.field("value", value);
    }
    request
}

/// 101 and 219
pub(super) fn kv_read(rng: &mut Rng, world: &World) -> Request {
    let code = choose(rng, &[101, 101, 219]);
    kv(rng, world, code)
}

fn kv(rng: &mut Rng, world: &World, code: i32) -> Request {
    let mut request = Request::new(code);
    if !once_in(rng, 40) {
        request = request
            .field("namespace", if once_in(rng, 25) { choose(rng, &ODD) } else { choose(rng, &world.namespaces) });
    }
    if code != 219 && !once_in(rng, 40) {
        let key = if once_in(rng, 3) { world.topic(rng) } else { choose(rng, &["k1", "k2"]) };
        request = request.field("key", key);
    }
    request
}

/// 318
pub(super) fn settings(rng: &mut Rng) -> Request {
    let request = Request::new(318);
    if once_in(rng, 30) {
        return request;
    }
    let mut text = String::new();
    for _ in 0..rng.usize(1..4) {
        let line = match rng.u8(..20) {
            0..14 => format!("{}={}", pick(rng, &SWITCHES), pick(rng, &["true", "false"])),
            14 => format!("{}={}", pick(rng, &SWITCHES), pick(rng, &["TRUE", "yes", "", " true", "true "])),
            15 => choose(rng, &["unknownKey=1", "x", "=", "#c", "! d", ""]).to_owned(),
            16 => (choose(
                rng,
                &[
                    "waitSecondsForService=0",
                    "waitSecondsForService=45",
                    "waitSecondsForService=x",
                    "scanNotActiveBrokerInterval=60000",
                    "scanNotActiveBrokerInterval=x1",
                ],
            ))
            .to_owned(),
            17 => (choose(rng, &["kvConfigPath=/x", "configStorePath=/x", "rocketmqHome=/x", "configBlackList=x"]))
                .to_owned(),
            18 => (choose(
                rng,
                &["enable\\u0054opicList:false", "enableTopicList\\\n  = true", "enableTopicList  true", "a\\u12"],
            ))
            .to_owned(),
            _ => (choose(rng, &["serverWorkerThreads=9", "productEnvName=é", "someKey=\\u676d", "someKey=other"]))
                .to_owned(),
        };
        text += &line;
        text += choose(rng, &["\n", "\n", "\r\n", "\n\n"]);
    }
    request.body(Body::Text(text.into()))
}

/// 319, and codes that nobody answers.
pub(super) fn other(rng: &mut Rng) -> Request {
    let code = choose(rng, &[319, 319, 319, 0, 1, 10, 104_000, 905, 310, 314, 999, 12345, -5, 32767]);
    Request::new(code)
}
