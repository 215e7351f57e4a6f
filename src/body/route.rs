//! Writing a topic's route (Java: `TopicRouteData`), the body that clients ask for most.
//!
//! The route is handed in as borrowed parts, so that one can be written straight from shared tables: nothing is copied
//! or allocated here except the bytes written.
//!
//! # Invariants
//!
//! * Members are alphabetical, and absent ones are left out, as Java's writer does.
//! * Lists are written in the order given, because a policy may have chosen it. Maps must arrive ascending (by name, or
//!   by broker id as a number): Java's standard style sorts them, its other style writes any order, and we have one.

use crate::json::write::{integer, string};
use crate::route::{Name, Queue, TopicMapping};
use bytes::BytesMut;
use std::collections::BTreeMap;

/// How integer map keys and big integers are written.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Style {
    /// Integer keys quoted, and integers that a double cannot hold as strings: what every JSON parser reads. Java: the
    /// features `BrowserCompatible` and `MapSortField` in `ClientRequestProcessor.getRouteInfoByTopic`.
    Standard,
    /// Integer keys bare (`{0:"…"}`), which is not JSON, but old clients take the text apart by hand.
    BareKeys,
}

/// The parts of a route, each borrowed from wherever it lives.
#[derive(Clone, Debug)]
pub struct RouteBody<'a, Groups, Queues, FilterServers> {
    /// An iterable of [`GroupBody`].
    pub groups: Groups,
    /// An iterable of `&Queue`.
    pub queues: Queues,
    /// An iterable of `(&str, &[Name])`: the filter servers by broker address, only of brokers that have any.
    pub filter_servers: FilterServers,
    /// Static-topic mappings by broker name.
    pub mappings: Option<&'a BTreeMap<Name, TopicMapping>>,
    /// What the KV store says about the order of the topic.
    pub order_topic_conf: Option<&'a str>,
}

/// One broker group of a route. Java: `BrokerData`.
#[derive(Clone, Copy, Debug)]
pub struct GroupBody<'a> {
    /// The name its members share.
    pub broker_name: &'a str,
    /// The cluster it is in.
    pub cluster: &'a str,
    /// The zone, if it named one.
    pub zone: Option<&'a str>,
    /// Java: `enableActingMaster`.
    pub acting_master: bool,
    /// The addresses by broker id, ascending.
    pub addresses: &'a [(i64, Name)],
}

impl<'a, Groups, Queues, FilterServers> RouteBody<'a, Groups, Queues, FilterServers>
where
    Groups: IntoIterator<Item = GroupBody<'a>>,
    Queues: IntoIterator<Item = &'a Queue>,
    FilterServers: IntoIterator<Item = (&'a str, &'a [Name])>,
{
    /// Appends the body to `out`.
    pub fn encode(self, style: Style, out: &mut BytesMut) {
        out.extend_from_slice(b"{\"brokerDatas\":[");
        list(out, self.groups, |out, group| group.encode(style, out));
        out.extend_from_slice(b"],\"filterServerTable\":{");
        list(out, self.filter_servers, |out, (address, servers)| {
            string(out, address);
            out.extend_from_slice(b":[");
            list(out, servers, |out, server| string(out, server));
            out.extend_from_slice(b"]");
        });
        out.extend_from_slice(b"}");
        if let Some(conf) = self.order_topic_conf {
            out.extend_from_slice(b",\"orderTopicConf\":");
            string(out, conf);
        }
        out.extend_from_slice(b",\"queueDatas\":[");
        list(out, self.queues, queue);
        out.extend_from_slice(b"]");
        if let Some(mappings) = self.mappings {
            out.extend_from_slice(b",\"topicQueueMappingByBroker\":{");
            list(out, mappings, |out, (broker_name, info)| {
                string(out, broker_name);
                out.extend_from_slice(b":");
                mapping(out, info, style);
            });
            out.extend_from_slice(b"}");
        }
        out.extend_from_slice(b"}");
    }
}

impl GroupBody<'_> {
    /// Appends the group as an object; a cluster listing shows groups in the same form.
    pub fn encode(&self, style: Style, out: &mut BytesMut) {
        debug_assert!(self.addresses.is_sorted_by_key(|(id, _)| id), "the addresses of a group are ascending");
        out.extend_from_slice(b"{\"brokerAddrs\":{");
        list(out, self.addresses, |out, (id, address)| {
            integer_key(out, *id, style);
            string(out, address);
        });
        out.extend_from_slice(b"},\"brokerName\":");
        string(out, self.broker_name);
        out.extend_from_slice(b",\"cluster\":");
        string(out, self.cluster);
        out.extend_from_slice(b",\"enableActingMaster\":");
        boolean(out, self.acting_master);
        if let Some(zone) = self.zone {
            out.extend_from_slice(b",\"zoneName\":");
            string(out, zone);
        }
        out.extend_from_slice(b"}");
    }
}

