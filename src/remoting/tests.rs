//! Whole frames: some that a Java NameServer and its peers exchanged, and many that nobody would.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::*;

const KINDS: [SerializeType; 2] = [SerializeType::Json, SerializeType::Rocketmq];

fn frame(prefix: [u8; 8], rest: &[u8]) -> Bytes {
    [&prefix, rest].concat().into()
}

fn decoded(frame: &Bytes) -> Command {
    assert_eq!(frame::split(frame, frame::SIZE_MAX), Ok(Some(frame.len())));
    Command::decode(frame.clone()).unwrap()
}

fn encoded(response: Response<'_>, kind: SerializeType) -> Bytes {
    let mut out = BytesMut::new();
    response.encode(kind, &mut out).unwrap();
    out.freeze()
}

fn reencoded(command: &Command, kind: SerializeType) -> Bytes {
    let mut out = BytesMut::new();
    command.encode(kind, &mut out).unwrap();
    out.freeze()
}

#[test]
fn a_captured_request_of_an_old_go_client_is_read() {
    let frame = frame(
        [0, 0, 0, 0x84, 0, 0, 0, 0x80],
        br#"{"code":105,"language":"GO","version":317,"opaque":115,"flag":0,"extFields":{"topic":"TopicA"},"serializeTypeCurrentRPC":"JSON"}"#,
    );

    let command = decoded(&frame);

    assert_eq!((command.request_code(), command.opaque, command.version), (RequestCode(105), 115, 317));
    assert_eq!(command.language.name(), "GO");
    assert_eq!(command.field("topic").unwrap(), "TopicA");
    assert_eq!(command.field("Topic"), None);
    assert!(!command.is_response() && !command.is_oneway());
    assert_eq!((command.remark, command.body), (None, Bytes::new()));
}

#[test]
fn a_captured_binary_request_is_read() {
    let frame = frame(
        [0, 0, 0, 0x2f, 1, 0, 0, 0x2b],
        b"\0\x69\x0c\x02\x01\0\0\x10\x92\0\0\0\0\0\0\0\0\0\0\0\x16\0\x05topic\0\0\0\x0bNoSuchTopic",
    );

    let command = decoded(&frame);

    assert_eq!((command.code, command.opaque, command.version, command.flag), (105, 4242, 513, 0));
    assert_eq!((command.language, command.remark.as_ref()), (LanguageCode(12), None));
    assert_eq!(command.fields, Some(Fields::from_iter([("topic", "NoSuchTopic")])));
    assert_eq!(reencoded(&command, SerializeType::Rocketmq), frame);
}

#[test]
fn a_binary_request_is_written_byte_for_byte_as_java_writes_it() {
    let fields = Fields::from_iter([("topic", "TopicA"), ("acceptStandardJsonOnly", "true"), ("empty", "")]);
    let command = Command {
        language: LanguageCode(9),
        version: 317,
        remark: Some("whý".into()),
        fields: Some(fields),
        body: Bytes::from_static(b"xyz"),
        ..Command::request(RequestCode(105), 7)
    };

    let java = frame(
        [0, 0, 0, 0x5c, 1, 0, 0, 0x55],
        b"\0\x69\x09\x01\x3d\0\0\0\x07\0\0\0\0\0\0\0\x04wh\xc3\xbd\0\0\0\x3c\
          \0\x05topic\0\0\0\x06TopicA\0\x16acceptStandardJsonOnly\0\0\0\x04true\0\x05empty\0\0\0\0xyz",
    );
    assert_eq!(reencoded(&command, SerializeType::Rocketmq), java);
}

#[test]
fn a_captured_oneway_request_says_so() {
    let frame = frame(
        [0, 0, 0, 0x69, 0, 0, 0, 0x65],
        br#"{"code":206,"language":"PYTHON","version":513,"opaque":161,"flag":2,"serializeTypeCurrentRPC":"JSON"}"#,
    );
    assert!(decoded(&frame).is_oneway());
    assert!(!decoded(&frame).is_response());
}

