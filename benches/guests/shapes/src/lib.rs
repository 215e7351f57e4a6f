//! `shapes` answers one route lookup in every shape that the contract allows, each under a private code, so that
//! `benches/call_shapes.rs` can tell what each costs.

use fingerpost_sdk::json::{self, Writer};
use fingerpost_sdk::reply::JsonStyle;
use fingerpost_sdk::routes::TopicRoute;
use fingerpost_sdk::{Outcome, Processor, code, export_processor, field, reply, route_reply, routes};

struct Shapes;

impl Processor for Shapes {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(request_code: i32) -> Outcome {
        match request_code {
            9101 => by_field(),
            9102 => by_name(),
            9103 => copied(),
            // Entering and leaving is all.
            _ => Ok(()),
        }
    }
}

/// The host finds the topic and writes the route; neither enters the sandbox. What the stock `lookup` does.
fn by_field() -> Outcome {
    send(routes::find_by_field("topic"))
}

/// The topic is copied in, and out again; the route stays outside.
fn by_name() -> Outcome {
    send(routes::find(&field::required("topic")?))
}

fn send(route: u32) -> Outcome {
    if route == 0 {
        return Err(route_reply::not_found());
    }
    reply::succeed_with_route(route, JsonStyle::Standard, None);
    Ok(())
}

/// The whole route is copied in, and written here.
fn copied() -> Outcome {
    let route = routes::find_by_field("topic");
    if route == 0 {
        return Err(route_reply::not_found());
    }
    let mut json = Writer::new();
    write(&mut json, &routes::describe(route));
    reply::set_body(json.as_bytes());
    reply::set_code(code::SUCCESS);
    Ok(())
}

fn write(json: &mut Writer, route: &TopicRoute) {
    json.begin_object();
    json.key("brokerDatas");
    json.begin_array();
    for group in &route.groups {
        json.begin_object();
        json.key("brokerAddrs");
        json.begin_object();
        for member in &group.addresses {
            json.member(&json::decimal(member.broker_id), &member.address);
        }
        json.end_object();
        json.member("brokerName", &group.broker_name);
        json.member("cluster", &group.cluster);
        json.key("enableActingMaster");
        json.boolean(group.enable_acting_master);
        json.optional_member("zoneName", group.zone_name.as_deref());
        json.end_object();
    }
    json.end_array();
    json.key("filterServerTable");
    json.begin_object();
    json.end_object();
    json.key("queueDatas");
    json.begin_array();
    for queue in &route.queues {
        json.begin_object();
        json.member("brokerName", &queue.broker_name);
        for (name, value) in [
            ("perm", queue.perm),
            ("readQueueNums", queue.read_queue_nums),
            ("topicSysFlag", queue.topic_sys_flag),
            ("writeQueueNums", queue.write_queue_nums),
        ] {
            json.key(name);
            json.integer(value.into());
        }
        json.end_object();
    }
    json.end_array();
    json.end_object();
}

export_processor!(Shapes);
