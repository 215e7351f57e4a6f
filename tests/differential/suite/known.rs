//! Where Fingerpost differs from Java on purpose, each with its reason.
//!
//! A difference is known only if its predicate holds for what was asked and for what Java's tables held at that moment.
//! It is either in one answer, and then the states must be equal right after it, or it makes the states drift apart,
//! and then only in answers to the codes that it names, and both servers are started anew. What Java's tables keep from
//! earlier steps is known by looking at them, and may show in nothing else.

use std::collections::HashSet;

use super::compare::{Reply, Seen};
use super::oddities::{self, FORGIVEN, Oddity, REFUSED, SHARED, UNCOUNTED};
use super::request::{Body, REGISTER_BODY_SINCE, Registration, Request};
use super::state::{Live, State};
use super::tree::Tree;

/// One row of the table.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    /// More of these in 10,000 operations mean that the predicate is too wide, or that something else hides behind it.
    pub(crate) cap: usize,
    pub(crate) rule: Rule,
}

pub(crate) enum Rule {
    /// The answers differ, and the states do not.
    Answer(fn(&Scene<'_>, &Reply, &Reply) -> bool),
    /// Something else than two answers comes.
    Outcome(fn(&Scene<'_>, &Seen, &Seen) -> bool),
    /// The states may differ afterwards, as these codes may show. The answers may differ too if the third says so.
    Drift(fn(&Scene<'_>) -> bool, &'static [i32], fn(&Reply, &Reply) -> bool),
    /// Java's tables may keep what ours forget, as the first says. If they do, as the second sees in them, answers may
    /// differ as the third says.
    Leftover(fn(&Scene<'_>) -> bool, fn(&State) -> bool, fn(&Scene<'_>, &Reply, &Reply) -> bool),
}

/// What happens, and what Java's tables held before it.
pub(crate) struct Scene<'a> {
    pub(crate) event: Event<'a>,
    /// The client's port at Java of the connection that it happens on.
    pub(crate) port: u16,
    pub(crate) state: &'a State,
}

#[derive(Clone, Copy)]
pub(crate) enum Event<'a> {
    Request(&'a Request),
    Close,
    Scan,
}

impl Scene<'_> {
    fn request(&self) -> Option<&Request> {
        match self.event {
            Event::Request(request) => Some(request),
            _ => None,
        }
    }

    /// A request of this code.
    fn of(&self, code: i32) -> Option<&Request> {
        self.request().filter(|request| request.code == code)
    }

    /// The header of a whole frame in JSON.
    fn json_header(&self) -> Option<&[u8]> {
        let frame = self.request()?.verbatim.as_deref()?;
        let [0, size @ ..] = *frame.get(4..)?.first_chunk::<4>()? else { return None };
        let size = size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        frame.get(8..8 + size)
    }

    /// Whether the body is a document with one of these oddities.
    fn has_odd_body(&self, oddities: &[Oddity]) -> bool {
        let body = self.request().map(|request| &request.body);
        matches!(body, Some(Body::Text(text)) if oddities::is_one_of(oddities, text))
    }

    /// Whether the request is the registration of a broker too old for its body to mean anything.
    fn means_nothing(&self) -> bool {
        self.of(103).is_some_and(|request| request.version < REGISTER_BODY_SINCE)
    }

    /// The live entries that go.
    fn leaving(&self) -> Vec<&Live> {
        let on_this = |live: &&Live| live.port == self.port && live.port != 0;
        match self.event {
            Event::Request(_) => Vec::new(),
            Event::Close => self.state.live.iter().filter(on_this).collect(),
            Event::Scan => self.state.live.iter().filter(|live| is_silent(live)).collect(),
        }
    }
}

fn is_silent(live: &Live) -> bool {
    live.timeout <= 0 || live.age > live.timeout
}

/// Everything that shows which brokers there are.
const BROKERS: &[i32] = &[105, 106, 206, 224, 304, 311, 312, 313, 322, 901];

pub(crate) const KNOWN: &[Known] = &[
    Known {
        name: "text of an exception",
        reason: "Java's remark is its exception's text with a stack frame; the code is the same, the text is ours",
        cap: 300,
        rule: Rule::Answer(|_, ours, java| {
            ours.code == 1 && java.code == 1 && is_exception(java) && ours.remark.is_some()
        }),
    },
    Known {
        name: "nameless broker",
        reason: "Java stores a broker without name, address or cluster by half and reports success; we refuse it",
        cap: 100,
        rule: Rule::Drift(
            |scene| {
                scene
                    .of(103)
                    .is_some_and(|request| NAMES.iter().any(|name| request.value(name).is_none_or(str::is_empty)))
            },
            BROKERS,
            is_refused_here,
        ),
    },
    Known {
        name: "single topic",
        reason: "Java refuses a newcomer with one topic after it has listed it; a refusal leaves nothing behind here",
        cap: 200,
        rule: Rule::Drift(
            |scene| scene.of(103).is_some_and(|request| is_single_topic(request, scene.state)),
            BROKERS,
            never,
        ),
    },
    Known {
        name: "older term",
        reason: "Java drops the live entry of a broker whose id another holds with a newer term, and keeps its address",
        cap: 100,
        rule: Rule::Drift(
            |scene| scene.of(103).is_some_and(|request| is_obsolete(request, scene.state)),
            BROKERS,
            never,
        ),
    },
    Known {
        name: "superseded entry",
        reason: "Java keeps the live entry that a registration takes the place of, and expires it for ever",
        cap: 300,
        rule: Rule::Drift(
            |scene| scene.of(103).is_some_and(|request| supersedes(request, scene.state)),
            BROKERS,
            never,
        ),
    },
    Known {
        name: "mapping outlives its broker",
        reason: "Java never forgets the mapping of a static topic; ours goes with its broker or topic",
        cap: 300,
        rule: Rule::Leftover(
            |scene| scene.state.has_mappings() || scene.of(103).is_some_and(has_mappings),
            |state| state.orphans().next().is_some(),
            |scene, ours, java| {
                scene.of(105).is_some_and(|request| differ_in_orphans(request, scene.state, ours, java))
            },
        ),
    },
    Known {
        name: "unregister without id",
        reason: "in Java it stops the removal half-way; we refuse it",
        cap: 50,
        rule: Rule::Drift(
            |scene| {
                scene
                    .of(104)
                    .is_some_and(|request| request.value("brokerId").is_none_or(|id| id.parse::<i64>().is_err()))
            },
            BROKERS,
            is_refused_here,
        ),
    },
    Known {
        name: "unregister under another name",
        reason: "Java removes the live entry of one broker and the address of another; ours go together or not at all",
        cap: 200,
        rule: Rule::Drift(
            |scene| scene.of(104).is_some_and(|request| is_crossed(request, scene.state)),
            BROKERS,
            never,
        ),
    },
    Known {
        name: "unregister of nobody",
        reason: "Java takes the write permission of a group without master for it; what removes nothing changes nothing here",
        cap: 100,
        rule: Rule::Drift(
            |scene| scene.of(104).is_some_and(|request| is_of_nobody(request, scene.state)),
            &[105],
            never,
        ),
    },
    Known {
        name: "one of several on a connection",
        reason: "Java forgets one broker of a closed connection; the others stay until they expire",
        cap: 200,
        rule: Rule::Drift(
            |scene| scene.leaving().len() > 1 || (matches!(scene.event, Event::Scan) && shares(scene)),
            BROKERS,
            never,
        ),
    },
    Known {
        name: "table that is null",
        reason: "Java stops half-way through such a registration and reports success; we refuse it whole",
        cap: 100,
        rule: Rule::Drift(|scene| scene.of(103).is_some_and(has_null_table), BROKERS, is_refused_here),
    },
    Known {
        name: "filter server that is null",
        reason: "Java lists it as null, which no client can use; it is left out here",
        cap: 100,
        rule: Rule::Drift(
            |scene| {
                scene.of(103).is_some_and(|request| matches!(&request.body, Body::Text(text) if text.windows(6).any(|part| part == b"[null]")))
            },
            &[105],
            never,
        ),
    },
    Known {
        name: "queue that is null",
        reason: "Java stops there and reports success; we refuse the request whole",
        cap: 100,
        rule: Rule::Drift(
            |scene| {
                scene
                    .of(217)
                    .is_some_and(|request| matches!(&request.body, Body::Text(text) if text.ends_with(b"[null]}")))
            },
            &[],
            is_refused_here,
        ),
    },
    Known {
        name: "topic with an empty name",
        reason: "Java lists it; nobody can produce to it or ask for it, so it is not stored here",
        cap: 100,
        rule: Rule::Drift(
            |scene| scene.of(217).is_some_and(|request| request.value("topic") == Some("")),
            BROKERS,
            never,
        ),
    },
    Known {
        name: "timeout beyond the end of time",
        reason: "Java adds it to the last sign of life, which wraps, and expires the broker at once; ours stays",
        cap: 100,
        rule: Rule::Drift(
            |scene| {
                matches!(scene.event, Event::Scan) && scene.state.live.iter().any(|live| live.timeout > i64::MAX / 2)
            },
            BROKERS,
            never,
        ),
    },
    Known {
        name: "header that Java forgives",
        reason: "no client writes it, and a server that guesses what it means answers another question",
        cap: 100,
        rule: Rule::Outcome(|scene, ours, java| {
            let is_one = |header: &[u8]| header == b"{\"code\":{}}" || oddities::is_one_of(&FORGIVEN, header);
            scene.json_header().is_some_and(is_one) && *ours == Seen::Closed && java.reply().is_some()
        }),
    },
    Known {
        name: "header that Java refuses",
        reason: "Java is stricter about what it skips than about what it reads; nothing depends on it",
        cap: 100,
        rule: Rule::Outcome(|scene, ours, java| {
            let is_one = scene.json_header().is_some_and(|header| oddities::is_one_of(&REFUSED, header));
            is_one && *java == Seen::Closed && ours.reply().is_some()
        }),
    },
    Known {
        name: "body that Java forgives",
        reason: "no broker and no tool writes it, and what Java makes of it is a guess; we refuse it whole",
        cap: 150,
        rule: Rule::Drift(|scene| scene.has_odd_body(&FORGIVEN), BROKERS, is_refused_here),
    },
    Known {
        name: "body that Java refuses",
        reason: "what is wrong is in a member that means nothing to a name server; it is skipped here",
        cap: 100,
        rule: Rule::Drift(
            |scene| scene.has_odd_body(&REFUSED) || scene.means_nothing() && scene.has_odd_body(&SHARED),
            BROKERS,
            |ours, java| ours.code == 0 && java.code == 1,
        ),
    },
    Known {
        name: "counter that is null",
        reason: "Java takes it for a version that equals no other; it is 0 here, as if it were missing",
        cap: 50,
        rule: Rule::Drift(
            |scene| scene.has_odd_body(&UNCOUNTED),
            BROKERS,
            |ours, java| ours.code == 0 && java.code == 0,
        ),
    },
    Known {
        name: "topic without a name",
        reason: "Java stops half-way through such a registration and reports success; we refuse it whole",
        cap: 100,
        rule: Rule::Drift(|scene| scene.of(103).is_some_and(has_nameless_topic), BROKERS, is_refused_here),
    },
    Known {
        name: "setting that cannot change",
        reason: "Java shows the new value of a key that only a restart changes; an update is an allow-list here",
        cap: 200,
        rule: Rule::Drift(|scene| scene.of(318).is_some_and(names_a_fixed_key), &[319], never),
    },
    Known {
        name: "flag of one of several brokers",
        reason: "Java believes the broker that its hash table lists first, where brokers disagree about a topic's flags",
        cap: 300,
        rule: Rule::Answer(|scene, ours, java| {
            let is_list = scene.request().is_some_and(|request| (311..=313).contains(&request.code));
            is_list && lists_differ_in(ours, java, |topic| is_disputed(scene.state, topic))
        }),
    },
    Known {
        name: "bare keys after the zone filter",
        reason: "Java writes a filtered route anew and forgets that the client asked for quoted keys",
        cap: 300,
        rule: Rule::Answer(|scene, ours, java| {
            scene.of(105).is_some_and(is_zoned) && in_one_style(java) == in_one_style(ours)
        }),
    },
];

const NAMES: [&str; 3] = ["brokerName", "brokerAddr", "clusterName"];

fn never(_: &Reply, _: &Reply) -> bool {
    false
}

/// Java reports success, or refuses what it has half applied.
fn is_refused_here(ours: &Reply, java: &Reply) -> bool {
    let is_half_applied = java.remark.as_deref() == Some("\"register broker failed\"");
    ours.code == 1 && (java.code == 0 || (java.code == 1 && is_half_applied))
}

fn is_exception(reply: &Reply) -> bool {
    let remark = reply.remark.as_deref().unwrap_or_default();
    let class = remark.trim_start_matches('"').split([':', ',']).next().unwrap_or_default();
    class.contains('.') && !class.contains(' ') && class.ends_with("Exception")
}

fn published(request: &Request) -> Option<&Registration> {
    match &request.body {
        Body::Registration(registration) => Some(registration),
        _ => None,
    }
}

fn has_mappings(request: &Request) -> bool {
    published(request).is_some_and(|published| !published.mappings.is_empty())
}

fn id(request: &Request) -> i64 {
    request.value("brokerId").and_then(|id| id.parse().ok()).unwrap_or_default()
}

fn has_null_table(request: &Request) -> bool {
    let Body::Text(text) = &request.body else { return false };
    let text = String::from_utf8_lossy(text);
    text == "null"
        || text.contains("Wrapper\":null")
        || text.contains("Table\":null")
        || text.contains("Wrapper\":{}")
        || text.contains("dataVersion\":null")
}

fn has_nameless_topic(request: &Request) -> bool {
    match &request.body {
        Body::Registration(published) => {
            let is_nameless = |name: &Option<String>| name.as_ref().is_none_or(String::is_empty);
            published.topics.iter().any(|topic| is_nameless(&topic.name))
        }
        Body::Text(text) => {
            let text = String::from_utf8_lossy(text);
            text.contains("\"t0\":null") || text.contains("\"t0\":{}")
        }
        Body::None => false,
    }
}

fn names_a_fixed_key(request: &Request) -> bool {
    const FIXED: [&str; 3] = ["serverWorkerThreads", "productEnvName", "someKey"];
    let Body::Text(text) = &request.body else { return false };
    let text = String::from_utf8_lossy(text);
    FIXED.iter().any(|key| text.contains(key))
}

/// Whether two routes are equal but for the mappings of brokers that do not serve the topic.
fn differ_in_orphans(request: &Request, state: &State, ours: &Reply, java: &Reply) -> bool {
    let topic = text(request, "topic");
    let orphans: Vec<&str> = state.orphans().filter(|(of, _)| *of == topic).map(|(_, broker)| broker).collect();
    let without_orphans = |reply: &Reply| {
        let mut route = Tree::parse(&reply.body)?;
        route.retain_in("topicQueueMappingByBroker", |broker| !orphans.contains(&broker));
        Some(Reply { body: route.to_string(), ..reply.clone() })
    };
    let routes = without_orphans(ours).zip(without_orphans(java));
    !orphans.is_empty() && routes.is_some_and(|(ours, java)| ours == java)
}

/// Whether a topic's brokers say different things about it.
fn is_disputed(state: &State, topic: &str) -> bool {
    let flags = state.topics.get(topic).map(Vec::as_slice).unwrap_or_default();
    flags.iter().any(|(_, flag)| *flag != flags[0].1)
}

fn lists_differ_in(ours: &Reply, java: &Reply, may_differ: impl Fn(&str) -> bool) -> bool {
    let topics = |reply: &Reply| -> Option<Vec<String>> {
        let list = serde_json::from_str::<serde_json::Value>(&reply.body).ok()?;
        serde_json::from_value(list.get("topicList")?.clone()).ok()
    };
    let (Some(ours), Some(java)) = (topics(ours), topics(java)) else { return false };
    let only_in = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|topic| !those.contains(topic)).cloned().collect()
    };
    only_in(&ours, &java).iter().chain(&only_in(&java, &ours)).all(|topic| may_differ(topic))
}

fn text<'a>(request: &'a Request, name: &str) -> &'a str {
    request.value(name).unwrap_or_default()
}

