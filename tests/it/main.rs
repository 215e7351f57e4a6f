//! What a NameServer's users see, tested over its sockets.

mod admission;
mod bad_input;
mod captures;
mod cluster_test;
mod durability;
mod harness;
mod liveness;
mod order;
mod process;
mod requests;
mod startup;
mod stock;
mod tidy;
