//! `canary` is a policy: a new broker is shown to a share of the clients, which grows until it is one like the others.
//!
//! Which brokers are new stands in the KV store, because that changes while the server runs, on every name server at
//! once.

mod share;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};

use fingerpost_sdk::{Policy, export_policy, kv, log, request, route_view};

use self::share::Share;

/// Where it is written: the key is a broker name, the value says who sees it.
const NAMESPACE: &str = "canary";

/// Through these topics brokers find each other. Java: `TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX`.
const SYNC_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

/// Java: `PermName`.
const READ: i32 = 4;
const WRITE: i32 = 2;

struct Canary;

/// The new brokers, and what they were read from.
#[derive(Default)]
struct Known {
    entries: Vec<(String, String)>,
    /// By broker name.
    shares: Vec<(String, Share)>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Policy for Canary {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        let entries = kv::entries(NAMESPACE).unwrap_or_default();
        if entries.is_empty() {
            return;
        }
        KNOWN.with_borrow_mut(|known| {
            if known.entries != entries {
                *known = Known { shares: read(&entries), entries };
            }
            show(&known.shares);
        });
    }
}

fn read(entries: &[(String, String)]) -> Vec<(String, Share)> {
    let share = |name: &str, text: &str| {
        Share::parse(text).unwrap_or_else(|why| {
            // A slip must not show it to everybody.
            let line = ["nobody is shown `", name, "`, because of the KV entry in `", NAMESPACE, "`: ", &why].concat();
            log::write(log::Level::Error, &line);
            Share::NONE
        })
    };
    entries.iter().map(|(name, text)| (name.clone(), share(name, text))).collect()
}

fn show(shares: &[(String, Share)]) {
    let mut new = shares.iter().filter_map(|(name, share)| Some((route_view::find(name)?, share))).peekable();
    // A reply that rests on who asks is not remembered, so nobody asks that without need.
    if new.peek().is_none() || route_view::topic().starts_with(SYNC_PREFIX) {
        return;
    }
    let Some(client) = address_of(&request::peer()) else { return };
    let outline = route_view::outline();
    let mut hidden = Vec::new();
    for (index, share) in new.filter(|(_, share)| !share.has(client)) {
        match perm_for_others(share, outline[index as usize].perm) {
            None => hidden.push(index),
            Some(perm) => route_view::set_permission(index, perm),
        }
    }
    if !hidden.is_empty() {
        let kept: Vec<u32> = (0..).take(outline.len()).filter(|index| !hidden.contains(index)).collect();
        route_view::keep(&kept);
    }
}

/// What the permission is for clients that are not among the share; none when they do not see the broker at all.
fn perm_for_others(share: &Share, perm: Option<i32>) -> Option<i32> {
    perm.filter(|perm| share.is_of_writes && perm & READ != 0).map(|perm| perm & !WRITE)
}

/// An IPv4 client of a socket for both families is an IPv4 client.
fn address_of(peer: &str) -> Option<IpAddr> {
    peer.parse::<SocketAddr>().ok().map(|peer| peer.ip().to_canonical())
}

export_policy!(Canary);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_do_not_see_the_broker_or_only_read_from_it() {
        let (hidden, of_writes) = (Share::parse("1%").unwrap(), Share::parse("1% writes").unwrap());

        assert_eq!(perm_for_others(&hidden, Some(6)), None);
        assert_eq!(perm_for_others(&of_writes, Some(7)), Some(5));
        assert_eq!(perm_for_others(&of_writes, Some(2)), None, "nothing would be left");
        assert_eq!(perm_for_others(&of_writes, None), None);
    }

    #[test]
    fn a_client_stands_where_it_stands_whatever_socket_it_came_through() {
        assert_eq!(address_of("10.0.0.1:5"), address_of("[::ffff:10.0.0.1]:7"));
        assert_ne!(address_of("10.0.0.1:5"), address_of("10.0.0.2:5"));
    }
}
