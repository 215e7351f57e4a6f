//! What brokers send: 103 and 104, 322 and 904, 901.

use fastrand::Rng;

use super::super::oddities::{TABLE, VERSION};
use super::super::request::{
    Body, Encoding, Mapping, REGISTER_BODY_SINCE, Registration, Request, Sum, Topic, Version, Wire,
};
use super::header::version;
use super::pools::{Identity, World, ZONES};
use super::{Lane, choose, odd, once_in};

/// Versions from which something is different; see the protocol.
const MAPPINGS_SINCE: i32 = 413;

pub(super) fn registration(rng: &mut Rng, world: &World) -> (Lane, Wire, Request) {
    let who = disguise(rng, world);
    let wire = if once_in(rng, 60) { world.any_wire(rng) } else { who.wire };
    let mut request = identified(103, &who);
    request.version = if once_in(rng, 15) { choose(rng, &[0, 20, 36]) } else { version(rng) };
    if !once_in(rng, 12) {
        request = request.field("haServerAddr", format!("{}2", who.address));
    }
    if let Some(acting) = acting_master(rng, world) {
        request = request.field("enableActingMaster", acting);
    }
    if once_in(rng, 4) {
        request = request.field("__ZONE_NAME", choose(rng, &ZONES));
    }
    if once_in(rng, 3) {
        let timeout = choose(rng, &["15000", "15000", "90000", "120000", "0", "-1", "abc", "9223372036854775807"]);
        request = request.field("heartbeatTimeoutMillis", timeout);
    }
    if once_in(rng, 20) {
        return (Lane::Writes, wire, request);
    }
    let registration = table(rng, world, &who, request.version);
    if let Encoding::Compressed { .. } = registration.encoding {
        request = request.field("compressed", choose(rng, &["true", "true", "True"]));
    } else if once_in(rng, 6) {
        request = request.field("compressed", choose(rng, &["false", "no", ""]));
    }
    request.sum = choose(rng, &[Sum::Absent, Sum::Absent, Sum::Absent, Sum::Right, Sum::Right]);
    if once_in(rng, 40) {
        request.sum = Sum::Wrong;
    }
    request = match rng.u8(..80) {
        0..2 => request.body(Body::Text(odd_body(rng).into())),
        2 => request.body(Body::Text(odd(rng, TABLE))),
        _ => request.body(Body::Registration(registration)),
    };
    if once_in(rng, 100)
        && let Some(fields) = &mut request.fields
    {
        let at = rng.usize(..fields.len());
        match rng.bool() {
            true => drop(fields.remove(at)),
            false => fields[at].value = choose(rng, &["", "x", " 1", "+1", "99999999999999999999"]).to_owned(),
        }
    }
    (Lane::Writes, wire, request)
}

pub(super) fn departure(rng: &mut Rng, world: &World) -> Request {
    let who = disguise(rng, world);
    let mut request = identified(104, &who);
    if once_in(rng, 80)
        && let Some(fields) = &mut request.fields
    {
        // Without its id.
        match rng.bool() {
            true => drop(fields.pop()),
            false => fields[3].value = choose(rng, &["", "x", " 1", "99999999999999999999"]).to_owned(),
        }
    }
    request
}

/// 904 or 322.
pub(super) fn sign_of_life(rng: &mut Rng, world: &World) -> Request {
    let who = disguise(rng, world);
    let code = choose(rng, &[904, 322, 322]);
    let request = identified(code, &who);
    match code {
        322 if once_in(rng, 20) => request.body(Body::Text(odd(rng, VERSION))),
        322 if !once_in(rng, 20) => request.body(Body::Text(data_version(rng).json().into())),
        _ => request,
    }
}

pub(super) fn member_group(rng: &mut Rng, world: &World) -> Request {
    let request = Request::new(901).field("clusterName", world.cluster(rng));
    if once_in(rng, 30) { request } else { request.field("brokerName", world.broker_name(rng)) }
}

fn identified(code: i32, who: &Identity) -> Request {
    Request::new(code)
        .field("brokerName", who.name)
        .field("brokerAddr", who.address.clone())
        .field("clusterName", who.cluster)
        .field("brokerId", who.id.to_string())
}

/// A broker, once in a while as another than it is.
fn disguise(rng: &mut Rng, world: &World) -> Identity {
    let mut who = world.broker(rng).clone();
    let other = world.broker(rng);
    match rng.u8(..150) {
        0 => who.cluster = world.cluster(rng),
        1 => who.name = other.name,
        2 => who.id = other.id,
        3 => who.id = choose(rng, &[-1, 5, 33, i64::MAX, i64::MIN]),
        4 => who.address = other.address.clone(),
        _ => {}
    }
    who
}

fn acting_master(rng: &mut Rng, world: &World) -> Option<&'static str> {
    if once_in(rng, 12) {
        choose(rng, &[None, Some("true"), Some("false"), Some("TRUE"), Some("yes"), Some("")])
    } else {
        world.acting_master
    }
}

