//! The route tables: which brokers serve which topics, and who is alive.

mod types;

pub use types::{
    ConnectionId, DataVersion, Millis, Name, Queue, Registered, Registration, TopicConfig, TopicMapping, TopicTable,
};
