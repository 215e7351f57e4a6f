//! JSON as a NameServer writes it: integer keys may be bare (`{0:"a"}`), which no JSON library accepts.
//!
//! A tree keeps every scalar and key as it was written, so that two trees are equal only if the key style is.

use std::iter::Peekable;
use std::str::CharIndices;

/// One value, in the order and the words of its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Tree {
    /// A string with its quotes, a number, a boolean or `null`.
    Scalar(String),
    /// The items of a list.
    List(Vec<Tree>),
    /// The members of an object; a key has its quotes, if it had any.
    Object(Vec<(String, Tree)>),
}

/// Members whose value is a Java map without an order of its own.
const MAPS: [&str; 5] =
    ["brokerAddrTable", "clusterAddrTable", "filterServerTable", "table", "topicQueueMappingByBroker"];

/// Members whose value is a list of a Java set or map without an order of its own.
const LISTS: [&str; 3] = ["brokerDatas", "queueDatas", "topicList"];

impl Tree {
    /// Reads compact JSON with bare or quoted keys; `None` if it is not that, to the last byte.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, rest: text.char_indices().peekable() };
        let tree = reader.value()?;
        reader.rest.next().is_none().then_some(tree)
    }

    /// The value of a member, if this is an object that has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| bare(key) == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string or number.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(bare(text)),
            _ => None,
        }
    }

    /// Puts everything that Java keeps unordered into one order.
    pub(crate) fn sort_unordered(&mut self) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => items.iter_mut().for_each(Self::sort_unordered),
            Self::Object(members) => {
                for (key, value) in members {
                    value.sort_unordered();
                    let name = bare(key);
                    if MAPS.contains(&name) || LISTS.contains(&name) {
                        value.sort_here();
                    }
                    if let ("clusterAddrTable", Self::Object(clusters)) = (name, value) {
                        clusters.iter_mut().for_each(|(_, names)| names.sort_here());
                    }
                }
            }
        }
    }

    fn sort_here(&mut self) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => items.sort_by_key(ToString::to_string),
            Self::Object(members) => members.sort_by(|a, b| a.0.cmp(&b.0)),
        }
    }

    /// Puts the members of every object with bare integer keys into one order: it is a hash table's.
    pub(crate) fn sort_bare_keys(&mut self) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => items.iter_mut().for_each(Self::sort_bare_keys),
            Self::Object(members) => {
                members.iter_mut().for_each(|(_, value)| value.sort_bare_keys());
                if members.iter().any(|(key, _)| !key.starts_with('"')) {
                    members.sort_by(|a, b| a.0.cmp(&b.0));
                }
            }
        }
    }

    /// Quotes every bare key.
    pub(crate) fn quote_keys(&mut self) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => items.iter_mut().for_each(Self::quote_keys),
            Self::Object(members) => {
                for (key, value) in members {
                    if !key.starts_with('"') {
                        *key = format!("\"{key}\"");
                    }
                    value.quote_keys();
                }
            }
        }
    }

    /// Takes the quotes from every key that is an integer.
    pub(crate) fn bare_integer_keys(&mut self) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => items.iter_mut().for_each(Self::bare_integer_keys),
            Self::Object(members) => {
                for (key, value) in members {
                    if bare(key).parse::<i64>().is_ok() {
                        *key = bare(key).to_owned();
                    }
                    value.bare_integer_keys();
                }
            }
        }
    }

    /// Takes the quotes from every number that is the value of a member of this name.
    pub(crate) fn unquote(&mut self, name: &str) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => items.iter_mut().for_each(|item| item.unquote(name)),
            Self::Object(members) => {
                for (key, value) in members {
                    match value {
                        Self::Scalar(text) if bare(key) == name => *text = bare(text).to_owned(),
                        value => value.unquote(name),
                    }
                }
            }
        }
    }

    /// Removes every list item and object member of this name.
    pub(crate) fn remove(&mut self, name: &str) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => {
                items.retain(|item| item.text() != Some(name));
                items.iter_mut().for_each(|item| item.remove(name));
            }
            Self::Object(members) => {
                members.retain(|(key, _)| bare(key) != name);
                members.iter_mut().for_each(|(_, value)| value.remove(name));
            }
        }
    }

    /// Keeps what is wanted of the object that is this object's member, and that member if it is not empty then.
    pub(crate) fn retain_in(&mut self, name: &str, is_wanted: impl Fn(&str) -> bool) {
        if let Self::Object(members) = self {
            members.retain_mut(|(key, value)| match value {
                Self::Object(inner) if bare(key) == name => {
                    inner.retain(|(key, _)| is_wanted(&plain(key)));
                    !inner.is_empty()
                }
                _ => true,
            });
        }
    }

    /// Replaces the value of this object's member by a mark; whatever it was, it now compares equal.
    pub(crate) fn mask(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.iter_mut().filter(|(key, _)| bare(key) == name).for_each(|(_, value)| {
                *value = Self::Scalar("<masked>".to_owned());
            });
        }
    }
}

