//! The ABI: everything that crosses between the server and a native plugin.
//!
//! `fingerpost_plugin.h` says the same in C; it is made of these declarations and their comments.
//!
//! # Invariants
//!
//! * Within the first ABI, whose symbol is [`SYMBOL`], nothing that is here changes. What comes later comes at the end
//!   of [`Host`] or [`Plugin`], and [`VERSION`] counts it.
//! * Nothing unwinds across: neither a panic nor an exception.

use crate::describe::{C, Declare, Declared, Field, Held, Shape, Signature, Value, function, number, structure};

/// The first ABI is this many steps of additions old. A server knows every version up to its own.
pub const VERSION: u32 = 1;

/// What a library exports: a function without arguments that returns a pointer to its [`Plugin`].
pub const SYMBOL: &str = "fingerpost_plugin_v1";

/// One call of a plugin, which only the server knows the inside of.
#[repr(C)]
#[derive(Debug)]
pub struct Call {
    _inside: [u8; 0],
}

impl C for Call {
    fn name() -> String {
        "fingerpost_call ".to_owned()
    }
}

impl Declare for Call {
    fn declared() -> Declared {
        let docs: &[_] = &[
            " One call of the plugin. It is good on the thread that was called, until the call returns; so is all that",
            " the host's functions hand out in it.",
        ];
        Declared { name: "fingerpost_call", docs, shape: Shape::Opaque }
    }
}

number! {
    /// How a function of the host went. Every other status than these two leaves what it should have set as it was, and
    /// `last_error` says why.
    Status(i32) = "fingerpost_status", "FINGERPOST_" {
        /// It did what it says.
        OK = 0,
        /// There is no such thing: no field, key or topic of that name.
        NONE = 1,
        /// The operator has not granted it, or this is not where it may be done.
        DENIED = 2,
        /// An argument is not acceptable.
        INVALID = 3,
        /// Not now: too much waits already, or there is no room. The same may succeed later.
        UNAVAILABLE = 4,
        /// The plugin has a mistake: text that is not UTF-8, a handle that it was not given, a function of the other
        /// role, more than a reply may hold. Whatever it returns, its call has failed.
        MISUSE = 5,
    }
}

number! {
    /// How much a line of the log matters.
    Level(u32) = "fingerpost_level", "FINGERPOST_LOG_" {
        /// Something failed.
        ERROR = 0,
        /// Something will, or should not be so.
        WARN = 1,
        /// Something happened.
        INFO = 2,
        /// For whoever looks for a mistake.
        DEBUG = 3,
    }
}

number! {
    /// How a route is written.
    Style(u32) = "fingerpost_style", "FINGERPOST_JSON_" {
        /// Integer keys quoted: for clients of 4.9.4 and later.
        STANDARD = 0,
        /// Integer keys bare, which is not JSON, but what older clients parse.
        BARE_KEYS = 1,
    }
}

structure! {
    /// Bytes, or text, which is UTF-8 and does not end with a zero. Where there may be nothing, `data` is null; a text
    /// that is empty has some other `data`.
    Bytes = "fingerpost_bytes" {
        /// The first one.
        data: *const u8,
        /// How many.
        size: usize,
    }
}

structure! {
    /// A name and a value.
    Pair = "fingerpost_pair" {
        /// Text.
        name: Bytes,
        /// Text.
        value: Bytes,
    }
}

structure! {
    /// An array of pairs.
    Pairs = "fingerpost_pairs" {
        /// The first one.
        items: *const Pair,
        /// How many.
        count: usize,
    }
}

structure! {
    /// One member of a broker group: 0 is the master, everything above a slave.
    Address = "fingerpost_address" {
        /// The broker id.
        broker_id: i64,
        /// `host:port`.
        address: Bytes,
    }
}

structure! {
    /// An array of members.
    Addresses = "fingerpost_addresses" {
        /// The first one.
        items: *const Address,
        /// How many.
        count: usize,
    }
}

structure! {
    /// The brokers that share one broker name.
    Group = "fingerpost_group" {
        /// The broker name.
        broker_name: Bytes,
        /// Its cluster.
        cluster: Bytes,
        /// Its zone, or nothing.
        zone_name: Bytes,
        /// Its members, ascending by broker id.
        addresses: Addresses,
        /// Whether a slave may act as master: 1, else 0.
        enable_acting_master: u32,
        /// Bit N is set when mark N of a policy's manifest holds; 0 for a processor.
        marks: u32,
    }
}

