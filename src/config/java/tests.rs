//! The table agrees with Java, with our defaults, and with itself.

use std::collections::BTreeSet;

use toml::{Table, Value as Toml};

use super::*;

#[test]
fn the_table_has_every_key_of_java_once() {
    let count = |group| KEYS.iter().filter(|key| key.group == group).count();
    let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();

    assert_eq!((count(Group::Namesrv), count(Group::Server), count(Group::Client)), (22, 18, 20));
    // The two write buffer marks are fields of both server and client.
    assert_eq!(names.len(), KEYS.len() - 2);
}

#[test]
fn our_defaults_are_javas() {
    for key in KEYS {
        let (Some(ours), Some(javas)) = (key.get(&mut Config::default()), key.default) else { continue };

        assert_eq!(ours, javas, "{}", key.name);
    }
}

#[test]
fn every_key_of_ours_exists_and_is_the_one_that_is_set() {
    for key in KEYS.iter().filter(|key| key.slot.is_some()) {
        let ours = key.ours.unwrap();
        let other = match (key.kind, key.name) {
            (Kind::Bool, _) => Value::Bool(key.get(&mut Config::default()).unwrap() != "true"),
            (Kind::Int | Kind::Long, _) => Value::Integer(4321),
            (Kind::Text, "bindAddress") => Value::Text("10.1.1.1".to_owned()),
            (Kind::Text, "rocketmq.serialize.type") => Value::Text("ROCKETMQ".to_owned()),
            (Kind::Text, "tls.server.mode") => Value::Text("enforcing".to_owned()),
            (Kind::Text, "tls.server.need.client.auth") => Value::Text("require".to_owned()),
            (Kind::Text, _) => Value::Text("other:1".to_owned()),
        };
        let mut config = Config::default();

        assert!(key.set(&mut config, &other).unwrap());

        let shown = if key.secret { "***".to_owned() } else { other.into_text() };
        assert_eq!(key.get(&mut config).unwrap(), shown, "{}", key.name);
        assert_eq!(changed(&config), [ours], "{}", key.name);
    }
}

/// The keys of ours that differ from the defaults.
fn changed(config: &Config) -> Vec<String> {
    fn compare(path: &str, (ours, default): (&Toml, &Toml), keys: &mut Vec<String>) {
        match (ours, default) {
            (Toml::Table(ours), Toml::Table(default)) => {
                for (name, default) in default {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    compare(&path, (&ours[name], default), keys);
                }
            }
            (ours, default) if ours != default => keys.push(path.to_owned()),
            _ => {}
        }
    }
    let [config, default] = [config, &Config::default()].map(|config| Toml::Table(Table::try_from(config).unwrap()));
    let mut keys = Vec::new();
    compare("", (&config, &default), &mut keys);
    keys
}

#[test]
fn what_has_an_effect_has_a_key_of_ours() {
    for key in KEYS {
        assert_eq!(matches!(key.effect, Effect::Nothing(_)), key.slot.is_none(), "{}", key.name);
    }
}

#[test]
fn nothing_that_changes_while_running_is_text() {
    // No path, no address, no list of servers: what a stranger sets must not lead anywhere.
    for key in KEYS.iter().filter(|key| key.effect == Effect::Live) {
        assert!(key.kind != Kind::Text && key.name != "listenPort", "{}", key.name);
    }
}

#[test]
fn texts_are_read_as_java_reads_them() {
    let parse = |name, text: &str| JavaKey::find(name).unwrap().parse(text);

    assert_eq!(parse("clusterTest", "TrUe"), Ok(Value::Bool(true)));
    assert_eq!(parse("clusterTest", "true "), Ok(Value::Bool(false)));
    assert_eq!(parse("clusterTest", "1"), Ok(Value::Bool(false)));
    assert_eq!(parse("waitSecondsForService", "+47"), Ok(Value::Integer(47)));
    assert_eq!(parse("productEnvName", " a b\t\u{a0}"), Ok(Value::Text("a b\t\u{a0}".to_owned())));
    for text in ["47 ", " 47", "", "4_7", "0x2f", "47.0", "2147483648"] {
        assert_eq!(parse("waitSecondsForService", text), Err(ValueError::Unreadable("a 32-bit number")), "{text}");
    }
    assert!(parse("scanNotActiveBrokerInterval", "86400001").is_err());
    assert!(parse("channelNotActiveInterval", "9223372036854775807").is_ok());
}

#[test]
fn secrets_are_known_by_the_table_or_by_their_name() {
    for name in ["tls.server.keyPassword", "socksProxyConfig", "myPassWord", "acl.accessKey", "aToken"] {
        assert!(is_secret(name), "{name}");
    }
    assert!(KEYS.iter().filter(|key| key.is_always_shown()).all(|key| !is_secret(key.name)));
}
