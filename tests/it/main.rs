//! What a NameServer's users see, tested over its sockets.

mod address_server;
mod admission;
mod bad_input;
mod captures;
mod cluster_test;
mod connections;
mod crashes;
mod durability;
mod goodbye;
mod guests;
mod harness;
mod java_keys;
mod large;
mod liveness;
mod misbehaving;
mod notices;
mod order;
mod plugins;
mod policies;
mod process;
mod proxy_protocol;
mod requests;
mod simulator;
mod startup;
mod stock;
mod tidy;
