//! What a message looks like: what a plugin's manifest says in `[[notice]]`.

use serde::Deserialize;

/// How brokers are told of an event.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Form {
    /// What happened.
    pub event: Event,
    /// The request code of the message.
    pub code: i32,
    /// Its name, for logs and lists. Java: `RequestCode`.
    pub name: String,
    /// A boolean setting that must be on; none is always.
    pub when_setting: Option<String>,
    /// The header fields, in their order, and what stands in them. A field whose fact there is not is left out.
    pub fields: Vec<(String, Fact)>,
}

/// What brokers can be told of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The smallest broker id of a group is another one than before: the broker that stands in for a lost master.
    MinBrokerIdChanged,
}

/// What a field can say.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The id that is the smallest now.
    MinId,
    /// The address of that broker.
    MinAddress,
    /// The address of the broker that left, if that is what happened.
    DepartedAddress,
    /// Where the broker that joined serves its slaves, if that is what happened and it said so.
    JoinedHaAddress,
}
