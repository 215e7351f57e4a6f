//! How brokers go: because they say so, because their connection ended, or because they fell silent.
//!
//! All three end in the same steps, and each publishes under the lock only what is decided there: what was decided is
//! still true when it happens. A broker is found by what it is now, so an event of its past (an old connection that
//! closes late) finds nothing.

use std::sync::Arc;

use super::draft::Draft;
use super::live::Live;
use super::tables::Tables;
use super::types::{ConnectionId, Departure, Millis, Removal, Removed};

/// Removes the brokers that leave; those that are not here are passed over.
// Java: RouteInfoManager.unRegisterBroker.
pub(super) fn unregister<'a>(draft: &mut Draft, departures: impl Iterator<Item = &'a Departure>) -> Vec<Removed> {
    // Java goes by name and address too, whatever id and cluster the request names.
    let removed = departures
        .filter_map(|departure| remove(draft, &departure.broker_name, &departure.address, Removal::Unregistered));
    let removed = removed.collect();
    settled(draft, removed)
}

/// Removes every broker whose last registration came over `connection`.
pub(super) fn disconnect(draft: &mut Draft, connection: ConnectionId) -> Vec<Removed> {
    let leaving = sorted(draft.tables.live.iter().filter(|live| live.connection == connection));
    remove_all(draft, Removal::Disconnected, &leaving)
}

/// The brokers that have been silent for longer than their timeout.
pub(super) fn silent(tables: &Tables, now: Millis) -> Vec<Arc<Live>> {
    sorted(tables.live.iter().filter(|live| live.is_silent_at(now)))
}

/// Removes these brokers, which have been given up.
// Java: RouteInfoManager.scanNotActiveBroker.
pub(super) fn expire(draft: &mut Draft, silent: &[Arc<Live>]) -> Vec<Removed> {
    remove_all(draft, Removal::Expired, silent)
}

fn sorted<'a>(leaving: impl Iterator<Item = &'a Arc<Live>>) -> Vec<Arc<Live>> {
    let mut leaving: Vec<_> = leaving.cloned().collect();
    leaving.sort_unstable_by(|a, b| a.member.cmp(&b.member));
    leaving
}

fn remove_all(draft: &mut Draft, reason: Removal, leaving: &[Arc<Live>]) -> Vec<Removed> {
    let removed = leaving.iter().filter_map(|live| remove(draft, &live.broker_name, live.address(), reason));
    let removed = removed.collect();
    settled(draft, removed)
}

fn remove(draft: &mut Draft, broker_name: &str, address: &str, reason: Removal) -> Option<Removed> {
    let min_id = draft.tables.group(broker_name).and_then(|group| group.min_id()).map(|(id, _)| *id);
    let (broker_id, live) = draft.remove_member(broker_name, address)?;
    let group = draft.tables.group(broker_name).filter(|_| min_id == Some(broker_id));
    Some(Removed {
        broker_name: Arc::clone(&live.broker_name),
        cluster: Arc::clone(live.cluster()),
        broker_id,
        address: Arc::clone(live.address()),
        connection: live.connection,
        reason,
        min_id_change: group.cloned(),
    })
}

/// Lets the topics follow, and brings the groups that lost their smallest id up to date: more may have left since.
fn settled(draft: &mut Draft, mut removed: Vec<Removed>) -> Vec<Removed> {
    draft.settle();
    for one in removed.iter_mut().filter(|one| one.min_id_change.is_some()) {
        one.min_id_change = draft.tables.group(&one.broker_name).cloned();
    }
    removed
}
