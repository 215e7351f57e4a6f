//! Java's names: which of its keys are ours, which can change while the server runs, and which do nothing here.
//!
//! [`KEYS`] is the only place that knows. Properties files are read with it, request 319 is written with it, and
//! request 318 may change what it marks [`Effect::Live`], and nothing else.

mod slot;
mod table;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hashbrown::HashMap;

use super::Config;
pub(super) use slot::Slot;
pub use table::KEYS;

/// One key of Java's NameServer.
#[derive(Debug)]
pub struct JavaKey {
    /// Java's name.
    pub name: &'static str,
    /// Where Java has it.
    pub group: Group,
    /// What a value looks like.
    pub kind: Kind,
    /// The default as text; none is null in Java, or depends on the machine.
    pub default: Option<&'static str>,
    /// The smallest and largest number.
    pub range: (i64, i64),
    /// Never shown.
    pub secret: bool,
    /// What setting it does here.
    pub effect: Effect,
    /// Our key, when there is one: `net.listen-port`.
    pub ours: Option<&'static str>,
    slot: Option<fn(&mut Config) -> Slot<'_>>,
}

/// Where a key comes from; what 319 and `-p` show depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// Java: `NamesrvConfig`. Always in 319.
    Namesrv,
    /// Java: `NettyServerConfig`. Always in 319.
    Server,
    /// Java: `NettyClientConfig`. In 319 when the file has it.
    Client,
    /// A system property, given to Java with `-D`. There is no such thing here, so the file may hold it.
    System,
}

/// The type of a value, which decides how its text is read. Java: `MixAll.properties2Object`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// True if it equals `true` in any case; everything else is false.
    Bool,
    /// 32 bits, exact: `47 ` is none.
    Int,
    /// 64 bits, exact.
    Long,
    /// Trimmed text.
    Text,
}

/// What setting a key does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It counts from the next time the server looks: request 318 changes it.
    Live,
    /// It counts when the server starts.
    AtStart,
    /// It is accepted and shown, and does nothing, for this reason.
    Nothing(&'static str),
}

/// A value as Java reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
}

/// Why a text is no value of a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Java does not understand it either, and ignores it.
    #[error("is not {0}")]
    Unreadable(&'static str),
    /// A number that Java would take, and should not.
    #[error("is not between {0} and {1}")]
    OutOfRange(i64, i64),
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static JavaKey>> = LazyLock::new(|| {
    let mut by_name = HashMap::with_capacity(KEYS.len());
    for key in KEYS {
        // A server's key comes before the client's of the same name; one line of a file sets both.
        by_name.entry(key.name).or_insert(key);
    }
    by_name
});

impl JavaKey {
    /// The key of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        BY_NAME.get(name).copied()
    }

    /// Whether 319 shows it even if no file names it.
    pub fn is_always_shown(&self) -> bool {
        matches!(self.group, Group::Namesrv | Group::Server)
    }

    /// Reads a text as Java does.
    pub(super) fn parse(&self, text: &str) -> Result<Value, ValueError> {
        let integer = match self.kind {
            Kind::Bool => return Ok(Value::Bool(text.eq_ignore_ascii_case("true"))),
            // Java: `String.trim`, which takes off everything up to U+0020.
            Kind::Text => return Ok(Value::Text(text.trim_matches(|c| c <= ' ').to_owned())),
            Kind::Int => text.parse::<i32>().map(i64::from).map_err(|_| ValueError::Unreadable("a 32-bit number")),
            Kind::Long => text.parse::<i64>().map_err(|_| ValueError::Unreadable("a 64-bit number")),
        }?;
        let (min, max) = self.range;
        if (min..=max).contains(&integer) { Ok(Value::Integer(integer)) } else { Err(ValueError::OutOfRange(min, max)) }
    }

    /// Sets our key to a value as Java writes it; false when none of ours corresponds.
    pub(super) fn set(&self, config: &mut Config, value: &Value) -> Result<bool, ValueError> {
        match self.slot {
            Some(slot) => slot(config).write(value).map(|()| true),
            None => Ok(false),
        }
    }

    /// What our key is, as Java writes it; none when none of ours corresponds.
    pub(super) fn get(&self, config: &mut Config) -> Option<String> {
        self.slot.map(|slot| slot(config).read())
    }
}

impl Value {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Bool(on) => on.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// What is shown of a secret where something must be.
pub(super) const HIDDEN: &str = "***";

/// Whether a key of that name is never shown. Of a key that nobody knows, the name must do.
pub(super) fn is_secret(name: &str) -> bool {
    const TELLING: [&str; 5] = ["password", "secret", "accesskey", "token", "credential"];
    let folded = name.to_ascii_lowercase();
    JavaKey::find(name).is_some_and(|key| key.secret) || TELLING.iter().any(|word| folded.contains(word))
}

/// What Java would show beside our configuration: keys that do nothing here, or that nobody knows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extras(pub(super) BTreeMap<String, String>);

/// Every key and value that Java's NameServer would have, secrets included: 319's own and those of the file.
pub(super) fn view(config: &Config, extras: &Extras) -> BTreeMap<String, String> {
    let mut config = config.clone();
    let mut values = extras.0.clone();
    for key in KEYS.iter().filter(|key| key.is_always_shown() || extras.0.contains_key(key.name)) {
        if let Some(value) = value(key, &mut config, extras) {
            values.insert(key.name.to_owned(), value);
        }
    }
    values
}

/// What `-p` prints: the fields of the three objects that Java has, in Java's order; null as nothing.
pub(super) fn fields(config: &Config, extras: &Extras) -> Vec<(&'static str, String)> {
    let mut config = config.clone();
    let keys = KEYS.iter().filter(|key| key.group != Group::System);
    keys.map(|key| (key.name, value(key, &mut config, extras).unwrap_or_default())).collect()
}

fn value(key: &JavaKey, config: &mut Config, extras: &Extras) -> Option<String> {
    let ours = key.get(config);
    ours.or_else(|| extras.0.get(key.name).cloned()).or_else(|| key.default.map(str::to_owned))
}

#[cfg(test)]
mod tests;
