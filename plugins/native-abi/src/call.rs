//! What both roles may ask the server during a call.

use crate::abi::{self, Bytes, Host, Level, Status};
use crate::{Error, Refusal};

/// One call of the plugin. What it hands out is good until the call returns.
pub struct Call<'a> {
    host: &'a Host,
    call: *mut abi::Call,
}

/// The brokers that share one broker name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group<'a> {
    /// The broker name.
    pub broker_name: &'a str,
    /// Its cluster.
    pub cluster: &'a str,
    /// Its zone.
    pub zone_name: Option<&'a str>,
    /// Broker id and address of each member, ascending by id: 0 is the master.
    pub addresses: Vec<(i64, &'a str)>,
    /// Whether a slave may act as master.
    pub enable_acting_master: bool,
    /// Bit N is set when mark N of the manifest holds; 0 for a processor.
    pub marks: u32,
}

/// One queue entry of a topic on one broker group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Queue<'a> {
    /// The broker name.
    pub broker_name: &'a str,
    /// Queues to read from.
    pub read_queue_nums: i32,
    /// Queues to write to.
    pub write_queue_nums: i32,
    /// Bits: 4 read, 2 write, 1 inherit.
    pub perm: i32,
    /// Bits: 1 unit topic, 2 has unit subscription.
    pub topic_sys_flag: i32,
}

/// A topic in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topic<'a> {
    /// Its name.
    pub name: &'a str,
    /// The system flag of one of its entries: the one of the smallest broker name.
    pub topic_sys_flag: i32,
}

/// Calls a function of the host for a [`Call`].
macro_rules! host {
    ($call:expr, $function:ident $(, $argument:expr)*) => {{
        let call: &$crate::Call<'_> = $call;
        let (function, call) = call.function(|host| host.$function);
        // SAFETY: a `Call` is made from what the server passed, lives no longer than the server's call, and does not
        // leave its thread. The arguments are values, texts of ours that live while the function runs, and places of
        // the types that it fills.
        unsafe { function(call $(, $argument)*) }
    }};
}
pub(crate) use host;

impl<'a> Call<'a> {
    /// The call that the server makes.
    ///
    /// # Safety
    /// Both are what the server passed to [`Enter`](abi::Enter), and `'a` ends before that returns.
    pub(crate) unsafe fn new(host: *const Host, call: *mut abi::Call) -> Self {
        // SAFETY: the server's table stays where it is.
        Self { host: unsafe { &*host }, call }
    }

    pub(crate) fn function<F>(&self, of: impl FnOnce(&Host) -> F) -> (F, *mut abi::Call) {
        (of(self.host), self.call)
    }

    /// The request code, as the client sent it.
    pub fn code(&self) -> i32 {
        host!(self, request_code)
    }

    /// The client's version ordinal, as sent; may be negative or unknown.
    pub fn version(&self) -> i32 {
        host!(self, request_version)
    }

