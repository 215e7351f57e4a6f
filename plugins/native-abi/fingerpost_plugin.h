/* The C ABI of Fingerpost's native plugins; README.md beside this file says what it is for.
 *
 * Made of src/abi.rs by `cargo run -p fingerpost-native --example header`; not by hand. */

#ifndef FINGERPOST_PLUGIN_H
#define FINGERPOST_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What this header is: counts what was added at the end of the structures. */
#define FINGERPOST_ABI_VERSION 1

/* One call of the plugin. It is good on the thread that was called, until the call returns; so is all that
 * the host's functions hand out in it. */
typedef struct fingerpost_call fingerpost_call;

/* How a function of the host went. Every other status than these two leaves what it should have set as it was, and
 * last_error says why. */
enum {
    /* It did what it says. */
    FINGERPOST_OK = 0,
    /* There is no such thing: no field, key or topic of that name. */
    FINGERPOST_NONE = 1,
    /* The operator has not granted it, or this is not where it may be done. */
    FINGERPOST_DENIED = 2,
    /* An argument is not acceptable. */
    FINGERPOST_INVALID = 3,
    /* Not now: too much waits already, or there is no room. The same may succeed later. */
    FINGERPOST_UNAVAILABLE = 4,
    /* The plugin has a mistake: text that is not UTF-8, a handle that it was not given, a function of the other
     * role, more than a reply may hold. Whatever it returns, its call has failed. */
    FINGERPOST_MISUSE = 5
};
typedef int32_t fingerpost_status;

/* How much a line of the log matters. */
enum {
    /* Something failed. */
    FINGERPOST_LOG_ERROR = 0,
    /* Something will, or should not be so. */
    FINGERPOST_LOG_WARN = 1,
    /* Something happened. */
    FINGERPOST_LOG_INFO = 2,
    /* For whoever looks for a mistake. */
    FINGERPOST_LOG_DEBUG = 3
};
typedef uint32_t fingerpost_level;

/* How a route is written. */
enum {
    /* Integer keys quoted: for clients of 4.9.4 and later. */
    FINGERPOST_JSON_STANDARD = 0,
    /* Integer keys bare, which is not JSON, but what older clients parse. */
    FINGERPOST_JSON_BARE_KEYS = 1
};
typedef uint32_t fingerpost_style;

/* Bytes, or text, which is UTF-8 and does not end with a zero. Where there may be nothing, data is null; a text
 * that is empty has some other data. */
typedef struct fingerpost_bytes {
    /* The first one. */
    const uint8_t *data;
    /* How many. */
    size_t size;
} fingerpost_bytes;

/* A name and a value. */
typedef struct fingerpost_pair {
    /* Text. */
    fingerpost_bytes name;
    /* Text. */
    fingerpost_bytes value;
} fingerpost_pair;

/* An array of pairs. */
typedef struct fingerpost_pairs {
    /* The first one. */
    const fingerpost_pair *items;
    /* How many. */
    size_t count;
} fingerpost_pairs;

/* One member of a broker group: 0 is the master, everything above a slave. */
typedef struct fingerpost_address {
    /* The broker id. */
    int64_t broker_id;
    /* host:port. */
    fingerpost_bytes address;
} fingerpost_address;

/* An array of members. */
typedef struct fingerpost_addresses {
    /* The first one. */
    const fingerpost_address *items;
    /* How many. */
    size_t count;
} fingerpost_addresses;

/* The brokers that share one broker name. */
typedef struct fingerpost_group {
    /* The broker name. */
    fingerpost_bytes broker_name;
    /* Its cluster. */
    fingerpost_bytes cluster;
    /* Its zone, or nothing. */
    fingerpost_bytes zone_name;
    /* Its members, ascending by broker id. */
    fingerpost_addresses addresses;
    /* Whether a slave may act as master: 1, else 0. */
    uint32_t enable_acting_master;
    /* Bit N is set when mark N of a policy's manifest holds; 0 for a processor. */
    uint32_t marks;
} fingerpost_group;

/* An array of groups. */
typedef struct fingerpost_groups {
    /* The first one. */
    const fingerpost_group *items;
    /* How many. */
    size_t count;
} fingerpost_groups;

/* One queue entry of a topic on one broker group. */
typedef struct fingerpost_queue {
    /* The broker name. */
    fingerpost_bytes broker_name;
    /* Queues to read from. */
    int32_t read_queue_nums;
    /* Queues to write to. */
    int32_t write_queue_nums;
    /* Bits: 4 read, 2 write, 1 inherit. */
    int32_t perm;
    /* Bits: 1 unit topic, 2 has unit subscription. */
    int32_t topic_sys_flag;
} fingerpost_queue;

