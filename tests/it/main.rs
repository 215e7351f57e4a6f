//! What a NameServer's users see, tested over its sockets.

mod captures;
mod harness;
mod process;
mod requests;
mod stock;
