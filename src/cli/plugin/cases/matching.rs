//! Whether something is as it was expected, as far as the expectation goes; and if not, where it differs.
//!
//! Of a table, what is expected counts and the rest does not. A list has to have as many elements, each as expected.
//! `false` stands for what must not be there (or is false itself). A text in the place of a table is its `name`.

use std::fmt;

use serde_json::{Map, Value};

use crate::json::{JsonError, Kind, Reader};

/// Something that is not as expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Difference {
    /// `body.brokerDatas[0].brokerName`
    pub(crate) place: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Difference {
    pub(crate) fn new(place: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { place: place.to_owned(), expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, expected, found } = self;
        if expected.contains('\n') || found.contains('\n') {
            return write!(f, "{place}:\n{}", lines(expected, found));
        }
        write!(f, "{place}:\n    expected  {expected}\n    found     {found}")
    }
}

/// Both texts by line; what they have in common at both ends stands once.
fn lines(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let head = expected.iter().zip(&found).take_while(same).count();
    let most = expected.len().min(found.len()) - head;
    let tail = expected.iter().rev().zip(found.iter().rev()).take_while(same).count().min(most);
    let mut text = Vec::new();
    let mut add = |sign: &str, lines: &[&str]| text.extend(lines.iter().map(|line| format!("    {sign} {line}")));
    add(" ", &expected[..head]);
    add("-", &expected[head..expected.len() - tail]);
    add("+", &found[head..found.len() - tail]);
    add(" ", &expected[expected.len() - tail..]);
    text.join("\n")
}

/// What differs. Without `found`, there is nothing at that place.
pub(crate) fn differences(place: &str, expected: &Value, found: Option<&Value>) -> Vec<Difference> {
    let Some(found) = found else {
        return match expected {
            Value::Bool(false) => Vec::new(),
            other => vec![Difference::new(place, shown(other), "nothing")],
        };
    };
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let of = |(name, expected): (&String, &Value)| {
                differences(&format!("{place}.{name}"), expected, found.get(name))
            };
            expected.iter().flat_map(of).collect()
        }
        (Value::Array(wanted), Value::Array(there)) => {
            if wanted.len() != there.len() {
                let count = |list: &[Value]| format!("{} elements: {}", list.len(), shown_list(list));
                return vec![Difference::new(place, count(wanted), count(there))];
            }
            let of = |(at, (wanted, there)): (usize, (&Value, &Value))| {
                differences(&format!("{place}[{at}]"), wanted, Some(there))
            };
            wanted.iter().zip(there).enumerate().flat_map(of).collect()
        }
        (Value::String(name), Value::Object(found)) if found.contains_key("name") => {
            differences(&format!("{place}.name"), &Value::String(name.clone()), found.get("name"))
        }
        (Value::Bool(false), found) if *found != Value::Bool(false) => {
            vec![Difference::new(place, "nothing", shown(found))]
        }
        // What is text on the wire may be expected as what it stands for.
        (Value::Number(number), Value::String(text)) if number.to_string() == *text => Vec::new(),
        (Value::Bool(true), Value::String(text)) if text == "true" => Vec::new(),
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => Vec::new(),
        (expected, found) if expected == found => Vec::new(),
        (expected, found) => vec![Difference::new(place, shown(expected), shown(found))],
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\n') => text.clone(),
        other => other.to_string(),
    }
}

fn shown_list(list: &[Value]) -> String {
    Value::Array(list.to_vec()).to_string()
}

/// An expectation as it is written in TOML.
pub(crate) fn of_toml(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(is_so) => Value::Bool(*is_so),
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(list) => Value::Array(list.iter().map(of_toml).collect()),
        toml::Value::Table(table) => of_table(table),
    }
}

pub(crate) fn of_table(table: &toml::Table) -> Value {
    Value::Object(table.iter().map(|(name, value)| (name.clone(), of_toml(value))).collect())
}

/// A body as RocketMQ writes JSON, which is not quite the standard's: `{0:"…"}`.
pub(crate) fn of_json(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader::new(bytes).with_bare_integer_keys();
    let value = read(&mut reader, bytes)?;
    reader.finish()?;
    Ok(value)
}

fn read(reader: &mut Reader<'_>, bytes: &[u8]) -> Result<Value, JsonError> {
    Ok(match reader.peek()? {
        Kind::Object => {
            let mut members = Map::new();
            reader.begin_object()?;
            while let Some(name) = reader.next_key()? {
                let name = name.into_owned();
                members.insert(name, read(reader, bytes)?);
            }
            Value::Object(members)
        }
        Kind::Array => {
            let mut elements = Vec::new();
            reader.begin_array()?;
            while reader.next_element()? {
                elements.push(read(reader, bytes)?);
            }
            Value::Array(elements)
        }
        Kind::String => Value::String(reader.string()?.into_owned()),
        Kind::Bool => Value::Bool(reader.boolean()? == Some(true)),
        Kind::Null => {
            reader.skip()?;
            Value::Null
        }
        Kind::Number => {
            let start = reader.offset();
            reader.skip()?;
            let text = String::from_utf8_lossy(&bytes[start..reader.offset()]);
            serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()))
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(expected: Value, found: Value) -> Vec<String> {
        differences("it", &expected, Some(&found)).into_iter().map(|difference| difference.place).collect()
    }

    #[test]
    fn what_nobody_expects_does_not_count() {
        assert!(places(json!({"a": 1}), json!({"a": 1, "b": 2})).is_empty());
        assert!(places(json!({"a": false}), json!({"b": 2})).is_empty());
        assert!(places(json!([{"a": 1}, "x"]), json!([{"a": 1, "b": 2}, {"name": "x", "id": 3}])).is_empty());
        assert!(places(json!({"n": 3, "t": true}), json!({"n": "3", "t": "true"})).is_empty());
    }

    #[test]
    fn each_difference_is_told_with_its_place() {
        assert_eq!(places(json!({"a": {"b": [1, 2]}}), json!({"a": {"b": [1, 3]}})), ["it.a.b[1]"]);
        assert_eq!(places(json!({"a": 1, "b": 2}), json!({"a": 2})), ["it.a", "it.b"]);
        assert_eq!(places(json!([1]), json!([1, 2])), ["it"]);
        assert_eq!(places(json!({"a": false}), json!({"a": "x"})), ["it.a"]);
        assert_eq!(places(json!(["x"]), json!([{"name": "y"}])), ["it[0].name"]);
    }

    #[test]
    fn long_texts_are_shown_by_line() {
        let told = Difference::new("body", "a\nb\nc", "a\nx\nc").to_string();

        assert_eq!(told, "body:\n      a\n    - b\n    + x\n      c");
    }

    #[test]
    fn bodies_are_read_as_java_writes_them() {
        assert_eq!(of_json(br#"{"a":{0:"x",1:[1.5,null]}}"#).unwrap(), json!({"a": {"0": "x", "1": [1.5, null]}}));
        assert!(of_json(b"{} x").is_err());
        assert!(of_json(b"hello").is_err());
    }
}
