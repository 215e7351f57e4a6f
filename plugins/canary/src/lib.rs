//! `canary` is a policy: a new broker is shown to a share of the clients, which grows until it is one like the others.
//!
//! Which brokers are new stands in the KV store, because that changes while the server runs, on every name server at
//! once.

mod share;

use fingerpost_sdk::entries::Entries;
use fingerpost_sdk::network::address_of;
use fingerpost_sdk::{Policy, export_policy, is_of_brokers, log, perm, request, route_view};

use self::share::Share;

/// Where it is written: the key is a broker name, the value says who sees it.
const NAMESPACE: &str = "canary";

struct Canary;

thread_local! {
    /// Who sees the new brokers, by broker name.
    static SHARES: Entries<(String, Share)> = const { Entries::new(NAMESPACE) };
}

impl Policy for Canary {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        if let Some(shares) = SHARES.with(|shares| shares.read(read)) {
            show(&shares);
        }
    }
}

fn read(name: &str, text: &str) -> Result<(String, Share), String> {
    let share = Share::parse(text).unwrap_or_else(|why| {
        // It is not left out: a slip must not show the broker to everybody.
        let line = ["nobody is shown `", name, "`, because of the KV entry in `", NAMESPACE, "`: ", &why].concat();
        log::write(log::Level::Error, &line);
        Share::NONE
    });
    Ok((name.to_owned(), share))
}

fn show(shares: &[(String, Share)]) {
    let mut new = shares.iter().filter_map(|(name, share)| Some((route_view::find(name)?, share))).peekable();
    // A reply that rests on who asks is not remembered, so nobody asks that without need.
    if new.peek().is_none() || is_of_brokers(&route_view::topic()) {
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
    perm.filter(|perm| share.is_of_writes && perm & perm::READ != 0).map(|perm| perm & !perm::WRITE)
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
}
