//! `topics` lists topics (206 all, 224 those of a cluster), forgets one (216), adds one by hand (217), and answers 304,
//! which asks for the system topics and gets the names of clusters and brokers. Java: `DefaultRequestProcessor`.

use std::collections::BTreeSet;

use fingerpost_sdk::routes::{self, Cluster};
use fingerpost_sdk::{
    Outcome, Processor, Refusal, bodies, code, export_processor, field, registrations, reply, topic_list,
};

struct Topics;

impl Processor for Topics {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(code: i32) -> Outcome {
        match code {
            206 => all_topics(),
            216 => delete_topic(),
            217 => register_topic(),
            224 => topics_of_cluster(),
            304 => {
                system_topics();
                Ok(())
            }
            _ => Err(Refusal::not_supported(code)),
        }
    }
}

/// Java: `DefaultRequestProcessor.getAllTopicListFromNameserver`.
fn all_topics() -> Outcome {
    topic_list::require("enableAllTopicList")?;
    topic_list::send_topics(&routes::topics(None), |_| true);
    Ok(())
}

/// Java: `DefaultRequestProcessor.getTopicsByCluster`.
fn topics_of_cluster() -> Outcome {
    topic_list::require("enableTopicList")?;
    // An unknown cluster, and an absent name, have no brokers and so no topics; that is a success.
    let name = field::text("cluster").unwrap_or_default();
    match routes::clusters().into_iter().find(|cluster| cluster.name == name) {
        Some(cluster) => topic_list::send_topics(&routes::topics(Some(&cluster.broker_names)), |_| true),
        None => topic_list::send_names(None, []),
    }
    Ok(())
}

/// Java: `RouteInfoManager.getSystemTopicList`. `mqadmin` goes on to ask the broker at `brokerAddr` for the topics that it
/// takes for its system's.
fn system_topics() {
    let clusters = routes::clusters();
    topic_list::send_names(some_broker_address().as_deref(), names(&clusters));
}

/// The names of clusters and brokers, each once, ascending.
fn names(clusters: &[Cluster]) -> BTreeSet<&str> {
    let of_clusters = clusters.iter().map(|cluster| &cluster.name);
    let of_brokers = clusters.iter().flat_map(|cluster| &cluster.broker_names);
    of_clusters.chain(of_brokers).map(String::as_str).collect()
}

fn some_broker_address() -> Option<String> {
    let groups = routes::groups();
    loop {
        // The first has an address, unless it is about to vanish.
        let group = groups.next(1).pop()?;
        if let Some(member) = group.addresses.into_iter().next() {
            return Some(member.address);
        }
    }
}

/// Java: `DefaultRequestProcessor.deleteTopicInNamesrv`.
fn delete_topic() -> Outcome {
    if let Some(topic) = field::text("topic") {
        let cluster = field::text("clusterName").filter(|name| !name.is_empty());
        registrations::delete_topic(&topic, cluster.as_deref())?;
    }
    reply::set_code(code::SUCCESS);
    Ok(())
}

/// Java: `DefaultRequestProcessor.registerTopicToNamesrv`. What the tables refuse is a success too: brokers send this for
/// one topic at a time, and the next registration says the same.
fn register_topic() -> Outcome {
    let queues = bodies::decode_queues()?;
    if let (Some(topic), Some(queues)) = (field::text("topic"), queues)
        && !queues.is_empty()
    {
        registrations::put_topic(&topic, &queues)?;
    }
    reply::set_code(code::SUCCESS);
    Ok(())
}

export_processor!(Topics);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_topic_list_names_every_cluster_and_broker_once() {
        let cluster = |name: &str, brokers: &[&str]| Cluster {
            name: name.into(),
            broker_names: brokers.iter().map(|&name| name.into()).collect(),
        };

        let clusters = [cluster("one", &["broker-b", "one"]), cluster("two", &["broker-a", "broker-b"])];

        assert_eq!(names(&clusters).into_iter().collect::<Vec<_>>(), ["broker-a", "broker-b", "one", "two"]);
    }
}