fn queue(out: &mut BytesMut, queue: &Queue) {
    out.extend_from_slice(b"{\"brokerName\":");
    string(out, &queue.broker_name);
    out.extend_from_slice(b",\"perm\":");
    integer(out, queue.perm.into());
    out.extend_from_slice(b",\"readQueueNums\":");
    integer(out, queue.read_queue_nums.into());
    out.extend_from_slice(b",\"topicSysFlag\":");
    integer(out, queue.topic_sys_flag.into());
    out.extend_from_slice(b",\"writeQueueNums\":");
    integer(out, queue.write_queue_nums.into());
    out.extend_from_slice(b"}");
}

fn mapping(out: &mut BytesMut, mapping: &TopicMapping, style: Style) {
    out.extend_from_slice(b"{");
    if let Some(broker_name) = &mapping.broker_name {
        out.extend_from_slice(b"\"bname\":");
        string(out, broker_name);
        out.extend_from_slice(b",");
    }
    out.extend_from_slice(b"\"currIdMap\":{");
    list(out, &mapping.current_ids, |out, (logical, physical)| {
        integer_key(out, (*logical).into(), style);
        integer(out, (*physical).into());
    });
    out.extend_from_slice(b"},\"dirty\":");
    boolean(out, mapping.dirty);
    out.extend_from_slice(b",\"epoch\":");
    long(out, mapping.epoch, style);
    if let Some(scope) = &mapping.scope {
        out.extend_from_slice(b",\"scope\":");
        string(out, scope);
    }
    if let Some(topic) = &mapping.topic {
        out.extend_from_slice(b",\"topic\":");
        string(out, topic);
    }
    out.extend_from_slice(b",\"totalQueues\":");
    integer(out, mapping.total_queues.into());
    out.extend_from_slice(b"}");
}

/// Appends `items` with commas between.
fn list<T>(out: &mut BytesMut, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut BytesMut, T)) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b",");
        }
        write(out, item);
    }
}

fn integer_key(out: &mut BytesMut, key: i64, style: Style) {
    match style {
        Style::Standard => quoted_integer(out, key),
        Style::BareKeys => integer(out, key),
    }
    out.extend_from_slice(b":");
}

/// Java: `JSONWriter.Feature.BrowserCompatible` quotes what a browser's numbers cannot hold.
fn long(out: &mut BytesMut, value: i64, style: Style) {
    const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;
    match style {
        Style::Standard if value.unsigned_abs() > SAFE_INTEGER_MAX => quoted_integer(out, value),
        Style::Standard | Style::BareKeys => integer(out, value),
    }
}

fn quoted_integer(out: &mut BytesMut, value: i64) {
    out.extend_from_slice(b"\"");
    integer(out, value);
    out.extend_from_slice(b"\"");
}

