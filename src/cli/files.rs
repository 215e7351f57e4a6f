//! The limit of open files: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open beside the connections: the listener, event loops, the KV file, those of plugins.
const OWN_FILES: u64 = 256;

/// Raises the limit of this process so that `connections` fit, as far as the system allows; the warning to log if that
/// is not far enough. A shell's limit is often 1024. Java: the JVM does the same, by `MaxFDLimit`.
pub(super) fn make_room_for(connections: u32) -> Option<String> {
    let wanted = u64::from(connections) + OWN_FILES;
    let limit = getrlimit(Resource::Nofile);
    // None is no limit.
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let mut current = limit.current;
    if current.is_some_and(|current| current < allowed) {
        let raised = Rlimit { current: Some(allowed), ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            current = Some(allowed);
        }
    }
    let current = current.filter(|current| *current < wanted)?;
    Some(format!(
        "only {current} files may be open, each connection is one, and `net.connections-max` is {connections}: raise \
         the hard limit (ulimit -Hn, LimitNOFILE=) to {wanted}, or lower `net.connections-max`"
    ))
}
