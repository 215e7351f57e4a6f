//! The questions that show everything that a server knows of the names in a sequence.

use std::collections::BTreeSet;

use super::request::{Body, Request, Sequence, Step};

/// One question of every kind about every name that the sequence mentions.
pub(crate) fn of(sequence: &Sequence) -> Vec<Request> {
    let mut names = Names::default();
    for step in &sequence.steps {
        if let Step::Ask { requests, .. } = step {
            requests.iter().for_each(|request| names.note(request));
        }
    }
    names.questions()
}

#[derive(Default)]
struct Names {
    clusters: BTreeSet<String>,
    brokers: BTreeSet<String>,
    members: BTreeSet<(String, String)>,
    topics: BTreeSet<String>,
    entries: BTreeSet<(String, String)>,
    namespaces: BTreeSet<String>,
}

impl Names {
    fn note(&mut self, request: &Request) {
        let value = |name: &str| request.value(name).map(str::to_owned);
        let note = |set: &mut BTreeSet<String>, name: &str| set.extend(value(name));
        note(&mut self.clusters, "clusterName");
        note(&mut self.clusters, "cluster");
        note(&mut self.brokers, "brokerName");
        note(&mut self.topics, "topic");
        note(&mut self.namespaces, "namespace");
        self.members.extend(value("clusterName").zip(value("brokerAddr")));
        self.entries.extend(value("namespace").zip(value("key")));
        match &request.body {
            Body::Registration(published) => {
                self.topics
                    .extend(published.topics.iter().map(|topic| topic.name.as_ref().unwrap_or(&topic.key).clone()));
                self.topics.extend(published.mappings.iter().map(|mapping| mapping.topic.clone()));
            }
            Body::Text(_) if request.code == 103 => self.topics.extend(["t0".to_owned(), "t1".to_owned()]),
            _ => {}
        }
    }

    fn questions(&self) -> Vec<Request> {
        let mut questions: Vec<Request> = [106, 206, 304, 311, 312, 313, 319].map(Request::new).into();
        questions.extend(self.clusters.iter().map(|name| Request::new(224).field("cluster", name)));
        questions.extend(
            self.brokers.iter().map(|name| Request::new(901).field("clusterName", "c").field("brokerName", name)),
        );
        questions.extend(self.namespaces.iter().map(|name| Request::new(219).field("namespace", name)));
        let entry =
            |(namespace, key): &(String, String)| Request::new(101).field("namespace", namespace).field("key", key);
        questions.extend(self.entries.iter().map(entry));
        let member = |(cluster, address): &(String, String)| {
            Request::new(322).field("clusterName", cluster).field("brokerAddr", address)
        };
        questions.extend(self.members.iter().map(member));
        for version in [317, 513] {
            questions
                .extend(self.topics.iter().map(|name| Request { version, ..Request::new(105).field("topic", name) }));
        }
        questions
    }
}