fn boolean(out: &mut BytesMut, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

#[cfg(test)]
mod tests {
    use super::*;

    type Filters<'a> = Vec<(&'a str, &'a [Name])>;

    fn name(text: &str) -> Name {
        text.into()
    }

    fn serving(broker_name: &str, queue_nums: i32, perm: i32) -> Queue {
        Queue {
            broker_name: name(broker_name),
            read_queue_nums: queue_nums,
            write_queue_nums: queue_nums,
            perm,
            topic_sys_flag: 0,
        }
    }

    fn encoded<'a, G, Q, F>(body: RouteBody<'a, G, Q, F>, style: Style) -> String
    where
        G: IntoIterator<Item = GroupBody<'a>>,
        Q: IntoIterator<Item = &'a Queue>,
        F: IntoIterator<Item = (&'a str, &'a [Name])>,
    {
        let mut out = BytesMut::new();
        body.encode(style, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// The route of `TopicA` that the Java server was captured with, in the order that it happened to write.
    fn topic_a(style: Style) -> String {
        let addresses_a = [(0, name("127.0.0.1:30911")), (1, name("127.0.0.1:30921"))];
        let addresses_b = [(0, name("127.0.0.1:30931"))];
        let addresses_c = [(0, name("127.0.0.1:30941"))];
        let group = |broker_name, cluster, zone, acting_master, addresses| GroupBody {
            broker_name,
            cluster,
            zone,
            acting_master,
            addresses,
        };
        let groups = [
            group("broker-b", "cluster-one", Some("z2"), false, &addresses_b[..]),
            group("broker-c", "cluster-two", None, false, &addresses_c[..]),
            group("broker-a", "cluster-one", Some("z1"), true, &addresses_a[..]),
        ];
        let queues = [serving("broker-b", 8, 6), serving("broker-c", 2, 6), serving("broker-a", 4, 6)];
        let servers = [name("127.0.0.1:40001")];
        let filter_servers = [("127.0.0.1:30931", &servers[..])];
        let body = RouteBody { groups, queues: &queues, filter_servers, mappings: None, order_topic_conf: None };

        encoded(body, style)
    }

    /// The captured route of `StaticT`, with `epoch` instead of its own.
    fn static_topic(style: Style, epoch: i64) -> String {
        let addresses = [(0, name("127.0.0.1:30931"))];
        let groups = [GroupBody {
            broker_name: "broker-b",
            cluster: "cluster-one",
            zone: Some("z2"),
            acting_master: false,
            addresses: &addresses,
        }];
        let queues = [serving("broker-b", 4, 6)];
        let servers = [name("127.0.0.1:40001")];
        let mapping = TopicMapping {
            broker_name: Some(name("broker-b")),
            current_ids: [(0, 0), (1, 1), (2, 2), (10, 3)].into(),
            dirty: false,
            epoch,
            scope: Some(name("__global__")),
            topic: Some(name("StaticT")),
            total_queues: 4,
        };
        let body = RouteBody {
            groups,
            queues: &queues,
            filter_servers: [("127.0.0.1:30931", &servers[..])],
            mappings: Some(&[(name("broker-b"), mapping)].into()),
            order_topic_conf: None,
        };

        encoded(body, style)
    }

    #[test]
    fn a_route_in_standard_style_is_what_java_answers_to_version_513() {
        assert_eq!(topic_a(Style::Standard), include_str!("../../tests/data/body/route_topicA_v513.txt"));
    }

    #[test]
    fn a_route_in_bare_keys_style_is_what_java_answers_to_version_317() {
        assert_eq!(topic_a(Style::BareKeys), include_str!("../../tests/data/body/route_topicA_v317_go.txt"));
    }

    #[test]
    fn a_static_topic_is_what_java_answers_in_both_styles() {
        let epoch = 1_700_000_000_001;

        assert_eq!(static_topic(Style::Standard, epoch), include_str!("../../tests/data/body/route_static_topic.txt"));
        assert_eq!(
            static_topic(Style::BareKeys, epoch),
            include_str!("../../tests/data/body/route_static_topic_v317.txt")
        );
    }

    #[test]
    fn an_order_topic_is_what_java_answers() {
        let addresses = [(0, name("127.0.0.1:30911")), (1, name("127.0.0.1:30921"))];
        let groups = [GroupBody {
            broker_name: "broker-a",
            cluster: "cluster-one",
            zone: Some("z1"),
            acting_master: true,
            addresses: &addresses,
        }];
        let queues = [serving("broker-a", 4, 6)];
        let body = RouteBody {
            groups,
            queues: &queues,
            filter_servers: Filters::new(),
            mappings: None,
            order_topic_conf: Some("broker-a:4;broker-b:4"),
        };

        let expected = include_str!("../../tests/data/body/route_order_topic.txt");
        assert_eq!(encoded(body, Style::Standard), expected);
    }

    #[test]
    fn an_empty_route_keeps_its_three_collections() {
        let body = RouteBody {
            groups: [],
            queues: &[],
            filter_servers: Filters::new(),
            mappings: None,
            order_topic_conf: None,
        };

        assert_eq!(encoded(body, Style::Standard), r#"{"brokerDatas":[],"filterServerTable":{},"queueDatas":[]}"#);
    }

    #[test]
    fn longs_that_a_double_cannot_hold_are_text_in_standard_style_only() {
        for (epoch, standard) in [
            ((1 << 53) - 1, "9007199254740991"),
            (1 << 53, "\"9007199254740992\""),
            (-(1 << 53) + 1, "-9007199254740991"),
            (-(1 << 53), "\"-9007199254740992\""),
            (i64::MIN, "\"-9223372036854775808\""),
        ] {
            assert!(static_topic(Style::Standard, epoch).contains(&format!("\"epoch\":{standard},")));
            assert!(static_topic(Style::BareKeys, epoch).contains(&format!("\"epoch\":{epoch},")));
        }
    }

    #[test]
    fn absent_members_of_a_mapping_are_left_out() {
        let mappings = [(name("b"), TopicMapping::default())].into();
        let body = RouteBody {
            groups: [],
            queues: &[],
            filter_servers: Filters::new(),
            mappings: Some(&mappings),
            order_topic_conf: None,
        };

        let expected = r#""topicQueueMappingByBroker":{"b":{"currIdMap":{},"dirty":false,"epoch":0,"totalQueues":0}}}"#;
        assert!(encoded(body, Style::Standard).ends_with(expected));
    }
}
