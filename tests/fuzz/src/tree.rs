//! A document as `fingerpost::json::Reader` reads it, all in its place, to be compared with what others read.

use fingerpost::json::{JsonError, Kind, Problem, Reader};
use serde_json::Value;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// As Java prints it; none when no double holds it.
    Number(Option<String>),
    String(String),
    Array(Vec<Tree>),
    /// In the order of the document, names that come twice included.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads a whole document.
    pub(crate) fn read(mut reader: Reader<'_>) -> Result<Self, JsonError> {
        let tree = Self::next(&mut reader)?;
        reader.finish()?;
        Ok(tree)
    }

    /// Reads the next value.
    pub(crate) fn next(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        Ok(match reader.peek()? {
            Kind::Null => {
                reader.skip()?;
                Self::Null
            }
            Kind::Bool => Self::Bool(reader.boolean()?.expect("it is not null")),
            Kind::Number => {
                let mut ahead = reader.clone();
                match reader.text() {
                    Ok(text) => Self::Number(Some(text.expect("it is not null").into_owned())),
                    Err(JsonError { problem: Problem::Overflow, .. }) => {
                        ahead.skip()?;
                        *reader = ahead;
                        Self::Number(None)
                    }
                    Err(error) => return Err(error),
                }
            }
            Kind::String => Self::String(reader.string()?.into_owned()),
            Kind::Array => {
                let mut elements = Vec::new();
                reader.begin_array()?;
                while reader.next_element()? {
                    elements.push(Self::next(reader)?);
                }
                Self::Array(elements)
            }
            Kind::Object => {
                let mut members = Vec::new();
                reader.begin_object()?;
                while let Some(name) = reader.next_key()? {
                    members.push((name.into_owned(), Self::next(reader)?));
                }
                Self::Object(members)
            }
        })
    }

    /// Whether serde_json, which keeps the last of two members with one name, read the same. Numbers are compared as
    /// doubles where they are no integers of 64 bits.
    pub(crate) fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(ours), Value::Bool(theirs)) => ours == theirs,
            (Self::String(ours), Value::String(theirs)) => ours == theirs,
            (Self::Number(Some(ours)), Value::Number(theirs)) => {
                if let Some(theirs) = theirs.as_i64() {
                    return ours.parse() == Ok(theirs);
                }
                if let Some(theirs) = theirs.as_u64() {
                    return ours.parse() == Ok(theirs);
                }
                ours.parse::<f64>().ok() == theirs.as_f64()
            }
            (Self::Array(ours), Value::Array(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| ours.is(theirs))
            }
            (Self::Object(_), Value::Object(theirs)) => {
                let last = |name: &String| self.member(name).expect("it is there");
                let names = self.names();
                names.len() == theirs.len()
                    && names.into_iter().all(|name| theirs.get(name).is_some_and(|value| last(name).is(value)))
            }
            _ => false,
        }
    }

    /// The names of an object's members, each once, in order.
    fn names(&self) -> Vec<&String> {
        let Self::Object(members) = self else { return Vec::new() };
        let mut names: Vec<_> = members.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The last member of that name.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Without the members that are null, at any depth.
    pub(crate) fn without_nulls(self) -> Self {
        match self {
            Self::Object(members) => {
                let kept = members.into_iter().filter(|(_, value)| *value != Self::Null);
                Self::Object(kept.map(|(name, value)| (name, value.without_nulls())).collect())
            }
            Self::Array(elements) => Self::Array(elements.into_iter().map(Self::without_nulls).collect()),
            other => other,
        }
    }

    /// Whether some object has two members of one name.
    pub(crate) fn has_twins(&self) -> bool {
        match self {
            Self::Object(members) => {
                self.names().len() < members.len() || members.iter().any(|(_, value)| value.has_twins())
            }
            Self::Array(elements) => elements.iter().any(Self::has_twins),
            _ => false,
        }
    }

    /// Whether a number is in it that no double holds.
    pub(crate) fn overflows(&self) -> bool {
        match self {
            Self::Number(number) => number.is_none(),
            Self::Object(members) => members.iter().any(|(_, value)| value.overflows()),
            Self::Array(elements) => elements.iter().any(Self::overflows),
            _ => false,
        }
    }

    /// Whether an integer is in it that no double holds. Java keeps it, serde_json refuses it.
    pub(crate) fn exceeds_doubles(&self) -> bool {
        match self {
            Self::Number(Some(text)) => text.parse::<f64>().is_ok_and(f64::is_infinite),
            Self::Object(members) => members.iter().any(|(_, value)| value.exceeds_doubles()),
            Self::Array(elements) => elements.iter().any(Self::exceeds_doubles),
            _ => false,
        }
    }

    /// How many containers lie within each other.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Object(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or_default(),
            Self::Array(elements) => 1 + elements.iter().map(Self::depth).max().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Calls `look` with every string, names included.
    pub(crate) fn each_string(&self, look: &mut impl FnMut(&str)) {
        match self {
            Self::String(text) => look(text),
            Self::Array(elements) => elements.iter().for_each(|element| element.each_string(look)),
            Self::Object(members) => {
                for (name, value) in members {
                    look(name);
                    value.each_string(look);
                }
            }
            _ => {}
        }
    }
}

/// How deep the containers of a document nest that is known to be JSON.
pub(crate) fn depth_of_json(document: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in document {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    deepest
}
