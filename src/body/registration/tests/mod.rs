mod differences;

use super::*;
use crate::json::write;
use crate::route::DataVersion;
use bytes::BytesMut;
use flate2::{Compression, write::ZlibEncoder};
use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;
use std::io::{Read, Write};

const NOW: Millis = 1_700_000_000_123;
const FORMS: [Form; 4] = [Form::Json, Form::LegacyJson, Form::Compressed, Form::CompressedWithMappings];
const CAPTURED_JSON: &[u8] = include_bytes!("../../../../tests/data/body/register_master_first.txt");
const CAPTURED_COMPRESSED: &[u8] = include_bytes!("../../../../tests/data/body/register_compressed.bin");

fn decoded(bytes: impl AsRef<[u8]>, form: Form) -> Result<TopicTable, DecodeError> {
    decode(bytes.as_ref(), form, NOW, &Limits::default())
}

/// A JSON body with `topics` as the members of its topic table.
fn with_topics(topics: &str) -> String {
    format!(r#"{{"topicConfigSerializeWrapper":{{"topicConfigTable":{{{topics}}}}}}}"#)
}

fn config(name: &str, queue_nums: i32, perm: i32, topic_sys_flag: i32) -> TopicConfig {
    TopicConfig {
        name: name.into(),
        key: None,
        read_queue_nums: queue_nums,
        write_queue_nums: queue_nums,
        perm,
        topic_sys_flag,
    }
}

fn version(counter: i64, timestamp: u64) -> DataVersion {
    DataVersion { state_version: 0, timestamp: timestamp as i64, counter }
}

/// The records of a compressed body before it is compressed.
#[derive(Default)]
struct Plain(Vec<u8>);

impl Plain {
    /// A body without mappings that carries `topics`.
    fn with_topics(topics: &[&str]) -> Self {
        let mut plain = Self::default().record("{}").number(topics.len() as i32);
        for topic in topics {
            plain = plain.record(topic);
        }
        plain.record("[]")
    }

    fn number(mut self, number: i32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn record(self, text: &str) -> Self {
        let mut plain = self.number(text.len() as i32);
        plain.0.extend(text.as_bytes());
        plain
    }

    fn compressed(self) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&self.0).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(self, form: Form) -> Result<TopicTable, DecodeError> {
        decoded(self.compressed(), form)
    }
}

fn malformed(result: Result<TopicTable, DecodeError>) -> String {
    match result {
        Err(DecodeError::Malformed(text)) => text,
        other => panic!("not malformed: {other:?}"),
    }
}

fn too_large(result: Result<TopicTable, DecodeError>) -> String {
    match result {
        Err(DecodeError::TooLarge(text)) => text,
        other => panic!("not too large: {other:?}"),
    }
}

mod json {
    use super::*;

    #[test]
    fn the_captured_body_is_read_whole() {
        let table = decoded(CAPTURED_JSON, Form::Json).unwrap();

        let topics = [
            config("SELF_TEST_TOPIC", 1, 6, 0),
            config("TBW102", 8, 7, 0),
            config("cluster-one", 16, 7, 0),
            config("TopicA", 4, 6, 0),
            config("UnitT", 4, 6, 1),
            config("SubT", 4, 6, 2),
            config("BothT", 4, 6, 3),
            config("OrderT", 4, 6, 0),
        ];
        assert_eq!(table.topics, topics);
        assert_eq!(table.data_version, version(1, 1_700_000_000_000));
        assert_eq!(table.filter_servers, Some(vec![]));
        assert!(table.mappings.is_empty());
    }

    #[test]
    fn no_body_is_an_empty_table_of_no_version_and_an_old_broker_without_one_keeps_its_filter_servers() {
        let nothing = TopicTable { filter_servers: Some(vec![]), ..TopicTable::default() };

        for form in [Form::Json, Form::Compressed, Form::CompressedWithMappings] {
            assert_eq!(decoded("", form), Ok(nothing.clone()));
        }
        assert_eq!(decoded("", Form::LegacyJson), Ok(TopicTable { filter_servers: None, ..nothing }));
    }

    #[test]
    fn an_empty_object_is_an_empty_table_as_of_now() {
        let table = decoded("{}", Form::Json).unwrap();

        let expected =
            TopicTable { data_version: version(0, NOW), filter_servers: Some(vec![]), ..TopicTable::default() };
        assert_eq!(table, expected);
        assert_eq!(decoded(r#"{"topicConfigSerializeWrapper":{"dataVersion":null}}"#, Form::Json), Ok(expected));
    }

    #[test]
    fn missing_fields_of_a_topic_have_javas_defaults_and_those_that_are_null_or_empty_are_zero() {
        for (topic, expected) in [
            (r#""T":{"topicName":"T"}"#, config("T", 16, 6, 0)),
            (r#""T":{"topicName":"T","perm":null,"topicSysFlag":null}"#, config("T", 16, 0, 0)),
            (r#""T":{"topicName":"T","readQueueNums":"","writeQueueNums":"null"}"#, config("T", 0, 6, 0)),
        ] {
            assert_eq!(decoded(with_topics(topic), Form::Json).unwrap().topics, [expected], "{topic}");
        }
    }

    #[test]
    fn the_name_inside_counts_and_the_key_is_kept_beside_it() {
        let table = decoded(with_topics(r#""K":{"topicName":"T"}"#), Form::Json).unwrap();

        assert_eq!((&*table.topics[0].name, table.topics[0].key.as_deref()), ("T", Some("K")));
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        let topics = r#""A":{"topicName":"A","perm":2,"perm":4},"B":{"topicName":"B"},"A":{"topicName":"A","perm":5}"#;

        let table = decoded(with_topics(topics), Form::Json).unwrap();

        assert_eq!(table.topics, [config("A", 16, 5, 0), config("B", 16, 6, 0)]);
    }

    #[test]
    fn unknown_members_and_filter_types_are_passed_over() {
        let body = r#"{"x":[{}],"topicConfigSerializeWrapper":{"mappingDataVersion":{"counter":"?"},"y":null,
            "topicQueueMappingDetailMap":{"S":{"hostedQueues":{0:[{"gen":0}],1:[]}}},
            "topicConfigTable":{"T":{"attributes":{"+a":"b"},"order":true,"topicFilterType":"OTHER","topicName":"T","z":{}}}}}"#;

        assert_eq!(decoded(body, Form::Json).unwrap().topics, [config("T", 16, 6, 0)]);
    }

    #[test]
    fn integer_keys_may_be_bare_or_quoted() {
        let body = r#"{"topicConfigSerializeWrapper":{"topicQueueMappingInfoMap":{
            "S":{"bname":"b","currIdMap":{0:5,"10":6,2:null},"dirty":true,"epoch":9007199254740993,"scope":"s","topic":"S",
            "totalQueues":3},"U":{}}}}"#;

        let mapping = TopicMapping {
            broker_name: Some("b".into()),
            current_ids: [(0, 5), (10, 6)].into(),
            dirty: true,
            epoch: 9_007_199_254_740_993,
            scope: Some("s".into()),
            topic: Some("S".into()),
            total_queues: 3,
        };
        let expected = [("S".into(), mapping), ("U".into(), TopicMapping::default())];
        assert_eq!(decoded(body, Form::Json).unwrap().mappings, expected);
    }

    #[test]
    fn filter_servers_may_be_absent_null_or_listed() {
        for (body, expected) in [
            (r#"{"filterServerList":null}"#, None),
            ("{}", Some(vec![])),
            (r#"{"filterServerList":["a:1",null,"b:2"]}"#, Some(vec!["a:1".into(), "b:2".into()])),
        ] {
            assert_eq!(decoded(body, Form::Json).unwrap().filter_servers, expected, "{body}");
        }
    }

    #[test]
    fn the_legacy_form_is_the_wrapper_alone() {
        let body = r#"{"dataVersion":{"counter":7,"timestamp":8},"topicConfigTable":{"T":{"topicName":"T"}},
            "topicQueueMappingInfoMap":{"T":{}},"filterServerList":["a:1"]}"#;

        let expected = TopicTable {
            data_version: version(7, 8),
            topics: vec![config("T", 16, 6, 0)],
            mappings: vec![],
            filter_servers: None,
        };
        assert_eq!(decoded(body, Form::LegacyJson), Ok(expected));
    }

    #[test]
    fn a_nameless_topic_refuses_the_body_by_its_key() {
        for topic in ["{}", "null", r#"{"topicName":null,"perm":6}"#] {
            let body = with_topics(&format!(r#""A":{{"topicName":"A"}},"K\n":{topic}"#));

            let error = decoded(body, Form::Json).unwrap_err();

            assert_eq!(error, DecodeError::UnnamedTopic(r#"topicConfigTable entry "K\n""#.into()));
        }
    }

    #[test]
    fn null_where_java_would_leave_a_ghost_is_refused() {
        for body in ["null", r#"{"topicConfigSerializeWrapper":null}"#] {
            malformed(decoded(body, Form::Json));
        }
        malformed(decoded(r#"{"topicConfigSerializeWrapper":{"topicConfigTable":null}}"#, Form::Json));
        malformed(decoded(r#"{"topicConfigTable":null}"#, Form::LegacyJson));
        malformed(decoded("null", Form::LegacyJson));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in [" ", "garbage", "[]", "{", "{}}", r#"{"a"}"#, with_topics("T:{}").as_str()] {
            malformed(decoded(body, Form::Json));
        }
    }

    #[test]
    fn an_error_says_where() {
        let text = malformed(decoded(with_topics(r#""T":{"topicName":"T","perm":"x"}"#), Form::Json));
        let expected =
            r#"topicConfigSerializeWrapper: topicConfigTable: entry "T": value is not an integer at byte 80"#;
        assert_eq!(text, expected);

        let key = "k".repeat(1000);
        let text = malformed(decoded(with_topics(&format!(r#""{key}":1"#)), Form::Json));
        assert!(text.len() < 300, "{text}");
    }

    #[test]
    fn a_body_cut_anywhere_is_refused() {
        for length in 1..CAPTURED_JSON.len() {
            malformed(decoded(&CAPTURED_JSON[..length], Form::Json));
        }
    }

    #[test]
    fn deep_nesting_is_too_large() {
        let body = format!(r#"{{"x":{}"#, "[".repeat(100_000));

        too_large(decoded(body, Form::Json));
    }

    #[test]
    fn entries_of_every_kind_count_against_one_bound() {
        let limits = Limits { entries_max: 5, ..Limits::default() };
        let body = |servers: &str| {
            format!(
                r#"{{"filterServerList":[{servers}],"topicConfigSerializeWrapper":{{
                "topicConfigTable":{{"T":{{"topicName":"T"}}}},"topicQueueMappingInfoMap":{{"T":{{"currIdMap":{{0:0}}}}}}}}}}"#
            )
        };

        assert!(decode(body(r#""a","b""#).as_bytes(), Form::Json, NOW, &limits).is_ok());
        let text = too_large(decode(body(r#""a","b","c""#).as_bytes(), Form::Json, NOW, &limits));
        assert!(text.ends_with("more than 5 entries"), "{text}");
    }
}

mod compressed {
    use super::*;

    #[test]
    fn the_captured_body_is_read_whole() {
        let table = decoded(CAPTURED_COMPRESSED, Form::CompressedWithMappings).unwrap();

        let mapping = TopicMapping {
            broker_name: Some("broker-b".into()),
            current_ids: [(0, 0), (1, 1), (2, 2), (10, 3)].into(),
            dirty: false,
            epoch: 1_700_000_000_001,
            scope: Some("__global__".into()),
            topic: Some("StaticT".into()),
            total_queues: 4,
        };
        let expected = TopicTable {
            data_version: version(1, 1_700_000_000_000),
            topics: vec![config("TopicA", 8, 6, 0), config("ZT", 4, 6, 0), config("StaticT", 4, 6, 0)],
            mappings: vec![("StaticT".into(), mapping)],
            filter_servers: Some(vec!["127.0.0.1:40001".into()]),
        };
        assert_eq!(table, expected);
    }

    #[test]
    fn an_older_broker_sends_no_mappings_and_more_is_ignored() {
        let table = decoded(CAPTURED_COMPRESSED, Form::Compressed).unwrap();

        assert_eq!(table.topics.len(), 3);
        assert!(table.mappings.is_empty());
    }

    #[test]
    fn mappings_are_mandatory_where_they_are_announced() {
        let plain = || Plain::with_topics(&["T 4 4 6 SINGLE_TAG {}"]);

        assert!(plain().decoded(Form::Compressed).is_ok());
        assert!(plain().number(0).decoded(Form::CompressedWithMappings).is_ok());
        let text = malformed(plain().decoded(Form::CompressedWithMappings));
        assert!(text.starts_with("number of mappings: compressed body ends"), "{text}");
    }

    #[test]
    fn attributes_may_be_missing_broken_or_cut_by_blanks() {
        for topic in ["T 8 4 7 MULTI_TAG", "T 8 4 7 MULTI_TAG {", r#"T 8 4 7 MULTI_TAG {"a": "b c"}"#] {
            let table = Plain::with_topics(&[topic]).decoded(Form::Compressed).unwrap();

            let expected = TopicConfig { write_queue_nums: 4, ..config("T", 8, 7, 0) };
            assert_eq!(table.topics, [expected], "{topic}");
        }
    }

    #[test]
    fn a_topic_of_fewer_than_five_parts_has_no_name() {
        for topic in ["", "T", "T 4 4 6"] {
            let error = Plain::with_topics(&["A 4 4 6 SINGLE_TAG", topic]).decoded(Form::Compressed).unwrap_err();

            assert_eq!(error, DecodeError::UnnamedTopic("topic 2".into()), "{topic}");
        }
    }

    #[test]
    fn a_topic_that_cannot_be_read_is_refused_with_its_place() {
        for (topic, expected) in [
            ("T 4 4 6 OTHER", r#"topic 1: unknown filter type "OTHER""#),
            ("T x 4 6 SINGLE_TAG", r#"topic 1: "x" is not an integer"#),
            ("T  4 4 6 SINGLE_TAG", r#"topic 1: unknown filter type "6""#),
            ("T 4 4 2147483648 SINGLE_TAG", r#"topic 1: "2147483648" is not an integer"#),
        ] {
            assert_eq!(malformed(Plain::with_topics(&[topic]).decoded(Form::Compressed)), expected);
        }
    }

    #[test]
    fn the_last_of_two_equal_topics_wins() {
        let topics = ["A 1 1 6 SINGLE_TAG", "B 2 2 6 SINGLE_TAG", "A 3 3 6 SINGLE_TAG"];

        let table = Plain::with_topics(&topics).decoded(Form::Compressed).unwrap();

        assert_eq!(table.topics, [config("A", 3, 6, 0), config("B", 2, 6, 0)]);
    }

    #[test]
    fn a_data_version_without_fields_is_as_of_now() {
        for text in ["", "null", "{}"] {
            let table = Plain::default().record(text).number(0).record("[]").decoded(Form::Compressed).unwrap();

            assert_eq!(table.data_version, version(0, NOW), "{text}");
        }
        let text = malformed(Plain::default().record("x").number(0).record("[]").decoded(Form::Compressed));
        assert_eq!(text, "data version: expected a value at byte 0");
    }

    #[test]
    fn bad_filter_servers_are_an_empty_list() {
        for (text, expected) in [
            ("x", Some(vec![])),
            (r#"["a:1""#, Some(vec![])),
            (r#"["a:1"]x"#, Some(vec![])),
            ("", None),
            ("null", None),
            (r#"["a:1"]"#, Some(vec!["a:1".into()])),
        ] {
            let table = Plain::default().record("{}").number(0).record(text).decoded(Form::Compressed).unwrap();

            assert_eq!(table.filter_servers, expected, "{text}");
        }
    }

    #[test]
    fn a_mapping_must_name_its_topic() {
        let plain = Plain::with_topics(&[]).number(2).record(r#"{"topic":"S"}"#).record("{}");

        assert_eq!(malformed(plain.decoded(Form::CompressedWithMappings)), "mapping 2: names no topic");
    }

    #[test]
    fn a_stream_cut_anywhere_is_refused() {
        for length in 1..CAPTURED_COMPRESSED.len() {
            malformed(decoded(&CAPTURED_COMPRESSED[..length], Form::CompressedWithMappings));
            malformed(decoded(&CAPTURED_COMPRESSED[..length], Form::Compressed));
        }
    }

    #[test]
    fn a_wrong_checksum_is_refused_even_after_the_last_record() {
        let mut bytes = CAPTURED_COMPRESSED.to_vec();
        *bytes.last_mut().unwrap() ^= 1;

        assert!(malformed(decoded(&bytes, Form::CompressedWithMappings)).starts_with("corrupt zlib stream"));
    }

    #[test]
    fn what_follows_the_stream_is_ignored() {
        let mut bytes = CAPTURED_COMPRESSED.to_vec();
        bytes.extend(b"more");

        assert!(decoded(&bytes, Form::CompressedWithMappings).is_ok());
    }

    #[test]
    fn claimed_counts_and_lengths_reserve_nothing() {
        let record_too_long = Plain::default().number(i32::MAX).compressed();
        assert!(
            malformed(decoded(record_too_long, Form::Compressed)).starts_with("data version: compressed body ends")
        );

        let many_topics = Plain::default().record("{}").number(i32::MAX).compressed();
        assert_eq!(too_large(decoded(many_topics, Form::Compressed)), "number of topics: more than 500000 entries");

        for negative in [Plain::default().number(-1), Plain::default().record("{}").number(i32::MIN)] {
            assert!(malformed(negative.decoded(Form::Compressed)).ends_with("is negative"));
        }
    }

    #[test]
    fn a_stream_that_explodes_is_refused_by_its_ratio() {
        // A single record of 4 MiB of zeros, in 4 KiB: it is given up at the floor of 1 MiB.
        let mut plain = Plain::default().number(4 << 20);
        plain.0.resize(4 << 20, 0);
        let bytes = plain.compressed();
        assert!(bytes.len() < 5000);

        let text = too_large(decoded(&bytes, Form::Compressed));

        assert_eq!(text, "compressed body inflates to more than 1048576 bytes");
    }

    #[test]
    fn what_follows_the_last_record_may_not_explode_either() {
        let mut plain = Plain::with_topics(&[]);
        plain.0.resize(4 << 20, 0);

        assert_eq!(too_large(plain.decoded(Form::Compressed)), "compressed body inflates to more than 1048576 bytes");
    }

    #[test]
    fn a_stream_is_refused_by_its_size_whatever_its_ratio() {
        let limits = Limits { inflated_max: 100, ..Limits::default() };
        let bytes = Plain::with_topics(&["T 4 4 6 SINGLE_TAG"; 10]).compressed();

        let text = too_large(decode(&bytes, Form::Compressed, NOW, &limits));

        assert_eq!(text, "compressed body inflates to more than 100 bytes");
    }
}

/// What a broker would send for `table`, with integer keys bare or quoted.
fn json_of(table: &TopicTable, bare_keys: bool) -> Vec<u8> {
    let mut out = BytesMut::from(r#"{"filterServerList":"#);
    out.extend_from_slice(json_of_servers(table).as_bytes());
    out.extend_from_slice(br#","topicConfigSerializeWrapper":{"dataVersion":"#);
    data_version::encode(&table.data_version, &mut out);
    out.extend_from_slice(br#","topicConfigTable":{"#);
    for (index, topic) in table.topics.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b",");
        }
        write::string(&mut out, topic.key.as_ref().unwrap_or(&topic.name));
        out.extend_from_slice(br#":{"topicName":"#);
        write::string(&mut out, &topic.name);
        let rest = format!(
            r#","readQueueNums":{},"writeQueueNums":{},"perm":{},"topicSysFlag":{}}}"#,
            topic.read_queue_nums, topic.write_queue_nums, topic.perm, topic.topic_sys_flag
        );
        out.extend_from_slice(rest.as_bytes());
    }
    out.extend_from_slice(br#"},"topicQueueMappingInfoMap":{"#);
    for (index, (topic, mapping)) in table.mappings.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b",");
        }
        write::string(&mut out, topic);
        out.extend_from_slice(b":");
        out.extend_from_slice(json_of_mapping(mapping, bare_keys).as_bytes());
    }
    out.extend_from_slice(b"}}}");
    out.to_vec()
}

fn json_of_servers(table: &TopicTable) -> String {
    let servers = table.filter_servers.as_ref();
    let servers: Option<Vec<&str>> = servers.map(|servers| servers.iter().map(|server| &**server).collect());
    serde_json::to_string(&servers).unwrap()
}

fn json_of_mapping(mapping: &TopicMapping, bare_keys: bool) -> String {
    let quote = if bare_keys { "" } else { "\"" };
    let ids = mapping.current_ids.iter().map(|(from, to)| format!("{quote}{from}{quote}:{to}"));
    let text = |text: &Option<Name>| serde_json::to_string(&text.as_deref()).unwrap();
    format!(
        r#"{{"bname":{},"currIdMap":{{{}}},"dirty":{},"epoch":{},"scope":{},"topic":{},"totalQueues":{}}}"#,
        text(&mapping.broker_name),
        ids.collect::<Vec<_>>().join(","),
        mapping.dirty,
        mapping.epoch,
        text(&mapping.scope),
        text(&mapping.topic),
        mapping.total_queues,
    )
}

fn compressed_of(table: &TopicTable) -> Vec<u8> {
    let mut version = BytesMut::new();
    data_version::encode(&table.data_version, &mut version);
    let version = String::from_utf8(version.to_vec()).unwrap();
    let mut plain = Plain::default().record(&version).number(table.topics.len() as i32);
    for topic in &table.topics {
        let (read, write) = (topic.read_queue_nums, topic.write_queue_nums);
        plain = plain.record(&format!("{} {read} {write} {} SINGLE_TAG {{}}", topic.name, topic.perm));
    }
    plain = plain.record(&json_of_servers(table)).number(table.mappings.len() as i32);
    for (_, mapping) in &table.mappings {
        plain = plain.record(&json_of_mapping(mapping, true));
    }
    plain.compressed()
}

fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof!["[a-zA-Z0-9%_-]{1,20}", "[^ ]{0,6}"].prop_map(Name::from)
}

fn any_topic() -> impl Strategy<Value = TopicConfig> {
    any::<(i32, i32, i32, i32)>().prop_map(|(read_queue_nums, write_queue_nums, perm, topic_sys_flag)| TopicConfig {
        read_queue_nums,
        write_queue_nums,
        ..config("", 0, perm, topic_sys_flag)
    })
}

fn any_mapping() -> impl Strategy<Value = TopicMapping> {
    let name = || prop_oneof![Just(None), any_name().prop_map(Some)];
    let numbers = any::<(bool, i64, i32)>();
    (name(), btree_map(any::<i32>(), any::<i32>(), 0..5), name(), name(), numbers).prop_map(
        |(broker_name, current_ids, scope, topic, (dirty, epoch, total_queues))| TopicMapping {
            broker_name,
            current_ids,
            dirty,
            epoch,
            scope,
            topic,
            total_queues,
        },
    )
}

/// A table as the JSON form carries it: keys are unique, and stand beside the name only where they differ.
fn any_table() -> impl Strategy<Value = TopicTable> {
    let topics =
        btree_map(any_name(), (any_topic(), prop_oneof![9 => Just(None), 1 => any_name().prop_map(Some)]), 0..8);
    let servers = prop_oneof![Just(None), vec(any_name(), 0..3).prop_map(Some)];
    (any::<(i64, i64, i64)>(), topics, btree_map(any_name(), any_mapping(), 0..4), servers).prop_map(
        |((state_version, timestamp, counter), topics, mappings, filter_servers)| TopicTable {
            data_version: DataVersion { state_version, timestamp, counter },
            topics: topics
                .into_iter()
                .map(|(key, (topic, other_name))| match other_name.filter(|name| *name != key) {
                    Some(name) => TopicConfig { name, key: Some(key), ..topic },
                    None => TopicConfig { name: key, ..topic },
                })
                .collect(),
            mappings: mappings.into_iter().collect(),
            filter_servers,
        },
    )
}

/// The same table as the compressed form carries it: without keys of its own and without system flags.
fn as_compressed(mut table: TopicTable) -> TopicTable {
    for topic in &mut table.topics {
        topic.name = topic.key.take().unwrap_or_else(|| topic.name.clone());
        topic.topic_sys_flag = 0;
    }
    for (key, mapping) in &mut table.mappings {
        mapping.topic = Some(key.clone());
    }
    table
}

proptest! {
    #[test]
    fn any_table_comes_back_from_json(table in any_table(), bare_keys in any::<bool>()) {
        assert_eq!(decoded(json_of(&table, bare_keys), Form::Json), Ok(table));
    }

    #[test]
    fn any_table_comes_back_from_the_compressed_form(table in any_table()) {
        let table = as_compressed(table);

        assert_eq!(decoded(compressed_of(&table), Form::CompressedWithMappings), Ok(table));
    }

    #[test]
    fn random_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        for form in FORMS {
            let _ = decoded(&bytes, form);
        }
        // The same bytes as the inside of a stream.
        let _ = Plain(bytes).decoded(Form::CompressedWithMappings);
    }

    #[test]
    fn mutated_bodies_are_decoded_or_refused(table in any_table(), changes in vec(any::<(Index, u8)>(), 1..4)) {
        let mutated = |mut bytes: Vec<u8>| {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes
        };
        let json = mutated(json_of(&table, true));
        let _ = decoded(&json, Form::Json);
        let _ = decoded(&json, Form::LegacyJson);
        let _ = decoded(mutated(compressed_of(&table)), Form::CompressedWithMappings);
        // A change inside the stream, with a checksum that fits.
        let mut plain = Vec::new();
        flate2::read::ZlibDecoder::new(&compressed_of(&table)[..]).read_to_end(&mut plain).unwrap();
        let _ = Plain(mutated(plain)).decoded(Form::CompressedWithMappings);
    }
}