fn is_single_topic(request: &Request, state: &State) -> bool {
    let topics = match &request.body {
        // One that stands there twice is one.
        Body::Registration(published) => published.topics.iter().map(|topic| &topic.key).collect::<HashSet<_>>().len(),
        // There is no such text.
        Body::Text(_) | Body::None => 0,
    };
    let holder = state.holder(text(request, "brokerName"), id(request));
    topics == 1 && holder.is_none()
}

fn is_obsolete(request: &Request, state: &State) -> bool {
    let holder = state.holder(text(request, "brokerName"), id(request));
    let Some(holder) = holder.filter(|holder| *holder != text(request, "brokerAddr")) else { return false };
    let ours = published(request).and_then(|published| published.version).map_or(0, |version| version.state);
    state.live(text(request, "clusterName"), holder).is_some_and(|live| live.state > ours)
}

fn supersedes(request: &Request, state: &State) -> bool {
    let (cluster, name, address) =
        (text(request, "clusterName"), text(request, "brokerName"), text(request, "brokerAddr"));
    let elsewhere = state.groups_of(address).any(|(known, _)| known != name);
    let under_another_cluster =
        state.live.iter().any(|live| live.address.as_deref() == Some(address) && live.cluster != cluster);
    let another_group = state.groups.get(name).is_some_and(|group| group.cluster.as_deref() != Some(cluster));
    let another_address = state.holder(name, id(request)).is_some_and(|holder| holder != address);
    elsewhere || under_another_cluster || another_group || another_address
}

