//! The named strings of a header. Java: `RemotingCommand.extFields`.

use bytestring::ByteString;

/// Names and their values, in the order in which they came; no name twice.
///
/// There are a dozen at most in what real programs send, so they are searched one after the other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields(Vec<(ByteString, ByteString)>);

impl Fields {
    /// No fields yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of the field of that name.
    pub fn get(&self, name: &str) -> Option<&ByteString> {
        self.0.iter().find(|(known, _)| known.as_bytes() == name.as_bytes()).map(|(_, value)| value)
    }

    /// Gives the field a value; one that it had is replaced where it stands.
    pub fn insert(&mut self, name: impl Into<ByteString>, value: impl Into<ByteString>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known_value)) => *known_value = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes the field out.
    pub fn remove(&mut self, name: &str) -> Option<ByteString> {
        let index = self.0.iter().position(|(known, _)| known.as_bytes() == name.as_bytes())?;
        Some(self.0.remove(index).1)
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ByteString, &ByteString)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<Name: Into<ByteString>, Text: Into<ByteString>> FromIterator<(Name, Text)> for Fields {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Text)>>(pairs: Pairs) -> Self {
        let mut fields = Self::new();
        for (name, value) in pairs {
            fields.insert(name, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts_where_the_first_stood() {
        let mut fields = Fields::from_iter([("a", "1"), ("b", "2"), ("a", "3")]);

        assert_eq!(fields.iter().map(|(name, value)| format!("{name}{value}")).collect::<Vec<_>>(), ["a3", "b2"]);
        assert_eq!(fields.get("a").unwrap(), "3");
        assert_eq!(fields.remove("a").unwrap(), "3");
        assert_eq!(fields.get("a"), None);
        assert_eq!((fields.len(), fields.is_empty()), (1, false));
    }
}
