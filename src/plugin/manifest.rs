//! What a plugin says about itself: the TOML text that `describe` returns.
//!
//! Unknown keys are refused rather than ignored: a misspelt `access` must not turn an operator's code into everybody's.

use serde::Deserialize;

use super::custom::{self, MetricEntry};
use super::group_marks::GroupMark;
use crate::config::Grant;
use crate::notify::Form;

/// A manifest longer than this is refused before it is parsed.
const TEXT_MAX: usize = 64 * 1024;
/// More request codes than this in one plugin is a mistake.
const CODES_MAX: usize = 256;
/// More header fields than this in one notice, too.
const NOTICE_FIELDS_MAX: usize = 64;
/// Each mark is a bit of a number.
const MARKS_MAX: usize = 32;
/// Names appear in logs and in the configuration.
const NAME_MAX: usize = 64;
/// So do descriptions.
const TEXT_LINE_MAX: usize = 256;

/// The manifest of one plugin.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Manifest {
    /// Lower-case letters, digits and dashes.
    pub(crate) name: String,
    /// The plugin's own version.
    pub(crate) version: String,
    /// What it is; must agree with what the component exports.
    pub(crate) kind: Kind,
    /// One sentence for lists of plugins.
    #[serde(default)]
    pub(crate) description: String,
    /// What it wants to be allowed. Granted to embedded plugins; for others the operator decides.
    #[serde(default)]
    pub(crate) grants: Vec<Grant>,
    /// Wants to answer codes that another plugin answers. Heeded only for embedded plugins; for others the operator
    /// decides.
    #[serde(default, rename = "override")]
    pub(crate) overrides: bool,
    /// The boolean setting that must be on at start for the plugin to be used at all.
    pub(crate) enabled_when: Option<String>,
    /// The request codes it answers (processors).
    #[serde(default)]
    pub(crate) codes: Vec<CodeEntry>,
    /// What the server tells brokers of changes in the tables that processors write.
    #[serde(default, rename = "notice")]
    pub(crate) notices: Vec<Form>,
    /// What it counts for itself.
    #[serde(default)]
    pub(crate) metrics: Vec<MetricEntry>,
    /// When it has a say, and what it is told of each group (policies).
    #[serde(default)]
    pub(crate) policy: PolicyEntry,
}

/// The role of a plugin, one per world of the contract.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Answers request codes.
    Processor,
    /// Takes part in the policy chain.
    Policy,
}

/// One request code that a processor answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CodeEntry {
    /// The number on the wire.
    pub(crate) code: i32,
    /// Its name, for logs and lists. Java: `RequestCode`.
    pub(crate) name: String,
    /// Who may ask.
    #[serde(default)]
    pub(crate) access: Access,
    /// Where it runs.
    #[serde(default)]
    pub(crate) run: Run,
    /// The promise that a reply depends only on the request and on what was read through the host in the call.
    #[serde(default)]
    pub(crate) pure: bool,
    /// What the host looks at before the first look of a processor that glances; none means no glance.
    pub(crate) glance: Option<GlanceEntry>,
}

/// What a glance is told. See `wit/glance.wit`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GlanceEntry {
    /// The field that names the topic whose route is looked up.
    pub(crate) route_by_field: String,
    /// Conditions whose outcomes are bits, the first the lowest.
    #[serde(default)]
    pub(crate) marks: Vec<Condition>,
}

/// Who may ask for a code.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// Everybody.
    #[default]
    Client,
    /// Peers in `admin.admin-from`.
    Admin,
}

/// Where a code runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Run {
    /// On the connection's worker: short reads. Writes are denied there.
    Worker,
    /// In the write lane, in the order of the connection: writes, and answers that take long to make.
    #[default]
    Lane,
}

/// What a policy says of itself.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PolicyEntry {
    /// A boolean setting that must be on.
    pub(crate) when_setting: Option<String>,
    /// A request field that must be present, and equal where a value is given.
    pub(crate) when_field: Option<FieldCondition>,
    /// The promise that what it shows depends only on the request, the route, and what it read through the host.
    #[serde(default)]
    pub(crate) pure: bool,
    /// What is compared for each group; the outcomes are bits, the first the lowest.
    #[serde(default)]
    pub(crate) marks: Vec<GroupMark>,
}

/// When something holds. All given parts must; the host checks them without entering the sandbox.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Condition {
    /// A boolean setting that must be on.
    pub(crate) when_setting: Option<String>,
    /// A request field that must be present, and equal where a value is given.
    pub(crate) when_field: Option<FieldCondition>,
}

/// A condition on a request field.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct FieldCondition {
    /// The field's name.
    pub(crate) name: String,
    /// The value it must have, ASCII case aside.
    pub(crate) equals_ignore_case: Option<String>,
}