/* An array of queue entries. */
typedef struct fingerpost_queues {
    /* The first one. */
    const fingerpost_queue *items;
    /* How many. */
    size_t count;
} fingerpost_queues;

/* A topic in a list. */
typedef struct fingerpost_topic {
    /* Its name. */
    fingerpost_bytes name;
    /* The system flag of one of its entries: the one of the smallest broker name. */
    int32_t topic_sys_flag;
} fingerpost_topic;

/* An array of topics. */
typedef struct fingerpost_topics {
    /* The first one. */
    const fingerpost_topic *items;
    /* How many. */
    size_t count;
} fingerpost_topics;

/* An array of indices. */
typedef struct fingerpost_indices {
    /* The first one. */
    const uint32_t *items;
    /* How many. */
    size_t count;
} fingerpost_indices;

/* What the server offers to a plugin. It stays where it is for as long as the process lives.
 *
 * Texts and arrays that are handed out are good until the call returns. Those that are handed in are copied. */
typedef struct fingerpost_host {
    /* The FINGERPOST_ABI_VERSION of the server. Functions that came with a later one than this are not there. */
    uint32_t abi_version;
    /* The bytes of this structure, as the server knows it. */
    uint32_t struct_size;
    /* Why the last function of the host that ended badly did; empty if none has in this call. */
    fingerpost_bytes (*last_error)(fingerpost_call *call);
    /* Says why the call is about to fail, for the server's log. The client is not told. To fail, return something
     * else than 0. */
    fingerpost_status (*fail)(fingerpost_call *call, fingerpost_bytes why);
    /* The request code, as the client sent it. */
    int32_t (*request_code)(fingerpost_call *call);
    /* The client's version ordinal, as sent; may be negative or unknown. */
    int32_t (*request_version)(fingerpost_call *call);
    /* The value of one header field; NONE when the request does not carry it. */
    fingerpost_status (*request_field)(fingerpost_call *call, fingerpost_bytes name, fingerpost_bytes *value);
    /* Every header field, in the order sent. */
    fingerpost_status (*request_fields)(fingerpost_call *call, fingerpost_pairs *fields);
    /* The body; empty when there is none. */
    fingerpost_status (*request_body)(fingerpost_call *call, fingerpost_bytes *body);
    /* The peer's address, host:port. */
    fingerpost_status (*request_peer)(fingerpost_call *call, fingerpost_bytes *peer);
    /* Sets the response code and clears the remark. A reply begins as code 1, so a processor that sets nothing
     * answers an error. Success is code 0. All functions of the reply are for processors. */
    fingerpost_status (*reply_set_code)(fingerpost_call *call, int32_t code);
    /* Sets the response code and the remark. */
    fingerpost_status (*reply_fail)(fingerpost_call *call, int32_t code, fingerpost_bytes remark);
    /* Adds a header field; a second one of the same name replaces the first. */
    fingerpost_status (*reply_set_field)(fingerpost_call *call, fingerpost_bytes name, fingerpost_bytes value);
    /* Replaces the body. */
    fingerpost_status (*reply_set_body)(fingerpost_call *call, fingerpost_bytes body);
    /* Appends to the body. */
    fingerpost_status (*reply_append_body)(fingerpost_call *call, fingerpost_bytes bytes);
    /* Answers success with the route of a handle: the server runs the policies and writes it. order_topic_conf
     * is nothing, or what orderTopicConf is in the body. */
    fingerpost_status (*reply_set_route)(fingerpost_call *call, uint32_t route, fingerpost_style style,
        fingerpost_bytes order_topic_conf);
    /* Holds the reply until every KV write of this call is on disk. If one fails, the reply becomes an error. */
    fingerpost_status (*reply_when_durable)(fingerpost_call *call);
    /* Sends the request to the name servers configured as upstream, and answers with their reply, or with this
     * one if none answers in time. Needs the grant upstream. */
    fingerpost_status (*reply_forward)(fingerpost_call *call, fingerpost_bytes upstream);
    /* Gives out a handle for the route of a topic, good until the call returns; NONE when the topic is unknown
     * here. For processors, as everything about routes. */
    fingerpost_status (*routes_find)(fingerpost_call *call, fingerpost_bytes topic, uint32_t *route);
    /* The broker groups that a route leads to. */
    fingerpost_status (*routes_groups)(fingerpost_call *call, uint32_t route, fingerpost_groups *groups);
    /* The queue entries of a route. */
    fingerpost_status (*routes_queues)(fingerpost_call *call, uint32_t route, fingerpost_queues *queues);
    /* Every topic, ascending by name. This can be a long list: a code that asks for it belongs in the lane. */
    fingerpost_status (*routes_topics)(fingerpost_call *call, fingerpost_topics *topics);
    /* A value of the KV store; NONE when there is none. */
    fingerpost_status (*kv_get)(fingerpost_call *call, fingerpost_bytes space, fingerpost_bytes key,
        fingerpost_bytes *value);
    /* Everything in a namespace, ascending by key; NONE when there is no such namespace. */
    fingerpost_status (*kv_entries)(fingerpost_call *call, fingerpost_bytes space, fingerpost_pairs *entries);
    /* Stores a value. Needs the grant kv.write, as the next one. */
    fingerpost_status (*kv_put)(fingerpost_call *call, fingerpost_bytes space, fingerpost_bytes key,
        fingerpost_bytes value);
    /* Removes a value, if it is there. */
    fingerpost_status (*kv_delete)(fingerpost_call *call, fingerpost_bytes space, fingerpost_bytes key);
    /* Whether a boolean setting is on: 1, else 0. The plugin's own settings come before the server's. */
    int32_t (*settings_flag)(fingerpost_call *call, fingerpost_bytes key);
    /* A setting as text; NONE for an unknown or secret one. */
    fingerpost_status (*settings_get)(fingerpost_call *call, fingerpost_bytes key, fingerpost_bytes *value);
    /* Writes a line into the server's log, as many in a second as a component may, and as long. */
    fingerpost_status (*log_write)(fingerpost_call *call, fingerpost_level level, fingerpost_bytes line);
    /* Milliseconds since 1970, as the server sees it. */
    uint64_t (*clock_now_ms)(fingerpost_call *call);
    /* Milliseconds since the server began. */
    uint64_t (*clock_uptime_ms)(fingerpost_call *call);
    /* The topic whose route a policy looks at. All functions of the view are for policies. */
    fingerpost_status (*view_topic)(fingerpost_call *call, fingerpost_bytes *topic);
    /* The broker groups, in the order in which they will be shown. The index of one in this array names it below. */
    fingerpost_status (*view_groups)(fingerpost_call *call, fingerpost_groups *groups);
    /* The queue entries, in the order in which they will be shown. Not every group has one. */
    fingerpost_status (*view_queues)(fingerpost_call *call, fingerpost_queues *queues);
    /* Keeps only these groups, in this order. An index that is named twice counts once. Indices change with it. */
    fingerpost_status (*view_keep)(fingerpost_call *call, fingerpost_indices groups);
    /* Replaces the addresses of a group. Their ids must differ. */
    fingerpost_status (*view_set_addresses)(fingerpost_call *call, uint32_t group, fingerpost_addresses addresses);
    /* Shows the member with one broker id under another one that is free. */
    fingerpost_status (*view_set_broker_id)(fingerpost_call *call, uint32_t group, int64_t broker_id, int64_t shown);
    /* Replaces the permission of a group's queue entry. */
    fingerpost_status (*view_set_permission)(fingerpost_call *call, uint32_t group, int32_t perm);
} fingerpost_host;

/* What a plugin does: a processor answers the request, a policy changes the route that it looks at. code is the
 * request code. 0 means that it went well; anything else fails the call.
 *
 * It is called on several threads at once. */
typedef int32_t fingerpost_enter(const fingerpost_host *host, fingerpost_call *call, int32_t code);

/* What a library is. It stays where it is for as long as the process lives. */
typedef struct fingerpost_plugin {
    /* FINGERPOST_ABI_VERSION. */
    uint32_t abi_version;
    /* sizeof(fingerpost_plugin). */
    uint32_t struct_size;
    /* The manifest: the same TOML as that of a component. */
    fingerpost_bytes manifest;
    /* What it does. */
    fingerpost_enter *enter;
} fingerpost_plugin;

/* What a library exports. It is called once, when the library is loaded. */
const fingerpost_plugin *fingerpost_plugin_v1(void);

/* The bytes of a text that ends with a zero. */
static inline fingerpost_bytes fingerpost_text(const char *text) {
    fingerpost_bytes bytes;
    bytes.data = (const uint8_t *)text;
    bytes.size = strlen(text);
    return bytes;
}

#ifdef __cplusplus
}
#endif

#endif