impl std::fmt::Display for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let comma = |at: usize| if at == 0 { "" } else { "," };
        match self {
            Self::Scalar(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", comma(at))?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (at, (key, value)) in members.iter().enumerate() {
                    write!(f, "{}{key}:{value}", comma(at))?;
                }
                f.write_str("}")
            }
        }
    }
}

fn bare(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// A key without quotes and escapes.
fn plain(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Tree> {
        match self.rest.peek()?.1 {
            '{' => {
                let mut members = Vec::new();
                self.items('}', |reader| {
                    let key = reader.scalar()?;
                    reader.rest.next_if(|&(_, c)| c == ':')?;
                    members.push((key, reader.value()?));
                    Some(())
                })?;
                Some(Tree::Object(members))
            }
            '[' => {
                let mut items = Vec::new();
                self.items(']', |reader| {
                    items.push(reader.value()?);
                    Some(())
                })?;
                Some(Tree::List(items))
            }
            _ => self.scalar().map(Tree::Scalar),
        }
    }

    fn items(&mut self, close: char, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.rest.next();
        if self.rest.next_if(|&(_, c)| c == close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            match self.rest.next()?.1 {
                ',' => {}
                c if c == close => return Some(()),
                _ => return None,
            }
        }
    }

    fn scalar(&mut self) -> Option<String> {
        let start = self.rest.peek()?.0;
        if self.rest.next_if(|&(_, c)| c == '"').is_some() {
            while let Some((_, c)) = self.rest.next() {
                match c {
                    '"' => return Some(self.text[start..self.position()].to_owned()),
                    '\\' => drop(self.rest.next()),
                    _ => {}
                }
            }
            return None;
        }
        while self.rest.next_if(|&(_, c)| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')).is_some() {}
        let word = &self.text[start..self.position()];
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |&(at, _)| at)
    }
}

#[test]
fn a_tree_prints_what_it_was_read_from() {
    for text in [r#"{"a":{0:"x",10:[1,-2.5e+3,null]},"b":"q\"\\{","c":[],"d":{}}"#, "true", r#""ü""#] {
        assert_eq!(Tree::parse(text).map(|tree| tree.to_string()).as_deref(), Some(text));
    }
    for text in ["", "{", "{0:1", "[1,]", r#"{"a":1}x"#, r#""open"#] {
        assert_eq!(Tree::parse(text), None, "{text}");
    }
}

#[test]
fn trees_differ_by_key_style_but_not_by_the_order_of_unordered_collections() {
    let sorted = |text: &str| {
        let mut tree = Tree::parse(text).unwrap();
        tree.sort_unordered();
        tree
    };

    assert_ne!(sorted(r#"{"brokerAddrs":{0:"a"}}"#), sorted(r#"{"brokerAddrs":{"0":"a"}}"#));
    assert_ne!(sorted(r#"{"b":1,"a":2}"#), sorted(r#"{"a":2,"b":1}"#));
    assert_eq!(sorted(r#"{"topicList":["b","a"]}"#), sorted(r#"{"topicList":["a","b"]}"#));
    assert_eq!(
        sorted(r#"{"clusterAddrTable":{"d":["b","a"],"c":[]}}"#),
        sorted(r#"{"clusterAddrTable":{"c":[],"d":["a","b"]}}"#)
    );
}