structure! {
    /// An array of groups.
    Groups = "fingerpost_groups" {
        /// The first one.
        items: *const Group,
        /// How many.
        count: usize,
    }
}

structure! {
    /// One queue entry of a topic on one broker group.
    Queue = "fingerpost_queue" {
        /// The broker name.
        broker_name: Bytes,
        /// Queues to read from.
        read_queue_nums: i32,
        /// Queues to write to.
        write_queue_nums: i32,
        /// Bits: 4 read, 2 write, 1 inherit.
        perm: i32,
        /// Bits: 1 unit topic, 2 has unit subscription.
        topic_sys_flag: i32,
    }
}

structure! {
    /// An array of queue entries.
    Queues = "fingerpost_queues" {
        /// The first one.
        items: *const Queue,
        /// How many.
        count: usize,
    }
}

structure! {
    /// A topic in a list.
    Topic = "fingerpost_topic" {
        /// Its name.
        name: Bytes,
        /// The system flag of one of its entries: the one of the smallest broker name.
        topic_sys_flag: i32,
    }
}

structure! {
    /// An array of topics.
    Topics = "fingerpost_topics" {
        /// The first one.
        items: *const Topic,
        /// How many.
        count: usize,
    }
}

structure! {
    /// An array of indices.
    Indices = "fingerpost_indices" {
        /// The first one.
        items: *const u32,
        /// How many.
        count: usize,
    }
}

structure! {
    /// What the server offers to a plugin. It stays where it is for as long as the process lives.
    ///
    /// Texts and arrays that are handed out are good until the call returns. Those that are handed in are copied.
    Host = "fingerpost_host" {
        /// The `FINGERPOST_ABI_VERSION` of the server. Functions that came with a later one than this are not there.
        abi_version: u32,
        /// The bytes of this structure, as the server knows it.
        struct_size: u32,
    }
    functions {
        /// Why the last function of the host that ended badly did; empty if none has in this call.
        last_error(call: *mut Call) -> Bytes;
        /// Says why the call is about to fail, for the server's log. The client is not told. To fail, return something
        /// else than 0.
        fail(call: *mut Call, why: Bytes) -> Status;

        /// The request code, as the client sent it.
        request_code(call: *mut Call) -> i32;
        /// The client's version ordinal, as sent; may be negative or unknown.
        request_version(call: *mut Call) -> i32;
        /// The value of one header field; NONE when the request does not carry it.
        request_field(call: *mut Call, name: Bytes, value: *mut Bytes) -> Status;
        /// Every header field, in the order sent.
        request_fields(call: *mut Call, fields: *mut Pairs) -> Status;
        /// The body; empty when there is none.
        request_body(call: *mut Call, body: *mut Bytes) -> Status;
        /// The peer's address, `host:port`.
        request_peer(call: *mut Call, peer: *mut Bytes) -> Status;

        /// Sets the response code and clears the remark. A reply begins as code 1, so a processor that sets nothing
        /// answers an error. Success is code 0. All functions of the reply are for processors.
        reply_set_code(call: *mut Call, code: i32) -> Status;
        /// Sets the response code and the remark.
        reply_fail(call: *mut Call, code: i32, remark: Bytes) -> Status;
        /// Adds a header field; a second one of the same name replaces the first.
        reply_set_field(call: *mut Call, name: Bytes, value: Bytes) -> Status;
        /// Replaces the body.
        reply_set_body(call: *mut Call, body: Bytes) -> Status;
        /// Appends to the body.
        reply_append_body(call: *mut Call, bytes: Bytes) -> Status;
        /// Answers success with the route of a handle: the server runs the policies and writes it. `order_topic_conf`
        /// is nothing, or what `orderTopicConf` is in the body.
        reply_set_route(call: *mut Call, route: u32, style: Style, order_topic_conf: Bytes) -> Status;
        /// Holds the reply until every KV write of this call is on disk. If one fails, the reply becomes an error.
        reply_when_durable(call: *mut Call) -> Status;
        /// Sends the request to the name servers configured as `upstream`, and answers with their reply, or with this
        /// one if none answers in time. Needs the grant `upstream`.
        reply_forward(call: *mut Call, upstream: Bytes) -> Status;

        /// Gives out a handle for the route of a topic, good until the call returns; NONE when the topic is unknown
        /// here. For processors, as everything about routes.
        routes_find(call: *mut Call, topic: Bytes, route: *mut u32) -> Status;
        /// The broker groups that a route leads to.
        routes_groups(call: *mut Call, route: u32, groups: *mut Groups) -> Status;
        /// The queue entries of a route.
        routes_queues(call: *mut Call, route: u32, queues: *mut Queues) -> Status;
        /// Every topic, ascending by name. This can be a long list: a code that asks for it belongs in the lane.
        routes_topics(call: *mut Call, topics: *mut Topics) -> Status;

        /// A value of the KV store; NONE when there is none.
        kv_get(call: *mut Call, space: Bytes, key: Bytes, value: *mut Bytes) -> Status;
        /// Everything in a namespace, ascending by key; NONE when there is no such namespace.
        kv_entries(call: *mut Call, space: Bytes, entries: *mut Pairs) -> Status;
        /// Stores a value. Needs the grant `kv.write`, as the next one.
        kv_put(call: *mut Call, space: Bytes, key: Bytes, value: Bytes) -> Status;
        /// Removes a value, if it is there.
        kv_delete(call: *mut Call, space: Bytes, key: Bytes) -> Status;

        /// Whether a boolean setting is on: 1, else 0. The plugin's own settings come before the server's.
        settings_flag(call: *mut Call, key: Bytes) -> i32;
        /// A setting as text; NONE for an unknown or secret one.
        settings_get(call: *mut Call, key: Bytes, value: *mut Bytes) -> Status;

        /// Writes a line into the server's log, as many in a second as a component may, and as long.
        log_write(call: *mut Call, level: Level, line: Bytes) -> Status;
        /// Milliseconds since 1970, as the server sees it.
        clock_now_ms(call: *mut Call) -> u64;
        /// Milliseconds since the server began.
        clock_uptime_ms(call: *mut Call) -> u64;

        /// The topic whose route a policy looks at. All functions of the view are for policies.
        view_topic(call: *mut Call, topic: *mut Bytes) -> Status;
        /// The broker groups, in the order in which they will be shown. The index of one in this array names it below.
        view_groups(call: *mut Call, groups: *mut Groups) -> Status;
        /// The queue entries, in the order in which they will be shown. Not every group has one.
        view_queues(call: *mut Call, queues: *mut Queues) -> Status;
        /// Keeps only these groups, in this order. An index that is named twice counts once. Indices change with it.
        view_keep(call: *mut Call, groups: Indices) -> Status;
        /// Replaces the addresses of a group. Their ids must differ.
        view_set_addresses(call: *mut Call, group: u32, addresses: Addresses) -> Status;
        /// Shows the member with one broker id under another one that is free.
        view_set_broker_id(call: *mut Call, group: u32, broker_id: i64, shown: i64) -> Status;
        /// Replaces the permission of a group's queue entry.
        view_set_permission(call: *mut Call, group: u32, perm: i32) -> Status;
    }
}