fn is_crossed(request: &Request, state: &State) -> bool {
    let (cluster, name, address) =
        (text(request, "clusterName"), text(request, "brokerName"), text(request, "brokerAddr"));
    let is_member = state.groups_of(address).any(|(known, _)| known == name);
    let is_live = state.live(cluster, address).is_some();
    is_member != is_live || state.groups.get(name).is_some_and(|group| group.cluster.as_deref() != Some(cluster))
}

fn is_of_nobody(request: &Request, state: &State) -> bool {
    let (name, address) = (text(request, "brokerName"), text(request, "brokerAddr"));
    let is_member = state.groups_of(address).any(|(known, _)| known == name);
    !is_member && state.groups.get(name).is_some_and(|group| group.members.iter().all(|(id, _)| *id != 0))
}

/// Whether one that expires shares its connection with one that does not.
fn shares(scene: &Scene<'_>) -> bool {
    let leaving = scene.leaving();
    leaving.iter().any(|gone| scene.state.live.iter().filter(|live| live.port == gone.port).count() > 1)
}

fn is_zoned(request: &Request) -> bool {
    let mode = request.value("__ZONE_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("true"));
    mode && request.value("__ZONE_NAME").is_some_and(|name| !name.trim().is_empty())
}

/// The reply with integer keys bare and long numbers without quotes.
fn in_one_style(reply: &Reply) -> Reply {
    let body = Tree::parse(&reply.body).map(|mut body| {
        body.bare_integer_keys();
        body.unquote("epoch");
        body.sort_bare_keys();
        body.sort_unordered();
        body.to_string()
    });
    Reply { body: body.unwrap_or_default(), ..reply.clone() }
}
