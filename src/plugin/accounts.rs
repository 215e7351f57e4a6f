//! Groups that have one member only: many systems make one for every user, and let it write whatever the user may.

use std::fs::File;
use std::io::Read;

/// More than this of a list of accounts is not read; a group that is not found is not trusted.
const LIST_SIZE_MAX: u64 = 1 << 20;

/// Whether nobody but this user is in a group, as far as the system's own lists say. Only a group of the user's own
/// number can be, as those are that are made for a user.
pub(super) fn is_group_of_one(gid: u32, uid: u32) -> bool {
    let read = |path: &str| {
        let mut list = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LIST_SIZE_MAX).read_to_end(&mut list));
        read.is_ok().then(|| String::from_utf8_lossy(&list).into_owned())
    };
    gid == uid && matches!((read("/etc/group"), read("/etc/passwd")), (Some(g), Some(p)) if is_of_one(&g, &p, gid, uid))
}

fn is_of_one(groups: &str, users: &str, gid: u32, uid: u32) -> bool {
    // name:password:uid:gid:…
    let users = users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, fields.nth(1)?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?))
    });
    let is_mine = |name: &str| users.clone().any(|(known, number, _)| known == name && number == uid);
    // name:password:gid:member,member
    let mut members = groups.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next()?.parse::<u32>().ok()? == gid).then(|| fields.next().unwrap_or_default())
    });
    let Some(first) = members.next() else { return false };
    let has_only_me = |list: &str| list.split(',').map(str::trim).all(|name| name.is_empty() || is_mine(name));
    has_only_me(first) && members.all(has_only_me) && users.clone().all(|(_, user, group)| group != gid || user == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_of_one_when_nobody_else_is_in_it_by_either_list() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/:\n";
        let groups = "root:x:0:\nann:x:1000:\nbob:x:1001:ann\nall:x:100:ann,bob\n";
        let is = |groups: &str, users: &str, number| is_of_one(groups, users, number, number);

        assert!(is(groups, users, 1000));
        assert!(is("ann:x:1000:ann\n", users, 1000));
        assert!(!is(groups, users, 1001), "a second member");
        assert!(!is(groups, &format!("{users}eve:x:1002:1000::/:\n"), 1000), "another's first group");
        assert!(!is(&format!("{groups}alias:x:1000:bob\n"), users, 1000), "the same number twice");
        assert!(!is("", users, 1000), "a group that nobody knows");
        assert!(!is("nonsense\n:::\n", users, 1000));
    }
}
