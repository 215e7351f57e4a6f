//! A policy of one's own: a client that names its zone sees the brokers of that zone first, and then all others.
//!
//! The stock policy `zone` leaves the others out; this one only puts them behind.

use fingerpost_sdk::{Policy, export_policy, route_view};

/// The mark of the manifest: the group is in the client's zone. The server compares, so no name enters the sandbox.
const SAME_ZONE: u32 = 1;

struct ZoneFirst;

impl Policy for ZoneFirst {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    /// Runs when the request has a field `__ZONE_NAME`.
    fn select() {
        let is_near: Vec<bool> = route_view::outline().iter().map(|group| group.marks & SAME_ZONE != 0).collect();
        // Not to touch a route costs less than to set it to what it is.
        if let Some(order) = near_first(&is_near) {
            route_view::keep(&order);
        }
    }
}

/// The groups by index, those that are near before the others and otherwise as they were; none when they are already.
fn near_first(is_near: &[bool]) -> Option<Vec<u32>> {
    if is_near.is_sorted_by(|one, next| one >= next) {
        return None;
    }
    let those = |near: bool| (0..).zip(is_near).filter(move |(_, is_near)| **is_near == near).map(|(index, _)| index);
    Some(those(true).chain(those(false)).collect())
}

export_policy!(ZoneFirst);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_groups_come_first_and_nobody_else_changes_places() {
        assert_eq!(near_first(&[false, true, false, true]), Some(vec![1, 3, 0, 2]));
    }

    #[test]
    fn a_route_that_is_in_order_is_left_alone() {
        for is_near in [&[true, true, false][..], &[false, false], &[true], &[]] {
            assert_eq!(near_first(is_near), None, "{is_near:?}");
        }
    }
}
