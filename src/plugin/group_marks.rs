//! Marks of broker groups: comparisons that a policy's manifest asks for, and that the host makes for every group, so
//! that no text has to enter the sandbox.

use serde::Deserialize;

use crate::remoting::Command;
use crate::route::Group;

/// One comparison. A group without the text that is compared does not have the mark; nor has any group when the request
/// lacks the field.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GroupMark {
    /// Which text of the group.
    of: GroupText,
    /// The text that it must be.
    equals: Option<String>,
    /// Or the field of the request whose value it must be.
    equals_field: Option<String>,
    /// Whether case counts.
    #[serde(default)]
    ignore_case: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum GroupText {
    BrokerName,
    Cluster,
    ZoneName,
}

/// The marks of a policy, with the texts of one request.
pub(crate) struct Asked<'a>(&'a [GroupMark], &'a Command);

impl<'a> Asked<'a> {
    pub(crate) fn new(marks: &'a [GroupMark], request: &'a Command) -> Self {
        Self(marks, request)
    }

    /// Bit N is whether mark N holds for the group.
    pub(crate) fn of(&self, group: &Group) -> u32 {
        let bit = |(bit, mark): (u32, &GroupMark)| u32::from(mark.holds(group, self.1)) << bit;
        (0..).zip(self.0).map(bit).fold(0, |marks, bit| marks | bit)
    }
}

impl GroupMark {
    /// Whether it says what to compare with, and once.
    pub(crate) fn is_complete(&self) -> bool {
        self.equals.is_some() != self.equals_field.is_some()
    }

    fn holds(&self, group: &Group, request: &Command) -> bool {
        let text = match self.of {
            GroupText::BrokerName => Some(&*group.broker_name),
            GroupText::Cluster => Some(&*group.cluster),
            GroupText::ZoneName => group.zone_name.as_deref(),
        };
        let wanted = match &self.equals_field {
            Some(name) => request.field(name).map(|value| &**value),
            None => self.equals.as_deref(),
        };
        match (text, wanted) {
            (Some(text), Some(wanted)) => text == wanted || (self.ignore_case && equals_ignore_case(text, wanted)),
            _ => false,
        }
    }
}

// Java: `String.equalsIgnoreCase`. The SDK has it for plugins as well (`java::equals_ignore_case`): what is on either
// side of the sandbox shares the contract and no code.
fn equals_ignore_case(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars().map(fold).eq(right.chars().map(fold))
}

/// Upper case, then lower case, character by character: Java compares both, because neither alone unites every pair.
fn fold(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    let upper = match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        // `ß` becomes two letters; Java maps a character to a character, so it stays itself.
        _ => letter,
    };
    upper.to_lowercase().next().unwrap_or(upper)
}

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "the SDK's, to compare with")]
#[path = "../../plugins/sdk/src/java.rs"]
mod java;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::{Fields, RequestCode};

    fn group(zone_name: Option<&str>) -> Group {
        Group {
            broker_name: "a".into(),
            cluster: "c".into(),
            zone_name: zone_name.map(Into::into),
            enable_acting_master: false,
            addresses: Vec::new(),
            version: 1,
        }
    }

    fn marks(text: &str) -> Vec<GroupMark> {
        #[derive(Deserialize)]
        struct Text {
            marks: Vec<GroupMark>,
        }
        toml::from_str::<Text>(text).unwrap().marks
    }

    #[test]
    fn a_group_is_marked_where_its_text_is_the_one_that_is_wanted() {
        let marks = marks(
            r#"marks = [
                { of = "zone-name", equals-field = "zone", ignore-case = true },
                { of = "zone-name", equals-field = "zone" },
                { of = "broker-name", equals = "a" },
                { of = "cluster", equals = "C" },
                { of = "cluster", equals-field = "absent" },
            ]"#,
        );
        let fields = Fields::from_iter([("zone", "zÜrich")]);
        let request = Command { fields: Some(fields), ..Command::request(RequestCode(7), 1) };
        let asked = Asked::new(&marks, &request);

        assert_eq!(asked.of(&group(Some("Zürich"))), 0b0_0101);
        assert_eq!(asked.of(&group(Some("zÜrich"))), 0b0_0111);
        assert_eq!(asked.of(&group(Some("elsewhere"))), 0b0_0100);
        assert_eq!(asked.of(&group(None)), 0b0_0100, "no zone is not the zone of a client without one");
    }

    #[test]
    fn letters_compare_without_case_one_by_one() {
        assert!(equals_ignore_case("Zone-1", "zONE-1"));
        assert!(equals_ignore_case("İ", "i"));
        assert!(!equals_ignore_case("straße", "STRASSE"));
        assert!(!equals_ignore_case("zone", "zone-é"));
    }

    #[test]
    fn a_plugin_compares_letters_as_the_host_does() {
        for letter in '\0'..=char::MAX {
            for other in letter.to_uppercase().chain(letter.to_lowercase()).chain(['i']) {
                let (letter, other) = (letter.to_string(), other.to_string());
                let answers = [equals_ignore_case, java::equals_ignore_case].map(|compare| compare(&letter, &other));
                assert_eq!(answers[0], answers[1], "{letter:?} {other:?}");
            }
        }
    }
}
