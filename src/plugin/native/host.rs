//! What a library may call: the table of functions, each of which does what the function of the contract does that
//! components import.
//!
//! A call of a library has a [`Desk`], which is the `fingerpost_call` of the ABI. What is handed out lies on it until
//! the call ends.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use fingerpost_native::abi::{self, Level, Status, Style, VERSION};

use super::argument::{Argument, Blob, Out};
use crate::plugin::wasm::contract::{clock, kv, log, reply, request, route_view, routes, settings, types};
use crate::plugin::wasm::{self, CallError, PluginState};

/// No more letters than this of why a library says that it fails.
const REASON_LEN_MAX: usize = 1024;

/// One call of a library.
pub(super) struct Desk<'a> {
    state: &'a mut PluginState,
    /// What was handed out.
    bytes: Vec<Bytes>,
    arrays: Vec<Box<dyn Any>>,
    /// Why the last function that ended badly did.
    error: Bytes,
    /// Why the call has failed, whatever the library returns.
    misused: Option<CallError>,
    /// Why the library says that it fails.
    failed: Option<String>,
}

/// What the library did wrong.
pub(super) enum Misuse {
    /// In how it called.
    Called(String),
    /// In what it asked for.
    Asked(wasmtime::Error),
}

impl From<String> for Misuse {
    fn from(why: String) -> Self {
        Self::Called(why)
    }
}

impl From<&str> for Misuse {
    fn from(why: &str) -> Self {
        Self::Called(why.to_owned())
    }
}

impl From<wasmtime::Error> for Misuse {
    fn from(error: wasmtime::Error) -> Self {
        Self::Asked(error)
    }
}

type Done<T = Status> = Result<T, Misuse>;

impl<'a> Desk<'a> {
    pub(super) fn new(state: &'a mut PluginState) -> Self {
        let (bytes, arrays, error, misused, failed) = Default::default();
        Self { state, bytes, arrays, error, misused, failed }
    }

    /// What became of the call, of which the library returned a number.
    pub(super) fn outcome(self, returned: i32) -> Result<(), CallError> {
        match (self.misused, returned) {
            (Some(error), _) => Err(error),
            (None, 0) => Ok(()),
            (None, returned) => {
                let why = self.failed.unwrap_or_else(|| format!("it returned {returned} and did not say why"));
                Err(CallError::Trap(why))
            }
        }
    }

    /// Bytes to hand out.
    fn lend(&mut self, bytes: impl Into<Bytes>) -> abi::Bytes {
        let bytes = bytes.into();
        let lent = abi::Bytes::of(&bytes);
        self.bytes.push(bytes);
        lent
    }

