//! What a connection may rely on: writes in order, one reply to each request that wants one, and frames wherever TCP
//! cuts them.

use bytes::{Bytes, BytesMut};
use fingerpost::remoting::{Command, SerializeType};

use crate::harness::{Ask, Client, Server};
use crate::requests::{Broker, Reply, all_known, cluster_info, kv_get, kv_put, route};

/// The frames of these requests in a row, with opaques that ascend from 1.
fn in_a_row(asks: &[Ask]) -> (Bytes, Vec<i32>) {
    let opaques: Vec<i32> = (1..).take(asks.len()).collect();
    let mut bytes = BytesMut::new();
    asks.iter().zip(&opaques).for_each(|(ask, opaque)| bytes.extend_from_slice(&ask.frame(*opaque)));
    (bytes.freeze(), opaques)
}

#[test]
fn writes_of_one_connection_apply_in_the_order_sent() {
    let server = Server::start();
    let broker = Broker::new("a").topics(&["T", "U"]);

    for writes in [99, 100] {
        let mut connection = server.client();
        let asks: Vec<Ask> =
            (0..writes).map(|at| if at % 2 == 0 { broker.registration() } else { broker.departure() }).collect();
        let (bytes, opaques) = in_a_row(&asks);

        connection.send_bytes(&bytes);
        let replies = connection.receive_all(&opaques);

        assert!(replies.iter().all(|reply| reply.code == 0));
        let is_registered = connection.ask(cluster_info()).text().contains("a:10911");
        assert_eq!(is_registered, writes % 2 == 1, "after {writes} writes");
        connection.ask(broker.departure());
    }
}

#[test]
fn values_put_in_a_row_end_as_the_last_one() {
    let server = Server::start();
    let mut connection = server.client();
    let asks: Vec<Ask> = (0..200).map(|at| kv_put("n", "k", &at.to_string())).collect();
    let (bytes, opaques) = in_a_row(&asks);

    connection.send_bytes(&bytes);
    let replies = connection.receive_all(&opaques);

    assert!(replies.iter().all(|reply| reply.code == 0));
    assert_eq!(connection.ask(kv_get("n", "k")).field_text("value"), "199");
}

