//! What the operator wrote, and what it makes of an address. Pure: works without a host.
//!
//! A rule is words between blanks or commas. One with a `=` is a rewrite, every other one a network.

use std::net::{IpAddr, Ipv6Addr};

use fingerpost_sdk::entries::words;
use fingerpost_sdk::network::{Network, NetworkError};

/// For the clients of some networks.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rule {
    networks: Vec<Network>,
    /// The first that fits counts.
    rewrites: Vec<Rewrite>,
}

#[derive(Debug, PartialEq)]
struct Rewrite {
    of: Subject,
    host: String,
    /// None keeps the port.
    port: Option<u16>,
}

/// Whose address is another one.
#[derive(Debug, PartialEq)]
enum Subject {
    /// A host and a port, as a broker registered them.
    Address(String),
    /// A host, with whatever port.
    Host(String),
    /// A member of a broker group, with whatever address.
    Member { broker_name: String, id: i64 },
}

/// A broker, as the policy sees it.
#[derive(Clone, Copy)]
pub(crate) struct Broker<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: i64,
    pub(crate) address: &'a str,
}

impl Rule {
    /// Reads a rule; the error says which word is wrong, and what it should be.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rule = Self::default();
        for word in words(text) {
            let refused = |why: &str| ["`", word, "` ", why].concat();
            match word.split_once('=') {
                None => rule.networks.push(network(word).map_err(refused)?),
                Some((of, to)) => rule.rewrites.push(Rewrite::parse(of, to).map_err(refused)?),
            }
        }
        if rule.networks.is_empty() {
            return Err("it names no network; for every client, write `0.0.0.0/0 ::/0`".to_owned());
        }
        Ok(rule)
    }

    /// Whether it is there for this client.
    pub(crate) fn covers(&self, client: IpAddr) -> bool {
        self.networks.iter().any(|network| network.covers(client))
    }

    /// The address that the broker has for clients of these networks; none when it stays.
    pub(crate) fn rewritten(&self, broker: Broker<'_>) -> Option<String> {
        let rewrite = self.rewrites.iter().find(|rewrite| rewrite.of.is(broker))?;
        let port = match rewrite.port {
            Some(port) => port.to_string(),
            None => broker.address.rsplit_once(':')?.1.to_owned(),
        };
        Some([&rewrite.host, ":", &port].concat())
    }
}

impl Rewrite {
    fn parse(of: &str, to: &str) -> Result<Self, &'static str> {
        let of = match of.rsplit_once('/') {
            Some((name, id)) => match id.parse() {
                Ok(id) if !name.is_empty() => Subject::Member { broker_name: name.to_owned(), id },
                _ => return Err("does not begin with a broker name and an id, as in `broker-a/0=198.51.100.7`"),
            },
            None => match host_and_port(of)? {
                (_, Some(_)) => Subject::Address(of.to_owned()),
                (host, None) => Subject::Host(host.to_owned()),
            },
        };
        let (host, port) = host_and_port(to)?;
        Ok(Self { of, host: host.to_owned(), port })
    }
}

impl Subject {
    fn is(&self, broker: Broker<'_>) -> bool {
        match self {
            Self::Address(address) => address.eq_ignore_ascii_case(broker.address),
            Self::Host(host) => {
                broker.address.rsplit_once(':').is_some_and(|(known, _)| host.eq_ignore_ascii_case(known))
            }
            Self::Member { broker_name, id } => broker_name == broker.name && *id == broker.id,
        }
    }
}

fn network(word: &str) -> Result<Network, &'static str> {
    word.parse().map_err(|error| match error {
        NetworkError::Malformed => {
            "is neither a network, as `10.0.0.0/8` or `fd00::/8`, nor a rewrite, as `10.1.0.5=198.51.100.7`"
        }
        error => error.as_str(),
    })
}

