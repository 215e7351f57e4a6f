//! @NAME@ is a policy: nobody is shown the brokers of the cluster `staging`.

use fingerpost_sdk::{Policy, export_policy, route_view};

struct @PASCAL@;

/// The bit of the manifest's first mark.
const OF_STAGING: u32 = 1;

impl Policy for @PASCAL@ {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        let marks: Vec<u32> = route_view::outline().iter().map(|group| group.marks).collect();
        let kept = kept(&marks);
        if kept.len() < marks.len() {
            route_view::keep(&kept);
        }
    }
}

/// The indices of the groups that are shown. What can be decided without the server is tested without it.
fn kept(marks: &[u32]) -> Vec<u32> {
    (0..).zip(marks).filter(|(_, marks)| **marks & OF_STAGING == 0).map(|(index, _)| index).collect()
}

export_policy!(@PASCAL@);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_staging_are_left_out() {
        assert_eq!(kept(&[0, 1, 2, 3]), [0, 2]);
    }
}
