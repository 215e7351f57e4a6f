//! From what plugins built to the bytes of a reply.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::draft::{Draft, DraftBody};
use super::view::RouteView;
use crate::body::route::{GroupBody, RouteBody, Style};
use crate::net::LogLimit;
use crate::remoting::{Command, EncodeError, Fields, Response, ResponseCode, SerializeType, frame};
use crate::route::{Group, Route};

/// What a reply with a route carries beside the route.
pub(crate) struct Head<'a> {
    pub(crate) opaque: i32,
    pub(crate) serialize_type: SerializeType,
    pub(crate) style: Style,
    pub(crate) fields: Option<&'a Fields>,
}

/// Appends a reply that is only a code and a remark.
pub(crate) fn refuse(code: ResponseCode, remark: &str, opaque: i32, serialize_type: SerializeType, out: &mut BytesMut) {
    let response = Response { remark: Some(remark), ..Response::new(code, opaque) };
    response.encode(serialize_type, out).map(drop).unwrap_or_else(|error| complain(opaque, &error));
}

/// Appends a reply whose body, if it has one, is bytes.
pub(crate) fn reply(draft: &Draft, opaque: i32, serialize_type: SerializeType, out: &mut BytesMut) {
    let body = match &draft.body {
        DraftBody::Bytes(body) => &body[..],
        DraftBody::Empty | DraftBody::Route { .. } => &[],
    };
    let response = Response {
        code: ResponseCode(draft.code),
        opaque,
        remark: draft.remark.as_deref(),
        fields: draft.fields.as_ref(),
        body,
    };
    or_refuse(response.encode(serialize_type, out), opaque, serialize_type, out);
}

/// Appends a reply with a route that no policy has changed, straight from the tables.
pub(crate) fn route(head: &Head<'_>, route: &Route, order_topic_conf: Option<&str>, out: &mut BytesMut) {
    // A map, which must arrive in order; hardly any broker has one of these.
    let mut filter_servers: Vec<_> =
        route.filter_servers.iter().map(|(address, servers)| (&**address, &**servers)).collect();
    filter_servers.sort_unstable_by_key(|(address, _)| *address);
    let body = RouteBody {
        groups: route.groups.iter().map(|group| group_body(group, &group.addresses)),
        queues: route.topic.queues.iter(),
        filter_servers,
        mappings: route.mappings.as_deref(),
        order_topic_conf,
    };
    with_body(head, out, |style, out| body.encode(style, out));
}

/// Appends a reply with a route as the policies left it.
pub(crate) fn view(head: &Head<'_>, view: &RouteView, order_topic_conf: Option<&str>, out: &mut BytesMut) {
    if view.changed().is_none() {
        return route(head, view.route(), order_topic_conf, out);
    }
    let mut filter_servers: Vec<_> = view.filter_servers().collect();
    filter_servers.sort_unstable_by_key(|(address, _)| *address);
    let body = RouteBody {
        groups: view.groups().map(|shown| group_body(shown.group, shown.addresses)),
        queues: view.groups().filter_map(|shown| shown.queue),
        filter_servers,
        mappings: view.route().mappings.as_deref(),
        order_topic_conf,
    };
    with_body(head, out, |style, out| body.encode(style, out));
}

/// Another name server's answer, as the answer to our client's request.
pub(crate) fn relay(answer: &Command, opaque: i32, serialize_type: SerializeType) -> Bytes {
    let mut out = BytesMut::new();
    let response = Response {
        code: answer.response_code(),
        opaque,
        remark: answer.remark.as_deref(),
        fields: answer.fields.as_ref(),
        body: &answer.body,
    };
    or_refuse(response.encode(serialize_type, &mut out), opaque, serialize_type, &mut out);
    out.freeze()
}

fn with_body(head: &Head<'_>, out: &mut BytesMut, encode: impl FnOnce(Style, &mut BytesMut)) {
    let response = Response { fields: head.fields, ..Response::new(ResponseCode::SUCCESS, head.opaque) };
    let encoded = response.begin(head.serialize_type, out).and_then(|mut writer| {
        encode(head.style, writer.body());
        writer.finish()
    });
    or_refuse(encoded, head.opaque, head.serialize_type, out);
}

fn group_body<'a>(group: &'a Group, addresses: &'a [(i64, crate::route::Name)]) -> GroupBody<'a> {
    GroupBody {
        broker_name: &group.broker_name,
        cluster: &group.cluster,
        zone: group.zone_name.as_deref(),
        acting_master: group.enable_acting_master,
        addresses,
    }
}

/// A reply that does not fit its frame is answered by one that says so. One that Java's clients do not read is sent all
/// the same, as Java does: they can be told to read more.
fn or_refuse(encoded: Result<usize, EncodeError>, opaque: i32, serialize_type: SerializeType, out: &mut BytesMut) {
    match encoded {
        Ok(size) if size > frame::SIZE_MAX as usize => LARGE_REPLIES.note(|suppressed| {
            tracing::warn!(
                opaque,
                size,
                suppressed,
                "a reply that a client reads only if its com.rocketmq.remoting.frameMaxLength allows it"
            );
        }),
        Ok(_) => {}
        Err(error) => {
            let remark = format!("the reply cannot be written: {error}");
            refuse(ResponseCode::SYSTEM_ERROR, &remark, opaque, serialize_type, out);
        }
    }
}

/// A client that cannot read a reply asks again and again.
static LARGE_REPLIES: LogLimit = LogLimit::new(1, Duration::from_secs(60));

fn complain(opaque: i32, error: &EncodeError) {
    tracing::error!(opaque, "a reply was lost: {error}");
}