/// An IPv6 address keeps its brackets, as brokers register it.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|letter| letter.is_alphanumeric() || "._-".contains(letter)),
    };
    if !is_host {
        return Err("has a side that is no host; an IPv6 address stands in brackets");
    }
    match port.map(str::parse) {
        None => Ok((host, None)),
        Some(Ok(port)) if port > 0 => Ok((host, Some(port))),
        Some(_) => Err("has a port that is none of 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text).unwrap_or_else(|why| panic!("{text:?}: {why}"))
    }

    fn rewritten(text: &str, address: &str) -> Option<String> {
        rule(text).rewritten(Broker { name: "broker-a", id: 0, address })
    }

    #[test]
    fn a_rule_is_there_for_the_clients_of_its_networks_of_both_families() {
        let rule = rule("10.20.0.0/16, fd00:20::/64 192.0.2.7 ::ffff:10.22.0.0/112");

        for (client, is_covered) in [
            ("10.20.0.0", true),
            ("10.20.255.255", true),
            ("10.21.0.0", false),
            ("fd00:20::1", true),
            ("fd00:20:0:1::1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("10.22.0.1", true),
            ("10.23.0.1", false),
        ] {
            assert_eq!(rule.covers(client.parse().unwrap()), is_covered, "{client}");
        }
    }

    #[test]
    fn an_address_is_another_address() {
        assert_eq!(rewritten("::/0 10.1.0.5:10911=nat.example:30911", "10.1.0.5:10911").unwrap(), "nat.example:30911");
        assert_eq!(rewritten("::/0 10.1.0.5:10911=nat.example:30911", "10.1.0.5:10912"), None);
        assert_eq!(rewritten("::/0 Broker:1=[2001:db8::5]:2", "broker:1").unwrap(), "[2001:db8::5]:2");
    }

    #[test]
    fn a_host_is_another_host_and_the_port_stays_unless_one_is_named() {
        assert_eq!(rewritten("::/0 10.1.0.5=203.0.113.5", "10.1.0.5:10911").unwrap(), "203.0.113.5:10911");
        assert_eq!(rewritten("::/0 [fd00::5]=[2001:db8::5]", "[fd00::5]:10911").unwrap(), "[2001:db8::5]:10911");
        assert_eq!(rewritten("::/0 10.1.0.5=203.0.113.5:7", "10.1.0.5:10911").unwrap(), "203.0.113.5:7");
        assert_eq!(rewritten("::/0 10.1.0.5=203.0.113.5", "10.1.0.55:10911"), None);
    }

    #[test]
    fn a_member_of_a_group_is_found_by_name_and_id_whatever_its_address() {
        let text = "::/0 broker-a/0=node:30911 broker-a/1=node:30912 broker-b/0=other";

        let rewritten = |name, id| rule(text).rewritten(Broker { name, id, address: "10.244.3.9:10911" });

        assert_eq!(rewritten("broker-a", 0).unwrap(), "node:30911");
        assert_eq!(rewritten("broker-a", 1).unwrap(), "node:30912");
        assert_eq!(rewritten("broker-b", 0).unwrap(), "other:10911");
        assert_eq!((rewritten("broker-a", 2), rewritten("broker", 0)), (None, None));
    }

    #[test]
    fn the_first_rewrite_that_fits_counts() {
        assert_eq!(rewritten("::/0 a:1=x a=y", "a:1").unwrap(), "x:1");
        assert_eq!(rewritten("::/0 a=y a:1=x", "a:1").unwrap(), "y:1");
        assert_eq!(rewritten("::/0 a:1=x a=y", "a:2").unwrap(), "y:2");
    }

    #[test]
    fn what_is_wrong_is_said_with_the_word_and_with_what_it_should_be() {
        for (text, word, hint) in [
            ("10.0.0.0/33 a=b", "`10.0.0.0/33`", "as `10.0.0.0/8`"),
            ("10.0.0.0/8 office", "`office`", "nor a rewrite"),
            ("::ffff:10.0.0.0/64 a=b", "`::ffff:10.0.0.0/64`", "write IPv4 networks as `10.0.0.0/8`"),
            ("a=b", "names no network", "0.0.0.0/0 ::/0"),
            ("", "names no network", "0.0.0.0/0 ::/0"),
            ("::/0 a=", "`a=`", "no host"),
            ("::/0 =b", "`=b`", "no host"),
            ("::/0 a=b=c", "`a=b=c`", "no host"),
            ("::/0 fd00::5=b", "`fd00::5=b`", "brackets"),
            ("::/0 [fd00]=b", "`[fd00]=b`", "brackets"),
            ("::/0 a:0=b", "`a:0=b`", "1 to 65535"),
            ("::/0 a=b:65536", "`a=b:65536`", "1 to 65535"),
            ("::/0 broker/x=b", "`broker/x=b`", "broker-a/0="),
            ("::/0 /0=b", "`/0=b`", "broker-a/0="),
        ] {
            let why = Rule::parse(text).unwrap_err();
            assert!(why.contains(word) && why.contains(hint), "{text:?}: {why}");
        }
    }
}
