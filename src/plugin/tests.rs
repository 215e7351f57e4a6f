//! How much the stock plugins do for a request, in fuel: about one for each instruction of WebAssembly. A number here
//! that has to grow is a decision.

use bytes::{Bytes, BytesMut};

use crate::config::ByteSize;
use crate::inline::Inline;
use crate::remoting::{Command, Fields, RequestCode, SerializeType};
use crate::server::tests::bound_with;

fn frame(code: RequestCode, fields: &[(&'static str, &'static str)], body: &'static [u8]) -> Bytes {
    let fields = Some(Fields::from_iter(fields.iter().copied()));
    let command = Command { fields, body: body.into(), ..Command::request(code, 1) };
    let mut frame = BytesMut::new();
    command.encode(SerializeType::Json, &mut frame).unwrap();
    frame.freeze()
}

/// The fuel that the plugins that a lookup may enter have used.
fn used(client: &Inline) -> [u64; 3] {
    let gauge = |name| client.desk.worker.runner.gauge(name).expect("it was entered");
    ["lookup", "acting-master", "zone"].map(|name| gauge(name).fuel.expect("tests count it"))
}

#[test]
fn a_lookup_costs_its_plugin_and_the_policies_that_have_a_say_a_known_amount_of_fuel() {
    let home = tempfile::tempdir().unwrap();
    let server = bound_with(home.path(), |config| {
        config.memo.size = ByteSize::new(0);
        config.route.support_acting_master = true;
    });
    let mut client = server.inline().unwrap();
    let ask = |client: &mut Inline, frame: &Bytes| {
        let mut out = BytesMut::new();
        client.answer(frame.clone(), &mut out).unwrap();
        assert_eq!(Command::decode(out.freeze()).unwrap().code, 0);
    };
    for (name, address) in [("a", "a:1"), ("b", "b:1"), ("c", "c:1"), ("d", "d:1")] {
        let fields = [("brokerName", name), ("brokerAddr", address), ("clusterName", "c"), ("brokerId", "0")];
        let more = [("enableActingMaster", "true"), ("__ZONE_NAME", "z")];
        let body = br#"{"topicConfigSerializeWrapper":{"dataVersion":{"counter":1},"topicConfigTable":
            {"t":{"topicName":"t"},"u":{"topicName":"u"}}}}"#;
        ask(&mut client, &frame(RequestCode(103), &[&fields[..], &more].concat(), body));
    }
    let lookup = frame(RequestCode(105), &[("topic", "t"), ("__ZONE_MODE", "true"), ("__ZONE_NAME", "z")], b"");
    // The first call of an instance sets things up.
    ask(&mut client, &lookup);

    let before = used(&client);
    ask(&mut client, &lookup);
    let after = used(&client);

    let used: Vec<_> = before.iter().zip(after).map(|(before, after)| after - before).collect();
    let most = [30, 1200, 1600];
    assert!(used.iter().zip(most).all(|(used, most)| (1..=most).contains(used)), "{used:?}");
}