    /// An array to hand out: the first item, and how many.
    fn lend_array<T: 'static>(&mut self, items: Vec<T>) -> (*const T, usize) {
        let lent = (items.as_ptr(), items.len());
        self.arrays.push(Box::new(items));
        lent
    }

    /// Hands a text out, if there is one.
    fn give(&mut self, place: Out<abi::Bytes>, text: Option<String>) -> Done {
        let Some(text) = text else { return Ok(Status::NONE) };
        place.set(self.lend(text));
        Ok(Status::OK)
    }

    fn give_pairs(&mut self, place: Out<abi::Pairs>, pairs: Vec<(String, String)>) -> Done {
        let pair = |(name, value): (String, String)| abi::Pair { name: self.lend(name), value: self.lend(value) };
        let pairs = pairs.into_iter().map(pair).collect();
        let (items, count) = self.lend_array(pairs);
        place.set(abi::Pairs { items, count });
        Ok(Status::OK)
    }

    fn give_groups(&mut self, place: Out<abi::Groups>, groups: Vec<types::BrokerGroup>, marks: &[u32]) -> Done {
        let marks = marks.iter().copied().chain(std::iter::repeat(0));
        let groups = groups.into_iter().zip(marks).map(|(group, marks)| self.group(group, marks)).collect();
        let (items, count) = self.lend_array(groups);
        place.set(abi::Groups { items, count });
        Ok(Status::OK)
    }

    fn group(&mut self, group: types::BrokerGroup, marks: u32) -> abi::Group {
        let address =
            |one: types::BrokerAddress| abi::Address { broker_id: one.broker_id, address: self.lend(one.address) };
        let addresses = group.addresses.into_iter().map(address).collect();
        let (items, count) = self.lend_array(addresses);
        abi::Group {
            broker_name: self.lend(group.broker_name),
            cluster: self.lend(group.cluster),
            zone_name: group.zone_name.map_or(abi::Bytes::NOTHING, |zone| self.lend(zone)),
            addresses: abi::Addresses { items, count },
            enable_acting_master: group.enable_acting_master.into(),
            marks,
        }
    }

    fn give_queues(&mut self, place: Out<abi::Queues>, queues: Vec<types::Queue>) -> Done {
        let queue = |one: types::Queue| abi::Queue {
            broker_name: self.lend(one.broker_name),
            read_queue_nums: one.read_queue_nums,
            write_queue_nums: one.write_queue_nums,
            perm: one.perm,
            topic_sys_flag: one.topic_sys_flag,
        };
        let queues = queues.into_iter().map(queue).collect();
        let (items, count) = self.lend_array(queues);
        place.set(abi::Queues { items, count });
        Ok(Status::OK)
    }

    /// What a write came to.
    fn written(&mut self, outcome: Result<(), types::WriteError>) -> Done {
        let Err(error) = outcome else { return Ok(Status::OK) };
        let (status, why) = match error {
            types::WriteError::Denied(why) => (Status::DENIED, why),
            types::WriteError::Invalid(why) => (Status::INVALID, why),
            types::WriteError::Unavailable(why) => (Status::UNAVAILABLE, why),
        };
        self.error = why.into();
        Ok(status)
    }
}

/// What a function returns that was not called as it should have been.
trait Returned {
    const MISUSED: Self;
}

impl Returned for Status {
    const MISUSED: Self = Self::MISUSE;
}

impl Returned for i32 {
    const MISUSED: Self = 0;
}

impl Returned for u64 {
    const MISUSED: Self = 0;
}

impl Returned for abi::Bytes {
    const MISUSED: Self = Self::NOTHING;
}

/// Does something on a desk for the library. Neither a mistake of its nor one of ours unwinds into it.
fn at<T: Returned>(desk: &mut Desk<'_>, what: &str, run: impl FnOnce(&mut Desk<'_>) -> Done<T>) -> T {
    let misuse = match catch_unwind(AssertUnwindSafe(|| run(&mut *desk))) {
        Ok(Ok(returned)) => return returned,
        Ok(Err(misuse)) => Some(misuse),
        Err(_) => None,
    };
    misused(desk, what, misuse);
    T::MISUSED
}

/// The call has failed: by a mistake of the library, or by none, which is a panic of ours. Once for all functions,
/// because each of them has its own [`at`].
#[cold]
#[inline(never)]
fn misused(desk: &mut Desk<'_>, what: &str, misuse: Option<Misuse>) {
    let error = match misuse {
        Some(Misuse::Called(why)) => CallError::Trap(why),
        // The same as of a component that asks for it.
        Some(Misuse::Asked(error)) => wasm::call_error(&error, desk.state),
        None => CallError::Trap("the server panicked, which is a fault of the server".to_owned()),
    };
    let error = match error {
        CallError::Trap(why) => CallError::Trap(format!("{what}: {why}")),
        CallError::Reply(why) => CallError::Reply(format!("{what}: {why}")),
        other => other,
    };
    desk.error = error.to_string().into();
    desk.misused.get_or_insert(error);
}