    /// The value of one header field.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let mut value = Bytes::NOTHING;
        let status = host!(self, request_field, text(name), &raw mut value);
        self.found(status, value)
    }

    /// The same, for a processor that cannot do without.
    ///
    /// # Errors
    /// A refusal with code 1 that names the field.
    pub fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.field(name).ok_or_else(|| Refusal::error(format!("the request has no field {name}")))
    }

    /// Every header field, in the order sent.
    pub fn fields(&self) -> Vec<(&'a str, &'a str)> {
        let mut fields = abi::Pairs { items: std::ptr::null(), count: 0 };
        host!(self, request_fields, &raw mut fields);
        self.pairs(fields)
    }

    /// The body; empty when there is none.
    pub fn body(&self) -> &'a [u8] {
        let mut body = Bytes::NOTHING;
        host!(self, request_body, &raw mut body);
        self.bytes(body).unwrap_or_default()
    }

    /// The peer's address, `host:port`.
    pub fn peer(&self) -> &'a str {
        let mut peer = Bytes::NOTHING;
        host!(self, request_peer, &raw mut peer);
        self.str(peer)
    }

    /// A value of the KV store.
    pub fn kv_get(&self, namespace: &str, key: &str) -> Option<&'a str> {
        let mut value = Bytes::NOTHING;
        let status = host!(self, kv_get, text(namespace), text(key), &raw mut value);
        self.found(status, value)
    }

    /// Everything in a namespace of the KV store, ascending by key; none when there is no such namespace.
    pub fn kv_entries(&self, namespace: &str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut entries = abi::Pairs { items: std::ptr::null(), count: 0 };
        let status = host!(self, kv_entries, text(namespace), &raw mut entries);
        (status == Status::OK).then(|| self.pairs(entries))
    }

    /// Whether a boolean setting is on. The plugin's own settings come before the server's.
    pub fn flag(&self, key: &str) -> bool {
        host!(self, settings_flag, text(key)) != 0
    }

    /// A setting as text; none for an unknown or secret one.
    pub fn setting(&self, key: &str) -> Option<&'a str> {
        let mut value = Bytes::NOTHING;
        let status = host!(self, settings_get, text(key), &raw mut value);
        self.found(status, value)
    }

    /// Writes a line into the server's log.
    pub fn log(&self, level: Level, line: &str) {
        host!(self, log_write, level, text(line));
    }

    /// Milliseconds since 1970, as the server sees it.
    pub fn now_ms(&self) -> u64 {
        host!(self, clock_now_ms)
    }

    /// Milliseconds since the server began.
    pub fn uptime_ms(&self) -> u64 {
        host!(self, clock_uptime_ms)
    }

    /// Says why the call is about to fail.
    pub(crate) fn fail(&self, why: &str) {
        host!(self, fail, text(why));
    }

    /// What a write came to.
    pub(crate) fn outcome(&self, status: Status) -> Result<(), Error> {
        match status {
            Status::OK => Ok(()),
            status => Err(Error { status, why: self.str(host!(self, last_error)).to_owned() }),
        }
    }

    fn found(&self, status: Status, value: Bytes) -> Option<&'a str> {
        (status == Status::OK).then(|| self.str(value))
    }

    pub(crate) fn str(&self, bytes: Bytes) -> &'a str {
        // The server hands out no other texts than such.
        self.bytes(bytes).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn bytes(&self, Bytes { data, size }: Bytes) -> Option<&'a [u8]> {
        self.array(data, size)
    }

    /// An array that the server handed out in this call; none for nothing.
    pub(crate) fn array<T>(&self, items: *const T, count: usize) -> Option<&'a [T]> {
        if items.is_null() {
            return None;
        }
        // SAFETY: it is one of the server's, and good until the call returns, which is not before `'a` ends.
        Some(unsafe { std::slice::from_raw_parts(items, count) })
    }

    fn pairs(&self, abi::Pairs { items, count }: abi::Pairs) -> Vec<(&'a str, &'a str)> {
        let pair = |pair: &abi::Pair| (self.str(pair.name), self.str(pair.value));
        self.array(items, count).unwrap_or_default().iter().map(pair).collect()
    }

    pub(crate) fn groups(&self, abi::Groups { items, count }: abi::Groups) -> Vec<Group<'a>> {
        let address = |one: &abi::Address| (one.broker_id, self.str(one.address));
        let group = |one: &abi::Group| Group {
            broker_name: self.str(one.broker_name),
            cluster: self.str(one.cluster),
            zone_name: (!one.zone_name.data.is_null()).then(|| self.str(one.zone_name)),
            addresses: self
                .array(one.addresses.items, one.addresses.count)
                .unwrap_or_default()
                .iter()
                .map(address)
                .collect(),
            enable_acting_master: one.enable_acting_master != 0,
            marks: one.marks,
        };
        self.array(items, count).unwrap_or_default().iter().map(group).collect()
    }

    pub(crate) fn queues(&self, abi::Queues { items, count }: abi::Queues) -> Vec<Queue<'a>> {
        let queue = |one: &abi::Queue| Queue {
            broker_name: self.str(one.broker_name),
            read_queue_nums: one.read_queue_nums,
            write_queue_nums: one.write_queue_nums,
            perm: one.perm,
            topic_sys_flag: one.topic_sys_flag,
        };
        self.array(items, count).unwrap_or_default().iter().map(queue).collect()
    }
}

/// A text on its way to the server, which copies it.
pub(crate) fn text(text: &str) -> Bytes {
    Bytes::of(text.as_bytes())
}