impl PolicyEntry {
    /// When the policy has a say; nothing means always.
    pub(crate) fn condition(&self) -> Condition {
        Condition { when_setting: self.when_setting.clone(), when_field: self.when_field.clone() }
    }
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ManifestError {
    /// The text exceeds the limit.
    #[error("the manifest has {0} bytes, at most {TEXT_MAX} are allowed")]
    TooLong(usize),
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("the manifest is not valid: {0}")]
    Syntax(#[from] toml::de::Error),
    /// The parts do not fit together.
    #[error("the manifest is not valid: {0}")]
    Invalid(String),
}

impl Manifest {
    /// Parses and checks what `describe` returned.
    ///
    /// # Errors
    /// When the text is too long, is not TOML, has unknown keys, or contradicts itself.
    pub(crate) fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > TEXT_MAX {
            return Err(ManifestError::TooLong(text.len()));
        }
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let invalid = |text: String| Err(ManifestError::Invalid(text));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(plain) {
            return invalid(format!(
                "`name` must be 1 to {NAME_MAX} lower-case letters, digits and dashes, not {:?}",
                self.name.chars().take(NAME_MAX).collect::<String>()
            ));
        }
        if self.version.is_empty() || self.version.len() > NAME_MAX {
            return invalid("`version` must not be empty or long".to_owned());
        }
        // These reach logs and remarks.
        let codes = self.codes.iter().map(|entry| &entry.name);
        let notices = self.notices.iter().map(|form| &form.name);
        let helps = self.metrics.iter().map(|metric| &metric.help);
        for text in [&self.version, &self.description].into_iter().chain(codes).chain(notices).chain(helps) {
            if text.len() > TEXT_LINE_MAX || text.chars().any(char::is_control) {
                let shown: String = text.chars().take(NAME_MAX).collect();
                return invalid(format!("{shown:?}: texts are single lines of at most {TEXT_LINE_MAX} bytes"));
            }
        }
        match self.kind {
            Kind::Processor if self.codes.is_empty() => return invalid("a processor needs `[[codes]]`".to_owned()),
            Kind::Processor if self.policy != PolicyEntry::default() => {
                return invalid("`[policy]` is for policies".to_owned());
            }
            Kind::Policy if !self.codes.is_empty() => return invalid("`[[codes]]` is for processors".to_owned()),
            Kind::Policy if !self.notices.is_empty() => return invalid("`[[notice]]` is for processors".to_owned()),
            _ => {}
        }
        if self.codes.len() > CODES_MAX {
            return invalid(format!("{} request codes, at most {CODES_MAX} are allowed", self.codes.len()));
        }
        for (i, entry) in self.codes.iter().enumerate() {
            if self.codes[..i].iter().any(|earlier| earlier.code == entry.code) {
                return invalid(format!("request code {} appears twice", entry.code));
            }
        }
        let fault = self.check_marks().or_else(|| self.check_notices()).or_else(|| custom::fault(&self.metrics));
        fault.map_or(Ok(()), invalid)
    }

    /// What is wrong with the marks.
    fn check_marks(&self) -> Option<String> {
        let glances = self.codes.iter().filter_map(|entry| entry.glance.as_ref());
        let counts = glances.clone().map(|glance| glance.marks.len()).chain([self.policy.marks.len()]);
        if let Some(count) = counts.max().filter(|count| *count > MARKS_MAX) {
            return Some(format!("{count} marks, at most {MARKS_MAX} are allowed"));
        }
        if glances.flat_map(|glance| &glance.marks).any(|mark| *mark == Condition::default()) {
            return Some("a mark of a glance needs `when-setting` or `when-field`".to_owned());
        }
        if !self.policy.marks.iter().all(GroupMark::is_complete) {
            return Some("a mark of a policy needs either `equals` or `equals-field`".to_owned());
        }
        None
    }