#[test]
fn a_captured_notification_is_written_byte_for_byte() {
    let frame = frame(
        [0, 0, 0, 0xcf, 0, 0, 0, 0xcb],
        br#"{"code":905,"extFields":{"offlineBrokerAddr":"127.0.0.1:30911","minBrokerAddr":"127.0.0.1:30921","minBrokerId":"1"},"flag":2,"language":"JAVA","opaque":143,"serializeTypeCurrentRPC":"JSON","version":513}"#,
    );

    let fields = Fields::from_iter([
        ("offlineBrokerAddr", "127.0.0.1:30911"),
        ("minBrokerAddr", "127.0.0.1:30921"),
        ("minBrokerId", "1"),
    ]);
    let command = Command { flag: FLAG_ONEWAY, fields: Some(fields), ..Command::request(RequestCode(905), 143) };

    assert_eq!(reencoded(&command, SerializeType::Json), frame);
    assert_eq!(decoded(&frame), command);
}

#[test]
fn a_captured_answer_with_a_body_is_written_byte_for_byte() {
    let frame = frame(
        [0, 0, 0, 0x91, 0, 0, 0, 0x61],
        br#"{"code":0,"flag":1,"language":"JAVA","opaque":101,"serializeTypeCurrentRPC":"JSON","version":513}{"brokerAddrTable":{},"clusterAddrTable":{}}"#,
    );

    let body = br#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#;
    let response = Response { body, ..Response::new(ResponseCode::SUCCESS, 101) };

    assert_eq!(encoded(response, SerializeType::Json), frame);
    assert_eq!(decoded(&frame).body, body.as_slice());
    assert!(decoded(&frame).is_response());
}

#[test]
fn a_captured_answer_with_empty_fields_is_written_byte_for_byte() {
    let frame = frame(
        [0, 0, 0, 0xba, 0, 0, 0, 0xb6],
        br#"{"code":22,"extFields":{},"flag":1,"language":"JAVA","opaque":103,"remark":"No config item, Namespace: ORDER_TOPIC_CONFIG Key: OrderT","serializeTypeCurrentRPC":"JSON","version":513}"#,
    );

    let fields = Fields::new();
    let response = Response {
        remark: Some("No config item, Namespace: ORDER_TOPIC_CONFIG Key: OrderT"),
        fields: Some(&fields),
        ..Response::new(ResponseCode::QUERY_NOT_FOUND, 103)
    };

    assert_eq!(encoded(response, SerializeType::Json), frame);
}

#[test]
fn a_captured_answer_with_fields_is_written_byte_for_byte() {
    let frame = frame(
        [0, 0, 0, 0xb3, 0, 0, 0, 0xaf],
        br#"{"code":0,"extFields":{"haServerAddr":"127.0.0.1:30912","masterAddr":"127.0.0.1:30911"},"flag":1,"language":"JAVA","opaque":106,"serializeTypeCurrentRPC":"JSON","version":513}"#,
    );

    let fields = Fields::from_iter([("haServerAddr", "127.0.0.1:30912"), ("masterAddr", "127.0.0.1:30911")]);
    let response = Response { fields: Some(&fields), ..Response::new(ResponseCode::SUCCESS, 106) };

    assert_eq!(encoded(response, SerializeType::Json), frame);
}

#[test]
fn a_captured_refusal_with_a_line_break_is_written_byte_for_byte() {
    let frame = frame(
        [0, 0, 0, 0xfd, 0, 0, 0, 0xf9],
        br#"{"code":17,"flag":1,"language":"JAVA","opaque":121,"remark":"No topic route info in name server for the topic: NoSuchTopic\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.","serializeTypeCurrentRPC":"JSON","version":513}"#,
    );

    let remark = "No topic route info in name server for the topic: NoSuchTopic\n\
        See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
    let response = Response { remark: Some(remark), ..Response::new(ResponseCode::TOPIC_NOT_EXIST, 121) };

    assert_eq!(encoded(response, SerializeType::Json), frame);
    assert_eq!(decoded(&frame).remark.unwrap(), remark);
    assert_eq!(decoded(&frame).response_code(), ResponseCode::TOPIC_NOT_EXIST);
}

#[test]
fn a_binary_answer_is_written_byte_for_byte_as_java_writes_it() {
    let java = frame([0, 0, 0, 0x1b, 1, 0, 0, 0x17], b"\0\x11\0\x02\x01\xff\xff\xff\xfe\0\0\0\x01\0\0\0\x02no\0\0\0\0");

    let response = Response { remark: Some("no"), ..Response::new(ResponseCode::TOPIC_NOT_EXIST, -2) };

    assert_eq!(encoded(response, SerializeType::Rocketmq), java);
}

