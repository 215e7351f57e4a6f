//! What a NameServer's users see, tested over its sockets.

mod captures;
mod guests;
mod harness;
mod misbehaving;
mod plugins;
mod policies;
mod process;
mod stock;
