//! The numbers in a header. All of them are open: one that has no name here survives unchanged.

use std::fmt;

/// The version that this server says it is, as Java counts them. Java: `MQVersion.Version.V5_5_0`.
pub const VERSION: i32 = 513;

/// The newest version that does not understand [`ResponseCode::GO_AWAY`]. Java: `MQVersion.Version.V5_3_1`.
pub const VERSION_BEFORE_GO_AWAY: i32 = 475;

/// What a request asks for. The plugins know the numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestCode(pub i32);

impl fmt::Display for RequestCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How a request went.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ResponseCode(pub i32);

impl ResponseCode {
    /// It was done.
    pub const SUCCESS: Self = Self(0);
    /// It failed, for the reason in the remark.
    pub const SYSTEM_ERROR: Self = Self(1);
    /// Too much is waiting already; ask again later, or elsewhere.
    pub const SYSTEM_BUSY: Self = Self(2);
    /// Nobody here answers this request code.
    pub const REQUEST_CODE_NOT_SUPPORTED: Self = Self(3);
    /// It is not allowed.
    pub const NO_PERMISSION: Self = Self(16);
    /// There is no route for the topic.
    pub const TOPIC_NOT_EXIST: Self = Self(17);
    /// What was asked for is not there.
    pub const QUERY_NOT_FOUND: Self = Self(22);
    /// The server is about to stop; connect again.
    pub const GO_AWAY: Self = Self(1500);
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What the sender is written in; nothing depends on it. Java: `LanguageCode`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LanguageCode(pub u8);

impl LanguageCode {
    /// What this server answers with, and what a header that names no language has.
    pub const JAVA: Self = Self(0);
    /// Stands for every name that is not known.
    pub const OTHER: Self = Self(7);

    const NAMES: [&str; 14] = [
        "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST",
        "NODE_JS",
    ];

    /// The language of a name, in either case.
    pub fn from_name(name: &str) -> Self {
        let known = (0..).zip(Self::NAMES).find(|(_, known)| known.eq_ignore_ascii_case(name));
        known.map_or(Self::OTHER, |(number, _)| Self(number))
    }

    /// The name of the language; that of [`OTHER`](Self::OTHER) when the number has none.
    pub fn name(self) -> &'static str {
        Self::NAMES.get(usize::from(self.0)).copied().unwrap_or("OTHER")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_name_and_number() {
        for (number, name) in (0..).zip(LanguageCode::NAMES) {
            assert_eq!(LanguageCode::from_name(name), LanguageCode(number));
            assert_eq!(LanguageCode(number).name(), name);
        }
        assert_eq!(LanguageCode::NAMES[9], "GO");
    }

    #[test]
    fn unknown_languages_are_another() {
        assert_eq!(LanguageCode::from_name("go"), LanguageCode(9));
        assert_eq!(LanguageCode::from_name("COBOL"), LanguageCode::OTHER);
        assert_eq!(LanguageCode(14).name(), "OTHER");
        assert_eq!(LanguageCode(255).name(), "OTHER");
    }
}