#[test]
fn captured_frames_that_closed_the_connection_are_refused() {
    for (frame, limit) in [
        (frame([0, 0, 0, 7, 0, 0, 0, 3], b"zzz"), None),
        (frame([0, 0, 0, 27, 2, 0, 0, 23], br#"{"code":206,"opaque":7}"#), Some(FrameError::SerializeType(2))),
        (frame([0, 0, 0, 10, 0, 0, 0, 100], b"abcdef"), Some(FrameError::HeaderTooLong { header: 100, frame: 14 })),
        (
            frame([0, 0xff, 0xff, 0xfd, 0, 0, 0, 0], b""),
            Some(FrameError::TooLarge { size: 16_777_217, limit: frame::SIZE_MAX }),
        ),
    ] {
        match limit {
            Some(refusal) => assert_eq!(frame::split(&frame, frame::SIZE_MAX), Err(refusal)),
            None => assert!(matches!(Command::decode(frame), Err(FrameError::Header { .. }))),
        }
    }
}

#[test]
fn the_empty_header_is_read_without_waiting_for_more() {
    assert_eq!(decoded(&frame([0, 0, 0, 6, 0, 0, 0, 2], b"{}")), Command::default());
}

#[test]
fn spare_bytes_of_a_binary_header_do_not_shift_the_body() {
    let frame = frame([0, 0, 0, 34, 1, 0, 0, 26], &[&[0; 21][..], b"sparebody"].concat());

    assert_eq!(decoded(&frame).body, "body");
}

#[test]
fn only_one_whole_frame_is_decoded() {
    let whole = frame([0, 0, 0, 6, 0, 0, 0, 2], b"{}");
    for length in 0..whole.len() {
        assert_eq!(Command::decode(whole.slice(..length)), Err(FrameError::NotWhole));
    }
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(Command::decode(longer.into()), Err(FrameError::NotWhole));
}

#[test]
fn bodies_are_shared_with_the_frame() {
    let frame = frame([0, 0, 0, 10, 0, 0, 0, 2], b"{}body");

    assert!(frame.as_ptr_range().contains(&Command::decode(frame.clone()).unwrap().body.as_ptr()));
}

#[test]
fn codes_without_a_name_survive() {
    let samples = [0, 1, -1, 9999, 32_767, -32_768, 65_536, i32::MAX, i32::MIN];
    for code in samples {
        let command = Command { code, ..Command::default() };
        assert_eq!(decoded(&reencoded(&command, SerializeType::Json)).code, code);
        if i16::try_from(code).is_ok() {
            assert_eq!(decoded(&reencoded(&command, SerializeType::Rocketmq)).code, code);
        }
    }
}

#[test]
fn a_header_without_room_for_its_length_is_refused_and_leaves_nothing_behind() {
    let long = "x".repeat(1 << 24);
    let response = Response { remark: Some(&long), ..Response::new(ResponseCode::SYSTEM_ERROR, 1) };
    for kind in KINDS {
        let mut out = BytesMut::from("before");
        assert!(matches!(response.encode(kind, &mut out), Err(EncodeError::HeaderTooLong(_))));
        assert_eq!(out, "before");
    }
}

#[test]
fn a_field_name_without_room_for_its_length_is_refused_in_binary_only() {
    let fields = Fields::from_iter([("x".repeat(32_768), "")]);
    let response = Response { fields: Some(&fields), ..Response::new(ResponseCode::SUCCESS, 1) };
    let mut out = BytesMut::new();
    response.encode(SerializeType::Json, &mut out).unwrap();
    out.clear();
    assert_eq!(response.encode(SerializeType::Rocketmq, &mut out), Err(EncodeError::NameTooLong(32_768)));
    assert!(out.is_empty());
}

fn any_text() -> impl Strategy<Value = ByteString> {
    prop_oneof![any::<String>(), "[\\x00-\\x7f]{0,40}", "[a-zA-Z0-9.:_-]{1,20}"].prop_map(ByteString::from)
}

fn any_command() -> impl Strategy<Value = Command> {
    let fields = prop::collection::vec((any_text(), any_text()), 0..12).prop_map(Fields::from_iter);
    let language = prop_oneof![Just(0), 0_u8..14].prop_map(LanguageCode);
    let body = prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from);
    let numbers = (any::<i32>(), any::<i32>(), any::<i32>(), any::<i32>());
    (numbers, language, prop::option::of(any_text()), prop::option::of(fields), body).prop_map(
        |((code, version, opaque, flag), language, remark, fields, body)| Command {
            code,
            language,
            version,
            opaque,
            flag,
            remark,
            fields,
            body,
        },
    )
}

/// What is left of a command in the binary header, which cuts numbers to 16 bits and knows no empty strings.
fn in_binary(command: &Command) -> Command {
    let fields = command.fields.as_ref().filter(|fields| !fields.is_empty()).map(|fields| {
        let kept = fields.iter().filter(|(name, value)| !name.is_empty() && !value.is_empty());
        Fields::from_iter(kept.map(|(name, value)| (name.clone(), value.clone())))
    });
    Command {
        code: i32::from(command.code as i16),
        version: i32::from(command.version as i16),
        remark: command.remark.clone().filter(|remark| !remark.is_empty()),
        fields,
        ..command.clone()
    }
}

/// How much text a command holds that was decoded.
fn text_length(command: &Command) -> usize {
    let fields = command.fields.iter().flat_map(Fields::iter).map(|(name, value)| name.len() + value.len());
    command.remark.as_ref().map_or(0, |remark| remark.len()) + fields.sum::<usize>()
}

proptest! {
    #[test]
    fn any_command_comes_back_from_json(command in any_command()) {
        assert_eq!(decoded(&reencoded(&command, SerializeType::Json)), command);
    }

    #[test]
    fn any_command_comes_back_from_binary_as_far_as_that_goes(command in any_command()) {
        assert_eq!(decoded(&reencoded(&command, SerializeType::Rocketmq)), in_binary(&command));
    }

    #[test]
    fn a_json_header_is_what_serde_json_reads(command in any_command()) {
        let command = Command { body: Bytes::new(), ..command };
        let frame = reencoded(&command, SerializeType::Json);
        let header: serde_json::Value = serde_json::from_slice(&frame[8..]).unwrap();
        assert_eq!(header["code"], command.code);
        assert_eq!(header["opaque"], command.opaque);
        assert_eq!(header.get("remark").and_then(|remark| remark.as_str()), command.remark.as_deref());
        for (name, value) in command.fields.iter().flat_map(Fields::iter) {
            assert_eq!(header["extFields"][&**name], &**value);
        }
    }

    #[test]
    fn frames_follow_each_other(commands in prop::collection::vec(any_command(), 0..5)) {
        let mut out = BytesMut::new();
        for (command, kind) in commands.iter().zip(KINDS.iter().cycle()) {
            command.encode(*kind, &mut out).unwrap();
        }
        let mut found = 0;
        while let Some(size) = frame::split(&out, frame::SIZE_MAX).unwrap() {
            Command::decode(out.split_to(size).freeze()).unwrap();
            found += 1;
        }
        assert!(out.is_empty());
        assert_eq!(found, commands.len());
    }

    #[test]
    fn random_headers_do_no_harm(header in prop::collection::vec(any::<u8>(), 0..200), binary in any::<bool>()) {
        let size = header.len() as u8;
        let frame = frame([0, 0, 0, size + 4, u8::from(binary), 0, 0, size], &header);
        if let Ok(command) = Command::decode(frame.clone()) {
            assert!(text_length(&command) <= frame.len() * 6);
        }
    }

    #[test]
    fn damaged_frames_do_no_harm(
        command in any_command(), binary in any::<bool>(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = reencoded(&command, KINDS[usize::from(binary)]).to_vec();
        for (at, byte) in damage {
            // The length stays, so that the damage reaches the decoder.
            let at = 4 + at.index(frame.len() - 4);
            frame[at] = byte;
        }
        let frame = Bytes::from(frame);
        let _ = frame::split(&frame, frame::SIZE_MAX);
        if let Ok(command) = Command::decode(frame.clone()) {
            assert!(text_length(&command) <= frame.len() * 6);
        }
    }
}
