//! Who sees a new broker: what the operator wrote, and where a client stands. Pure: works without a host.

use std::net::IpAddr;

use fingerpost_sdk::entries::words;
use fingerpost_sdk::network::{Network, NetworkError};

/// A hundredth of a percent is the smallest share.
const WHOLE: u64 = 10_000;

/// Who sees one broker.
#[derive(Debug, PartialEq)]
pub(crate) struct Share {
    /// Of [`WHOLE`].
    of_clients: u64,
    /// Whoever is in one of these sees it whatever the share.
    always: Vec<Network>,
    /// Whether the others see it as well, but do not send to it.
    pub(crate) is_of_writes: bool,
}

impl Share {
    /// Nobody at all.
    pub(crate) const NONE: Self = Self { of_clients: 0, always: Vec::new(), is_of_writes: false };

    /// Reads what is written for a broker; the error says which word is wrong, and what it should be.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut share = Self::NONE;
        let mut shares = 0;
        for word in words(text) {
            let refused = |why: &str| ["`", word, "` ", why].concat();
            if word == "writes" {
                share.is_of_writes = true;
            } else if let Some(number) = word.strip_suffix('%') {
                share.of_clients = percent(number)
                    .ok_or_else(|| refused("is no share; one is from `0%` to `100%`, with up to two decimals"))?;
                shares += 1;
            } else {
                share.always.push(network(word).map_err(refused)?);
            }
        }
        match shares {
            1 => Ok(share),
            _ => Err("it takes one share, as `10%`".to_owned()),
        }
    }

    /// Whether this client is one of those.
    pub(crate) fn has(&self, client: IpAddr) -> bool {
        place(client) < self.of_clients || self.always.iter().any(|network| network.covers(client))
    }
}

fn network(word: &str) -> Result<Network, &'static str> {
    word.parse().map_err(|error| match error {
        NetworkError::Malformed => {
            "is neither a share, as `10%`, nor a network, as `10.0.0.0/8` or `fd00::/8`, nor `writes`"
        }
        error => error.as_str(),
    })
}

/// In hundredths of a percent.
fn percent(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() > 3 || part.len() > 2 {
        return None;
    }
    let scale = if part.len() == 1 { 10 } else { 1 };
    let share = whole.parse::<u64>().ok()? * 100 + part.parse::<u64>().ok()? * scale;
    (share <= WHOLE).then_some(share)
}

/// Where a client stands among all of them, below [`WHOLE`]: always at the same place, for every broker and on every
/// name server. So a larger share only adds clients, and those of a new broker are those of the next.
fn place(client: IpAddr) -> u64 {
    // FNV-1a, and then the last step of MurmurHash3: neighbours must not stand together.
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let begin = 0xcbf2_9ce4_8422_2325;
    let mut hash = match client {
        IpAddr::V4(client) => client.octets().iter().fold(begin, add),
        IpAddr::V6(client) => client.octets().iter().fold(begin, add),
    };
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)) % WHOLE
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn share(text: &str) -> Share {
        Share::parse(text).unwrap_or_else(|why| panic!("{text:?}: {why}"))
    }

    /// How many of 65,536 neighbours see it.
    fn seen_by(text: &str) -> usize {
        let share = share(text);
        (0..=u16::MAX).filter(|low| share.has(Ipv4Addr::from_bits(0x0a01_0000 | u32::from(*low)).into())).count()
    }

    #[test]
    fn a_share_is_that_part_of_the_clients_also_of_one_network() {
        assert_eq!(seen_by("0%"), 0);
        assert_eq!(seen_by("100%"), 65_536);
        for (text, expected) in [("1%", 655), ("10%", 6_554), ("50%", 32_768), ("99.5%", 65_208)] {
            let seen = seen_by(text);
            // Four standard deviations of the widest.
            assert!(seen.abs_diff(expected) < 512, "{text}: {seen}, not about {expected}");
        }
    }

    #[test]
    fn who_sees_it_at_a_small_share_does_at_a_larger_one() {
        let shares = ["0.01%", "1%", "12.5%", "50%", "99.99%", "100%"].map(share);
        for low in 0..=u16::MAX {
            let client = Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(low)).into();
            let seen = shares.each_ref().map(|share| share.has(client));
            assert!(seen.is_sorted(), "{client}: {seen:?}");
        }
    }

    #[test]
    fn a_client_stands_where_it_stood_in_every_version() {
        let places = ["10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00::1"].map(|client| place(client.parse().unwrap()));

        assert_eq!(places, [6_473, 5_938, 874, 7_222]);
    }

    #[test]
    fn some_networks_see_it_whatever_the_share() {
        let share = share("0% 10.9.0.0/16, fd00:9::/32 192.0.2.7 ::ffff:10.7.0.0/112");

        for client in ["10.9.1.1", "fd00:9::1", "192.0.2.7", "10.7.1.1"] {
            assert!(share.has(client.parse().unwrap()), "{client}");
        }
        for client in ["10.8.1.1", "fd00:8::1", "192.0.2.8"] {
            assert!(!share.has(client.parse().unwrap()), "{client}");
        }
    }

    #[test]
    fn shares_have_two_decimals_at_most() {
        let parsed = ["0", "100", "100.00", "12.5", "12.05", "0.01"].map(percent);

        assert_eq!(parsed, [0, 10_000, 10_000, 1_250, 1_205, 1].map(Some));
        for number in ["", ".", "5.", ".5", "100.01", "101", "-1", "+1", "1e1", "0.001", "9999999999999999999999"] {
            assert_eq!(percent(number), None, "{number:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_word_and_with_what_it_should_be() {
        for (text, word, hint) in [
            ("140%", "`140%`", "from `0%` to `100%`"),
            ("10% 10.0.0.0/33", "`10.0.0.0/33`", "`10.0.0.0/8`"),
            ("10% write", "`write`", "nor `writes`"),
            ("10% ::ffff:10.0.0.0/64", "`::ffff:10.0.0.0/64`", "write IPv4 networks as `10.0.0.0/8`"),
            ("10", "`10`", "as `10%`"),
            ("", "one share", "as `10%`"),
            ("10% 20%", "one share", "as `10%`"),
            ("10.0.0.0/8", "one share", "as `10%`"),
        ] {
            let why = Share::parse(text).unwrap_err();
            assert!(why.contains(word) && why.contains(hint), "{text:?}: {why}");
        }
    }
}