fn data_version(rng: &mut Rng) -> Version {
    let state = if once_in(rng, 25) { rng.i64(1..3) } else { 0 };
    // None is what the odd questions for a version come to.
    let counter = if once_in(rng, 6) { 0 } else { rng.i64(1..4) };
    Version { counter, state, timestamp: if once_in(rng, 10) { 2 } else { 1 } }
}

fn table(rng: &mut Rng, world: &World, who: &Identity, version: i32) -> Registration {
    let encoding = match version {
        ..REGISTER_BODY_SINCE => Encoding::Legacy,
        _ if !once_in(rng, if world.flags { 100 } else { 3 }) => Encoding::Json,
        _ => Encoding::Compressed { mappings: (version >= MAPPINGS_SINCE) != once_in(rng, 60) },
    };
    let wanted = match rng.u8(..60) {
        0..3 => 0,
        3 => 1,
        _ => rng.usize(2..=world.topics.len()),
    };
    let mut names = world.topics.clone();
    rng.shuffle(&mut names);
    names.truncate(wanted);
    if once_in(rng, 40) {
        names.push(world.topic(rng));
    }
    let topics: Vec<Topic> = names.iter().map(|name| topic(rng, world, name)).collect();
    let mappings = match once_in(rng, 12) {
        true => names.iter().take(rng.usize(1..3)).map(|name| mapping(rng, who, name)).collect(),
        false => Vec::new(),
    };
    let filter_servers = match rng.u8(..12) {
        0 => Some(vec![format!("{}9", who.address)]),
        1 => Some(vec!["f1:1".to_owned(), "f2:2".to_owned()]),
        2..6 => Some(Vec::new()),
        _ => None,
    };
    let version = (!once_in(rng, 30)).then(|| data_version(rng));
    Registration { encoding, version, topics, filter_servers, mappings }
}

fn topic(rng: &mut Rng, world: &World, name: &str) -> Topic {
    let queues = choose(rng, &[1, 4, 8]);
    let often = |rng: &mut Rng, value: i32| (!once_in(rng, 25)).then_some(value);
    // The same on all brokers: where they disagree, which of them is believed depends on a hash.
    let sys_flag = if world.flags { name.bytes().map(i32::from).sum::<i32>() % 4 } else { 0 };
    Topic {
        key: name.to_owned(),
        name: Some(name.to_owned()),
        read: often(rng, queues),
        write: often(rng, queues),
        perm: {
            let perm = choose(rng, &[6, 6, 6, 4, 2, 7, 0]);
            often(rng, perm)
        },
        sys_flag: Some(sys_flag),
        more: (choose(
            rng,
            &["", "", "", "", "\"order\":true", "\"topicFilterType\":\"MULTI_TAG\"", "\"attributes\":{\"+k\":\"v\"}"],
        ))
        .to_owned(),
    }
}

fn mapping(rng: &mut Rng, who: &Identity, topic: &str) -> Mapping {
    Mapping {
        topic: topic.to_owned(),
        broker_name: Some(who.name.to_owned()),
        ids: (0..rng.i32(..4)).map(|at| (at * 7, at)).collect(),
        epoch: choose(rng, &[0, 5, 1_700_000_000_000, 9_007_199_254_740_993]),
        total: rng.i32(..9),
        quoted: rng.bool(),
    }
}

/// Bodies that no broker sends.
fn odd_body(rng: &mut Rng) -> &'static str {
    const BODIES: [&str; 18] = [
        "",
        "{}",
        "null",
        "[]",
        "x",
        "{\"topicConfigSerializeWrapper\":null}",
        "{\"topicConfigSerializeWrapper\":{}}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":null}}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"t0\":null,\"t1\":{\"topicName\":\"t1\"}}}}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"t0\":{},\"t1\":{\"topicName\":\"t1\"}}}}",
        "{\"topicConfigSerializeWrapper\":{\"dataVersion\":null,\"topicConfigTable\":{}}}",
        "{\"filterServerList\":null,\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{}}}",
        "{\"filterServerList\":[null],\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{}}}",
        "{\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":\"3\",\"stateVersion\":0,\"timestamp\":1.9},\"topicConfigTable\":{}}}",
        " { \"topicConfigSerializeWrapper\" : { \"topicConfigTable\" : { } , \"dataVersion\" : {\"counter\":1,\"timestamp\":1} } } ",
        "{'topicConfigSerializeWrapper':{'dataVersion':{'counter':1,'timestamp':1},'topicConfigTable':{'t0':{'topicName':'t0'},'t1':{'topicName':'t1','perm':'4'}}}}",
        "{\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":1,\"timestamp\":1},\"topicConfigTable\":{\"t0\":{\"topicName\":\"t1\"},\"t1\":{\"topicName\":\"t0\"}}}}",
        "{\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":1,\"timestamp\":1},\"topicConfigTable\":{\"t0\":{\"topicName\":\"t0\",\"topicFilterType\":\"NEW\"},\"t1\":{\"topicName\":\"t1\",\"perm\":null}}}}",
    ];
    choose(rng, &BODIES)
}