function! {
    /// What a plugin does: a processor answers the request, a policy changes the route that it looks at. `code` is the
    /// request code. 0 means that it went well; anything else fails the call.
    ///
    /// It is called on several threads at once.
    Enter = "fingerpost_enter" (host: *const Host, call: *mut Call, code: i32) -> i32
}

structure! {
    /// What a library is. It stays where it is for as long as the process lives.
    Plugin = "fingerpost_plugin" {
        /// `FINGERPOST_ABI_VERSION`.
        abi_version: u32,
        /// `sizeof(fingerpost_plugin)`.
        struct_size: u32,
        /// The manifest: the same TOML as that of a component.
        manifest: Bytes,
        /// What it does.
        enter: Option<Enter>,
    }
}

// SAFETY: a plugin is made before anybody sees it, and never changes.
unsafe impl Sync for Plugin {}

impl Bytes {
    /// No text at all, which is not the same as an empty one.
    pub const NOTHING: Self = Self { data: std::ptr::null(), size: 0 };

    /// The bytes of a text. They are only as good as the text is.
    pub const fn of(text: &[u8]) -> Self {
        Self { data: text.as_ptr(), size: text.len() }
    }
}

/// Everything that the header declares, in an order in which each knows those before it.
pub(crate) fn declared() -> Vec<Declared> {
    vec![
        Call::declared(),
        Status::declared(),
        Level::declared(),
        Style::declared(),
        Bytes::declared(),
        Pair::declared(),
        Pairs::declared(),
        Address::declared(),
        Addresses::declared(),
        Group::declared(),
        Groups::declared(),
        Queue::declared(),
        Queues::declared(),
        Topic::declared(),
        Topics::declared(),
        Indices::declared(),
        Host::declared(),
        Enter::declared(),
        Plugin::declared(),
    ]
}