/// The functions, of which each is a body for safe values; what comes and goes as pointers is taken and given here.
macro_rules! host_functions {
    ($($name:ident($desk:ident $(, $argument:ident: $type:ty)*) -> $returns:ty $body:block)*) => {
        mod body {
            use super::*;

            $(pub(super) fn $name($desk: &mut Desk<'_>, $($argument: $type),*) -> Done<$returns> $body)*
        }

        $(unsafe extern "C" fn $name(
            call: *mut abi::Call,
            $($argument: <$type as Argument>::Raw),*
        ) -> $returns {
            // SAFETY: a library passes the call that it was entered with, on the thread on which it was, and does not
            // do so twice at once. That is its desk, which nobody else touches meanwhile.
            let desk = unsafe { &mut *call.cast::<Desk<'_>>() };
            at(desk, stringify!($name), |desk| {
                // SAFETY: what it points to is what the header says, for as long as this function runs.
                $(let $argument = unsafe { <$type as Argument>::take($argument) }?;)*
                body::$name(desk, $($argument),*)
            })
        })*

        /// What every library is given.
        pub(super) static HOST: abi::Host = abi::Host {
            abi_version: VERSION,
            struct_size: size_of::<abi::Host>() as u32,
            $($name,)*
        };
    };
}

host_functions! {
    last_error(desk) -> abi::Bytes {
        let error = desk.error.clone();
        Ok(desk.lend(error))
    }
    fail(desk, why: String) -> Status {
        // One line, because it must not look like another line of the log.
        let why: String = why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON_LEN_MAX).collect();
        desk.failed = Some(why);
        Ok(Status::OK)
    }

    request_code(desk) -> i32 {
        Ok(request::Host::code(desk.state)?)
    }
    request_version(desk) -> i32 {
        Ok(request::Host::version(desk.state)?)
    }
    request_field(desk, name: String, value: Out<abi::Bytes>) -> Status {
        let found = request::Host::field(desk.state, name)?;
        desk.give(value, found)
    }
    request_fields(desk, fields: Out<abi::Pairs>) -> Status {
        let all = request::Host::fields(desk.state)?;
        desk.give_pairs(fields, all)
    }
    request_body(desk, body: Out<abi::Bytes>) -> Status {
        // A share of the frame.
        let bytes = desk.state.request()?.command.body.clone();
        body.set(desk.lend(bytes));
        Ok(Status::OK)
    }
    request_peer(desk, peer: Out<abi::Bytes>) -> Status {
        let address = request::Host::peer(desk.state)?;
        desk.give(peer, Some(address))
    }

    reply_set_code(desk, code: i32) -> Status {
        reply::Host::set_code(desk.state, code)?;
        Ok(Status::OK)
    }
    reply_fail(desk, code: i32, remark: String) -> Status {
        reply::Host::fail(desk.state, code, remark)?;
        Ok(Status::OK)
    }
    reply_set_field(desk, name: String, value: String) -> Status {
        reply::Host::set_field(desk.state, name, value)?;
        Ok(Status::OK)
    }
    reply_set_body(desk, body: Blob) -> Status {
        reply::Host::set_body(desk.state, body.0)?;
        Ok(Status::OK)
    }
    reply_append_body(desk, bytes: Blob) -> Status {
        reply::Host::append_body(desk.state, bytes.0)?;
        Ok(Status::OK)
    }
    reply_set_route(desk, route: u32, style: Style, order_topic_conf: Option<String>) -> Status {
        let style = match style {
            Style::STANDARD => reply::JsonStyle::Standard,
            Style::BARE_KEYS => reply::JsonStyle::BareKeys,
            Style(other) => return Err(format!("there is no style {other}").into()),
        };
        reply::Host::succeed_with_route(desk.state, route, style, order_topic_conf)?;
        Ok(Status::OK)
    }
    reply_when_durable(desk) -> Status {
        reply::Host::when_durable(desk.state)?;
        Ok(Status::OK)
    }
    reply_forward(desk, upstream: String) -> Status {
        let outcome = reply::Host::forward(desk.state, upstream)?;
        desk.written(outcome)
    }

    routes_find(desk, topic: String, route: Out<u32>) -> Status {
        match routes::Host::find(desk.state, topic)? {
            0 => Ok(Status::NONE),
            handle => {
                route.set(handle);
                Ok(Status::OK)
            }
        }
    }
    routes_groups(desk, route: u32, groups: Out<abi::Groups>) -> Status {
        let described = routes::Host::describe(desk.state, route)?;
        desk.give_groups(groups, described.groups, &[])
    }
    routes_queues(desk, route: u32, queues: Out<abi::Queues>) -> Status {
        let described = routes::Host::describe(desk.state, route)?;
        desk.give_queues(queues, described.queues)
    }
    routes_topics(desk, topics: Out<abi::Topics>) -> Status {
        let found = desk.state.all_tables()?.topics();
        let topic = |topic: &std::sync::Arc<crate::route::Topic>| abi::Topic {
            name: desk.lend(Bytes::copy_from_slice(topic.name.as_bytes())),
            topic_sys_flag: topic.queues.first().map_or(0, |queue| queue.topic_sys_flag),
        };
        let found = found.iter().map(topic).collect();
        let (items, count) = desk.lend_array(found);
        topics.set(abi::Topics { items, count });
        Ok(Status::OK)
    }

    kv_get(desk, space: String, key: String, value: Out<abi::Bytes>) -> Status {
        let found = kv::Host::get(desk.state, space, key)?;
        desk.give(value, found)
    }
    kv_entries(desk, space: String, entries: Out<abi::Pairs>) -> Status {
        match kv::Host::entries(desk.state, space)? {
            None => Ok(Status::NONE),
            Some(found) => desk.give_pairs(entries, found),
        }
    }
    kv_put(desk, space: String, key: String, value: String) -> Status {
        let outcome = kv::Host::put(desk.state, space, key, Some(value))?;
        desk.written(outcome)
    }
    kv_delete(desk, space: String, key: String) -> Status {
        let outcome = kv::Host::delete(desk.state, space, key)?;
        desk.written(outcome)
    }

    settings_flag(desk, key: String) -> i32 {
        Ok(settings::Host::flag(desk.state, key)?.into())
    }
    settings_get(desk, key: String, value: Out<abi::Bytes>) -> Status {
        let found = settings::Host::get(desk.state, key)?;
        desk.give(value, found)
    }

    log_write(desk, level: Level, line: String) -> Status {
        let level = match level {
            Level::ERROR => log::Level::Error,
            Level::WARN => log::Level::Warn,
            Level::INFO => log::Level::Info,
            Level::DEBUG => log::Level::Debug,
            Level(other) => return Err(format!("there is no level {other}").into()),
        };
        log::Host::write(desk.state, level, line)?;
        Ok(Status::OK)
    }
    clock_now_ms(desk) -> u64 {
        Ok(clock::Host::now_ms(desk.state)?)
    }
    clock_uptime_ms(desk) -> u64 {
        Ok(clock::Host::uptime_ms(desk.state)?)
    }

    view_topic(desk, topic: Out<abi::Bytes>) -> Status {
        let name = route_view::Host::topic(desk.state)?;
        desk.give(topic, Some(name))
    }
    view_groups(desk, groups: Out<abi::Groups>) -> Status {
        let marks: Vec<_> = route_view::Host::outline(desk.state)?.iter().map(|group| group.marks).collect();
        let found = route_view::Host::groups(desk.state)?;
        desk.give_groups(groups, found, &marks)
    }
    view_queues(desk, queues: Out<abi::Queues>) -> Status {
        let found = route_view::Host::queues(desk.state)?;
        desk.give_queues(queues, found)
    }
    view_keep(desk, groups: Vec<u32>) -> Status {
        route_view::Host::keep(desk.state, groups)?;
        Ok(Status::OK)
    }
    view_set_addresses(desk, group: u32, addresses: Vec<types::BrokerAddress>) -> Status {
        route_view::Host::set_addresses(desk.state, group, addresses)?;
        Ok(Status::OK)
    }
    view_set_broker_id(desk, group: u32, broker_id: i64, shown: i64) -> Status {
        route_view::Host::set_broker_id(desk.state, group, broker_id, shown)?;
        Ok(Status::OK)
    }
    view_set_permission(desk, group: u32, perm: i32) -> Status {
        route_view::Host::set_permission(desk.state, group, perm)?;
        Ok(Status::OK)
    }
}
