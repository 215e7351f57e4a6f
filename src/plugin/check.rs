//! Conditions of manifests, made ready to be checked for every request: settings are found by name once.

use std::fmt;

use super::manifest::{Condition, FieldCondition};
use crate::config::{Flag, Snapshot};
use crate::remoting::Command;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    setting: Option<Flag>,
    field: Option<FieldCondition>,
}

/// Up to 32 conditions whose outcomes are bits of a number.
#[derive(Clone, Debug)]
pub(crate) struct Marks(Vec<Check>);

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = self.setting.map(|flag| format!("the setting {} must be on", flag.name()));
        let field = self.field.as_ref().map(|FieldCondition { name, equals_ignore_case }| match equals_ignore_case {
            None => format!("the request must have a field {name}"),
            Some(value) => format!("the request's field {name} must be {value:?}"),
        });
        let parts: Vec<_> = setting.into_iter().chain(field).collect();
        f.write_str(&parts.join(", and "))
    }
}

impl Check {
    /// None when the condition names a setting that is no flag.
    pub(crate) fn new(condition: &Condition) -> Option<Self> {
        let setting = match &condition.when_setting {
            Some(name) => Some(Flag::named(name)?),
            None => None,
        };
        Some(Self { setting, field: condition.when_field.clone() })
    }

    /// Whether every part of the condition holds.
    pub(crate) fn holds(&self, request: &Command, settings: &Snapshot) -> bool {
        self.setting.is_none_or(|flag| settings.is_on(flag))
            && self.field.as_ref().is_none_or(|wanted| {
                let value = request.field(&wanted.name);
                value.is_some_and(|value| {
                    wanted.equals_ignore_case.as_deref().is_none_or(|wanted| value.eq_ignore_ascii_case(wanted))
                })
            })
    }
}

impl Marks {
    /// None when a condition names a setting that is no flag.
    pub(crate) fn new(conditions: &[Condition]) -> Option<Self> {
        conditions.iter().map(Check::new).collect::<Option<_>>().map(Self)
    }

    /// Bit N is whether condition N holds.
    pub(crate) fn of(&self, request: &Command, settings: &Snapshot) -> u32 {
        let bit = |(bit, check): (u32, &Check)| u32::from(check.holds(request, settings)) << bit;
        (0..).zip(&self.0).map(bit).fold(0, |marks, bit| marks | bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Loaded, Overlay, Settings};
    use crate::remoting::{Fields, RequestCode};

    fn marks(toml: &str) -> Option<Marks> {
        #[derive(serde::Deserialize)]
        struct Text {
            marks: Vec<Condition>,
        }
        Marks::new(&toml::from_str::<Text>(toml).unwrap().marks)
    }

    #[test]
    fn each_condition_is_a_bit_of_its_own() {
        let mut config = Config::default();
        config.requests.order_message_enable = true;
        let overlay = Overlay::default();
        let settings = Settings::new(&Loaded { config, overlay, extras: Default::default(), notices: Vec::new() });
        let fields = Fields::from_iter([("mode", "TRUE"), ("other", "")]);
        let request = Command { fields: Some(fields), ..Command::request(RequestCode(7), 1) };

        let marks = marks(
            r#"marks = [
                { when-setting = "needWaitForService" },
                { when-setting = "orderMessageEnable" },
                { when-field = { name = "mode", equals-ignore-case = "true" } },
                { when-field = { name = "mode", equals-ignore-case = "false" } },
                { when-field = { name = "other" } },
                { when-setting = "needWaitForService", when-field = { name = "other" } },
            ]"#,
        );

        assert_eq!(marks.unwrap().of(&request, &settings.snapshot()), 0b01_0110);
    }

    #[test]
    fn a_setting_that_is_no_flag_is_noticed_at_once() {
        assert!(marks(r#"marks = [{ when-setting = "listenPort" }]"#).is_none());
        assert!(marks(r#"marks = [{ when-setting = "no-such-thing" }]"#).is_none());
    }
}
