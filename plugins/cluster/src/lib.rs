//! `cluster` answers 106 with the clusters and their brokers, and changes at one stroke which of a broker's queues may be
//! written to: 205 takes the permission away, 327 gives it back. Java: `DefaultRequestProcessor`.

use fingerpost_sdk::body::JsonBody;
use fingerpost_sdk::{
    Outcome, Processor, Refusal, code, export_processor, field, group_json, json, perm, registrations, reply, routes,
};

/// How many broker groups are asked for at once.
const BATCH: u32 = 256;

struct Cluster;

impl Processor for Cluster {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(code: i32) -> Outcome {
        match code {
            106 => {
                cluster_info();
                Ok(())
            }
            // The other bits stay.
            205 => change_permissions("wipeTopicCount", !perm::WRITE, 0),
            // Java replaces the permission and does not add to it: an inherit bit is lost.
            327 => change_permissions("addTopicCount", 0, perm::READ | perm::WRITE),
            _ => Err(Refusal::not_supported(code)),
        }
    }
}

/// Java: `RouteInfoManager.getAllClusterInfo`. True broker ids: no policy looks at this.
fn cluster_info() {
    let mut body = JsonBody::new();
    body.writer().begin_object();
    write_groups(&mut body);
    write_clusters(&mut body);
    body.writer().end_object();
    body.finish();
    reply::set_code(code::SUCCESS);
}

fn write_groups(body: &mut JsonBody) {
    let json = body.writer();
    json.key("brokerAddrTable");
    json.begin_object();
    let groups = routes::groups();
    loop {
        let batch = groups.next(BATCH);
        if batch.is_empty() {
            break;
        }
        for group in &batch {
            let json = body.writer();
            json.key(&group.broker_name);
            group_json::write(json, group);
        }
    }
    body.writer().end_object();
}

fn write_clusters(body: &mut JsonBody) {
    let json = body.writer();
    json.key("clusterAddrTable");
    json.begin_object();
    for cluster in routes::clusters() {
        let json = body.writer();
        json.key(&cluster.name);
        json.begin_array();
        for broker_name in &cluster.broker_names {
            body.writer().string(broker_name);
        }
        body.writer().end_array();
    }
    body.writer().end_object();
}

/// Java: `DefaultRequestProcessor.wipeWritePermOfBroker`, `addWritePermOfBroker`.
fn change_permissions(count_field: &str, keep: i32, set: i32) -> Outcome {
    // A name that is absent has as many topics as one that is unknown.
    let topics = match field::text("brokerName") {
        Some(name) => registrations::change_permissions(&name, keep, set)?,
        None => 0,
    };
    reply::set_field(count_field, &json::decimal(topics.into()));
    reply::set_code(code::SUCCESS);
    Ok(())
}

export_processor!(Cluster);
