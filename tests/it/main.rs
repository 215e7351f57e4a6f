//! What a NameServer's users see, tested over its sockets.

mod admission;
mod captures;
mod harness;
mod liveness;
mod order;
mod process;
mod requests;
mod stock;