    /// What is wrong with the notices.
    fn check_notices(&self) -> Option<String> {
        for (i, form) in self.notices.iter().enumerate() {
            if self.notices[..i].iter().any(|earlier| earlier.event == form.event) {
                return Some(format!("the event of the notice {} has one already", form.name));
            }
            if form.fields.len() > NOTICE_FIELDS_MAX {
                return Some(format!("the notice {} has more than {NOTICE_FIELDS_MAX} fields", form.name));
            }
            for (i, (name, _)) in form.fields.iter().enumerate() {
                let twice = form.fields[..i].iter().any(|(earlier, _)| earlier == name);
                if twice || name.is_empty() || name.len() > NAME_MAX {
                    return Some(format!(
                        "the fields of the notice {} have names of 1 to {NAME_MAX} bytes, none of them twice",
                        form.name
                    ));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Fact;

    const LOOKUP: &str = r#"
        name = "lookup"
        version = "0.1.0"
        kind = "processor"
        [[codes]]
        code = 7
        name = "SEVEN"
        access = "admin"
        run = "worker"
    "#;

    #[test]
    fn a_manifest_names_codes_and_who_may_ask() {
        let manifest = Manifest::parse(LOOKUP).unwrap();

        assert_eq!(manifest.codes[0].code, 7);
        assert_eq!(manifest.codes[0].access, Access::Admin);
        assert_eq!(manifest.codes[0].run, Run::Worker);
        assert!(!manifest.codes[0].pure);
    }

    #[test]
    fn a_misspelt_key_is_refused_rather_than_ignored() {
        let error = Manifest::parse(&LOOKUP.replace("access", "acess")).unwrap_err();

        assert!(error.to_string().contains("acess"), "{error}");
    }

    #[test]
    fn a_code_named_twice_is_refused() {
        let twice = format!("{LOOKUP}\n[[codes]]\ncode = 7\nname = \"AGAIN\"");

        assert!(Manifest::parse(&twice).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_processor_without_codes_and_a_policy_with_some_are_refused() {
        let head = "name = \"x\"\nversion = \"1\"\n";

        assert!(Manifest::parse(&format!("{head}kind = \"processor\"")).is_err());
        assert!(Manifest::parse(&LOOKUP.replace("processor", "policy")).is_err());
        assert!(Manifest::parse(&format!("{head}kind = \"policy\"")).is_ok());
    }

    #[test]
    fn marks_are_numbered_conditions_and_comparisons() {
        let glance = "[codes.glance]\nroute-by-field = \"topic\"\nmarks = [{ when-setting = \"orderMessageEnable\" }]";
        let policy = "name = \"x\"\nversion = \"1\"\nkind = \"policy\"\n[policy]\nmarks = ";
        let parse = |text: String| Manifest::parse(&text);

        let manifest = parse(format!("{LOOKUP}{glance}")).unwrap();
        assert_eq!(manifest.codes[0].glance.as_ref().unwrap().marks.len(), 1);
        assert!(parse(format!("{LOOKUP}{}", glance.replace("when-setting = \"orderMessageEnable\"", ""))).is_err());
        assert!(parse(format!("{LOOKUP}{}", glance.replace("route-by-field", "route-by-name"))).is_err());
        assert!(parse(format!("{policy}[{{ of = \"cluster\", equals = \"c\" }}]")).is_ok());
        assert!(parse(format!("{policy}[{{ of = \"cluster\" }}]")).is_err());
        assert!(parse(format!("{policy}[{}]", "{ of = \"cluster\", equals = \"c\" },".repeat(33))).is_err());
    }

    const NOTICE: &str = r#"
        [[notice]]
        event = "min-broker-id-changed"
        code = 8
        name = "EIGHT"
        when-setting = "aSetting"
        fields = [["id", "min-id"], ["gone", "departed-address"]]
    "#;

    #[test]
    fn a_notice_says_what_brokers_are_told_and_in_which_words() {
        let manifest = Manifest::parse(&format!("{LOOKUP}{NOTICE}")).unwrap();

        let [form] = &manifest.notices[..] else { panic!("{manifest:?}") };
        assert_eq!((form.code, form.when_setting.as_deref()), (8, Some("aSetting")));
        assert_eq!(
            form.fields,
            [("id".to_owned(), Fact::MinId), ("gone".to_owned(), Fact::DepartedAddress)],
            "in their order"
        );
    }

    #[test]
    fn a_notice_with_unknown_words_or_the_same_words_twice_is_refused() {
        for (right, wrong) in [
            ("min-broker-id-changed", "min-broker-changed"),
            ("departed-address", "departed"),
            ("\"gone\"", "\"id\""),
            ("\"gone\"", "\"\""),
            ("when-setting", "when"),
            ("EIGHT", "EI\\nGHT"),
        ] {
            let text = format!("{LOOKUP}{}", NOTICE.replace(right, wrong));
            assert!(Manifest::parse(&text).is_err(), "{text}");
        }
        assert!(Manifest::parse(&format!("{LOOKUP}{NOTICE}{NOTICE}")).is_err(), "one event, one notice");
        let policy = format!("name = \"x\"\nversion = \"1\"\nkind = \"policy\"{NOTICE}");
        assert!(Manifest::parse(&policy).unwrap_err().to_string().contains("for processors"));
    }

    #[test]
    fn a_name_that_would_confuse_a_log_is_refused() {
        assert!(Manifest::parse(&LOOKUP.replace("lookup", "look\\nup")).is_err());
    }
}
