//! `brokers` answers what brokers send: 103 and 104 to come and go, 322 and 904 to stay, 901 to find each other.
//!
//! What a broker publishes is decoded by the host and stays there; this plugin decides what the header fields mean, which
//! form the body has, and what the broker is told. Java: `DefaultRequestProcessor`.

use fingerpost_sdk::{Outcome, Processor, Refusal, export_processor};

mod group;
mod heartbeat;
mod register;

struct Brokers;

impl Processor for Brokers {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(code: i32) -> Outcome {
        match code {
            103 => register::register(),
            104 => register::unregister(),
            322 => heartbeat::query_data_version(),
            901 => group::member_group(),
            904 => heartbeat::heartbeat(),
            _ => Err(Refusal::not_supported(code)),
        }
    }
}

export_processor!(Brokers);