#[test]
fn a_close_waits_for_the_requests_before_it() {
    let server = Server::start();
    let mut observer = server.client();

    for _ in 0..20 {
        let mut connection = server.client();
        Broker::new("a").register(&mut connection);
        (0..20).for_each(|at| {
            connection.send(&Broker::new(&format!("b{at}")).registration().oneway());
        });
        drop(connection);

        observer.wait_until(|observer| !observer.ask(cluster_info()).text().contains("a:10911"));

        // Had the close overtaken one of them, its broker would be here for ever.
        assert_eq!(observer.ask(cluster_info()).text(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    }
}

#[test]
fn a_oneway_request_has_its_effect_and_no_answer() {
    let server = Server::start();
    let mut connection = server.client();

    connection.send(&Broker::new("a").topics(&["T", "U"]).registration().oneway());
    connection.send(&kv_put("n", "k", "v").oneway());
    let info = connection.ask(cluster_info());

    assert!(info.text().contains("a:10911"), "{}", info.text());
    connection.wait_until(|connection| connection.ask(kv_get("n", "k")).code == 0);
}

#[test]
fn a_oneway_request_is_not_answered_even_when_it_fails() {
    let server = Server::start();
    let mut connection = server.client();
    let failing = [
        Ask::new(4711),
        Ask::new(100),
        Ask::new(101),
        Ask::new(904),
        Ask::new(103),
        Ask::new(104),
        Ask::new(217).body("nonsense"),
        Ask::new(318).body("kvConfigPath=x"),
        route("nowhere"),
        Broker::new("a").header().body("nonsense"),
    ];

    failing.into_iter().for_each(|ask| {
        connection.send(&ask.oneway());
    });

    // One answered by a worker and one behind all of them in the lane: both come first.
    assert_eq!(connection.ask(route("nowhere")).code, 17);
    assert_eq!(connection.ask(cluster_info()).code, 0);
    assert_eq!(connection.ask(route("nowhere")).code, 17);
}

#[test]
fn a_response_to_no_question_is_dropped() {
    let server = Server::start();
    let mut connection = server.client();
    let before = all_known(&mut connection);

    for flag in [1, 3, 5] {
        connection.send(&Broker::new("a").registration().flag(flag));
        connection.send(&kv_put("n", "k", "v").flag(flag));
        connection.send(&Ask::new(4711).flag(flag));
    }

    assert_eq!(all_known(&mut connection), before);
    assert_eq!(connection.ask(kv_get("n", "k")).code, 22);
    assert_eq!(connection.ask(kv_put("n", "k", "v").flag(4)).code, 0, "other bits mean nothing");
}

#[test]
fn every_reply_carries_the_opaque_of_its_own_request() {
    let server = Server::start();
    let mut connection = server.client();
    let opaques = [7, -1, i32::MIN, i32::MAX, 0, 1, 8, 9];
    let mut bytes = BytesMut::new();
    for (at, opaque) in opaques.iter().enumerate() {
        // Workers answer the even ones, the lane and the disk the odd ones.
        let ask = if at % 2 == 0 { route(&at.to_string()) } else { kv_put("n", &at.to_string(), "v") };
        bytes.extend_from_slice(&ask.frame(*opaque));
    }

    connection.send_bytes(&bytes);
    let replies = connection.receive_all(&opaques);

    for (at, reply) in replies.iter().enumerate() {
        let is_its_own = match at % 2 {
            0 => reply.code == 17 && reply.remark_text().contains(&format!("topic: {at}\n")),
            _ => reply.code == 0 && reply.remark.is_none(),
        };
        assert!(is_its_own, "{at}: {reply:?}");
    }
}

#[test]
fn frames_are_found_wherever_the_stream_is_cut() {
    let server = Server::start();
    let mut connection = server.client();
    let broker = Broker::new("a").topics(&["T", "U"]);
    let asks = [broker.registration(), broker.registration().binary(), route("T"), route("T").binary()];
    let (bytes, opaques) = in_a_row(&asks);

    for piece in [1, 2, 3, 7, 64] {
        bytes.chunks(piece).for_each(|part| connection.send_bytes(part));
        let replies = connection.receive_all(&opaques);
        // The route may have been asked for before the first registration was through.
        assert!(replies[..2].iter().all(|reply| reply.code == 0), "in pieces of {piece}: {replies:?}");
    }
    assert_eq!(connection.ask(route("T")).code, 0);
}

#[test]
fn a_request_in_either_serialization_is_understood_and_answered_in_json() {
    let server = Server::start();
    let mut connection = server.client();

    let json = first_frame(&mut connection, &Broker::new("a").topics(&["T", "U"]).registration());
    let binary = first_frame(&mut connection, &Broker::new("b").topics(&["T", "U"]).registration().binary());
    let refused = first_frame(&mut connection, &Ask::new(4711).binary());

    for frame in [json, binary, refused] {
        assert_eq!((serialize_type(&frame), frame[8]), (0, b'{'));
    }
    let found = connection.ask(route("T").binary());
    assert!(found.text().contains("a:10911") && found.text().contains("b:10911"), "{}", found.text());
}

#[test]
fn a_server_set_to_binary_answers_everything_in_binary() {
    let server = Server::start_with(|config, _| config.net.serialize_type = SerializeType::Rocketmq);
    let mut connection = server.client();
    let broker = Broker::new("a").topics(&["T", "U"]);
    let asks = [
        broker.registration(),
        route("T"),
        route("T").binary(),
        route("nowhere"),
        Ask::new(4711),
        kv_put("n", "k", "v"),
        kv_get("n", "k"),
        Ask::new(219).field("namespace", "n").binary(),
        cluster_info(),
    ];

    let frames = asks.map(|ask| first_frame(&mut connection, &ask));

    assert!(frames.iter().all(|frame| serialize_type(frame) == 1));
    let replies = frames.map(|frame| Command::decode(frame).expect("the server writes valid frames"));
    assert_eq!(replies.each_ref().map(|reply| reply.code), [0, 0, 0, 17, 3, 0, 0, 0, 0]);
    assert!(replies[1].text().contains("a:10911"));
    assert_eq!(replies[6].field_text("value"), "v");
}

fn first_frame(connection: &mut Client, ask: &Ask) -> Bytes {
    connection.send(ask);
    connection.receive_frame().expect("a reply, not the end of the connection")
}

fn serialize_type(frame: &[u8]) -> u8 {
    frame[4]
}
