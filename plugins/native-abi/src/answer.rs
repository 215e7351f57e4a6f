//! The role of answering requests.

use std::marker::PhantomData;
use std::ops::Deref;

use crate::abi::{self, Bytes, Status, Style};
use crate::call::{host, text};
use crate::{Call, Error, Group, Outcome, Queue, Refusal, Topic};

/// A plugin that answers request codes. A library exports it with [`export_processor!`](crate::export_processor).
pub trait Processor {
    /// The manifest, as TOML, as components have it: `plugins/README.md` of the server is the reference.
    const MANIFEST: &'static str;

    /// Answers a request. `code` is one of the manifest's.
    ///
    /// # Errors
    /// A [`Refusal`] becomes the reply's code and remark.
    fn handle(answer: &mut Answer<'_>, code: i32) -> Outcome;
}

/// The request, and the reply to it. A reply begins as code 1: nothing is a success until the plugin says so.
///
/// A reply that is more than one may hold fails the call.
pub struct Answer<'a>(Call<'a>);

/// The route of a topic, of which the plugin has a handle.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a>(u32, PhantomData<&'a ()>);

impl<'a> Deref for Answer<'a> {
    type Target = Call<'a>;

    fn deref(&self) -> &Call<'a> {
        &self.0
    }
}

impl<'a> Answer<'a> {
    pub(crate) fn new(call: Call<'a>) -> Self {
        Self(call)
    }

    /// Sets the response code and clears the remark. Success is 0.
    pub fn set_code(&mut self, code: i32) {
        host!(self, reply_set_code, code);
    }

    pub(crate) fn refuse(&mut self, Refusal { code, remark }: &Refusal) {
        host!(self, reply_fail, *code, text(remark));
    }

    /// Adds a header field; a second one of the same name replaces the first.
    pub fn set_field(&mut self, name: &str, value: &str) {
        host!(self, reply_set_field, text(name), text(value));
    }

    /// Replaces the body.
    pub fn set_body(&mut self, body: &[u8]) {
        host!(self, reply_set_body, Bytes::of(body));
    }

    /// Appends to the body.
    pub fn append_body(&mut self, bytes: &[u8]) {
        host!(self, reply_append_body, Bytes::of(bytes));
    }

    /// Answers success with a route: the server runs the policies and writes it.
    pub fn set_route(&mut self, route: Route<'a>, style: Style, order_topic_conf: Option<&str>) {
        host!(self, reply_set_route, route.0, style, order_topic_conf.map_or(Bytes::NOTHING, text));
    }

    /// Holds the reply until every KV write of this call is on disk.
    pub fn when_durable(&mut self) {
        host!(self, reply_when_durable);
    }

    /// Sends the request to the name servers configured as `upstream`, and answers with their reply, or with this one
    /// if none answers in time.
    ///
    /// # Errors
    /// Without the grant `upstream`, or when there is no such upstream.
    pub fn forward(&mut self, upstream: &str) -> Result<(), Error> {
        let status = host!(self, reply_forward, text(upstream));
        self.outcome(status)
    }

    /// The route of a topic; none when it is unknown here.
    pub fn find_route(&self, topic: &str) -> Option<Route<'a>> {
        let mut route = 0;
        let status = host!(self, routes_find, text(topic), &raw mut route);
        (status == Status::OK).then_some(Route(route, PhantomData))
    }

    /// The broker groups that a route leads to.
    pub fn groups(&self, route: Route<'a>) -> Vec<Group<'a>> {
        let mut groups = abi::Groups { items: std::ptr::null(), count: 0 };
        host!(self, routes_groups, route.0, &raw mut groups);
        self.0.groups(groups)
    }

    /// The queue entries of a route.
    pub fn queues(&self, route: Route<'a>) -> Vec<Queue<'a>> {
        let mut queues = abi::Queues { items: std::ptr::null(), count: 0 };
        host!(self, routes_queues, route.0, &raw mut queues);
        self.0.queues(queues)
    }

    /// Every topic, ascending by name.
    pub fn topics(&self) -> Vec<Topic<'a>> {
        let mut topics = abi::Topics { items: std::ptr::null(), count: 0 };
        host!(self, routes_topics, &raw mut topics);
        let topic = |one: &abi::Topic| Topic { name: self.str(one.name), topic_sys_flag: one.topic_sys_flag };
        self.array(topics.items, topics.count).unwrap_or_default().iter().map(topic).collect()
    }

    /// Stores a value. It is on disk when the reply is, if the reply waits: [`when_durable`](Self::when_durable).
    ///
    /// # Errors
    /// Without the grant `kv.write`, for what the store does not take, and when too much waits already.
    pub fn kv_put(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), Error> {
        let status = host!(self, kv_put, text(namespace), text(key), text(value));
        self.outcome(status)
    }

    /// Removes a value, if it is there.
    ///
    /// # Errors
    /// As for [`kv_put`](Self::kv_put).
    pub fn kv_delete(&mut self, namespace: &str, key: &str) -> Result<(), Error> {
        let status = host!(self, kv_delete, text(namespace), text(key));
        self.outcome(status)
    }
}
