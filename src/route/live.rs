//! Who is alive: one entry per registered broker, touched by heartbeats without a lock.
//!
//! The time of the last sign of life is the only mutable thing in all the tables. Every step on it is one
//! compare-exchange, so of a heartbeat and an expiry that meet, one comes first: either the broker stays, or the
//! heartbeat learns that it is unknown. No other memory depends on it; relaxed ordering is enough.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::Equivalent;

use super::applied::Applied;
use super::sharded::Keyed;
use super::types::{ConnectionId, DataVersion, Millis, Name};

/// The last sign of life of an entry that has been given up. No clock gets there.
const GIVEN_UP: u64 = u64::MAX;

/// One registered broker. Java: `BrokerLiveInfo`.
#[derive(Debug)]
pub struct Live {
    pub(super) member: Member,
    /// The group it is a member of.
    pub broker_name: Name,
    /// Silence after which it is forgotten; 0 or less means at the next scan.
    pub timeout_ms: i64,
    /// What it published last.
    pub data_version: DataVersion,
    /// Where its last registration came from.
    pub connection: ConnectionId,
    /// The generation of the tables in which this entry first stood.
    pub generation: u64,
    /// Where its slaves fetch from.
    pub ha_address: Option<Name>,
    /// What became of the topic table that it sent last, if that table can be known again.
    pub(super) applied: Option<Applied>,
    pub(super) last_update: AtomicU64,
}

/// What a broker is known by. Java: `BrokerAddrInfo`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Member {
    pub(super) cluster: Name,
    pub(super) address: Name,
}

/// A [`Member`] to look up; hashes as one.
#[derive(Clone, Copy, Hash)]
pub(super) struct MemberRef<'a> {
    pub(super) cluster: &'a str,
    pub(super) address: &'a str,
}

impl Live {
    /// The cluster it registered with, which need not be the one its group is listed under.
    pub fn cluster(&self) -> &Name {
        &self.member.cluster
    }

    /// The address it registered.
    pub fn address(&self) -> &Name {
        &self.member.address
    }

    /// When it last gave a sign of life.
    pub fn last_update(&self) -> Millis {
        self.last_update.load(Ordering::Relaxed)
    }

    /// A sign of life at `now`; false when it was given up before.
    pub(super) fn beat(&self, now: Millis) -> bool {
        // Two threads may deliver out of order; an older sign never moves the time back.
        let beat = |last| (last != GIVEN_UP).then(|| now.clamp(last, GIVEN_UP - 1));
        self.last_update.fetch_update(Ordering::Relaxed, Ordering::Relaxed, beat).is_ok()
    }

    /// A sign of life no older than the last one of the entry that this one takes the place of.
    pub(super) fn beat_with(&self, other: &Self) {
        let last = other.last_update();
        if last != GIVEN_UP {
            self.beat(last);
        }
    }

    /// Gives it up if it has been silent for too long at `now`, or was given up before.
    pub(super) fn give_up_if_silent(&self, now: Millis) -> bool {
        let give_up = |last| self.is_silent(last, now).then_some(GIVEN_UP);
        self.last_update.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give_up).is_ok()
    }

    /// Whether an expiry at `now` would give it up.
    pub(super) fn is_silent_at(&self, now: Millis) -> bool {
        self.is_silent(self.last_update(), now)
    }

    /// Whether nobody who reads the tables could tell the two apart, but for the time.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.member == other.member
            && self.broker_name == other.broker_name
            && self.timeout_ms == other.timeout_ms
            && self.data_version == other.data_version
            && self.connection == other.connection
            && self.ha_address == other.ha_address
    }

    fn is_silent(&self, last: Millis, now: Millis) -> bool {
        // The timeout is a stranger's number: saturate. Java: RouteInfoManager.scanNotActiveBroker, where it wraps.
        last == GIVEN_UP || last.saturating_add_signed(self.timeout_ms) < now
    }
}

impl Keyed for Live {
    type Key = Member;

    fn key(&self) -> &Member {
        &self.member
    }
}

impl Equivalent<Member> for MemberRef<'_> {
    fn equivalent(&self, member: &Member) -> bool {
        *self.address == *member.address && *self.cluster == *member.cluster
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(last: Millis, timeout_ms: i64) -> Live {
        Live {
            member: Member { cluster: "c".into(), address: "a".into() },
            broker_name: "b".into(),
            timeout_ms,
            data_version: DataVersion::default(),
            connection: ConnectionId(1),
            generation: 1,
            ha_address: None,
            applied: None,
            last_update: AtomicU64::new(last),
        }
    }

    #[test]
    fn a_broker_is_given_up_only_after_more_than_its_timeout() {
        assert!(!live(1000, 500).give_up_if_silent(1500));
        assert!(live(1000, 500).give_up_if_silent(1501));
    }

    #[test]
    fn a_timeout_from_a_stranger_cannot_overflow() {
        assert!(!live(1000, i64::MAX).give_up_if_silent(i64::MAX as u64));
        assert!(!live(u64::MAX - 1, i64::MAX).give_up_if_silent(u64::MAX));
        assert!(live(1000, i64::MIN).give_up_if_silent(1));
        assert!(live(1000, -1).give_up_if_silent(1000));
        assert!(!live(1000, 0).give_up_if_silent(1000));
        assert!(live(1000, 0).give_up_if_silent(1001));
    }

    #[test]
    fn a_heartbeat_after_giving_up_learns_that_the_broker_is_unknown() {
        let live = live(1000, 0);
        assert!(live.beat(2000));
        assert!(live.give_up_if_silent(2001));

        assert!(!live.beat(2002));
        assert!(live.give_up_if_silent(0));
    }

    #[test]
    fn an_older_heartbeat_never_moves_the_time_back_and_a_mad_clock_is_no_tombstone() {
        let live = live(1000, i64::MAX);

        assert!(live.beat(10));
        assert_eq!(live.last_update(), 1000);
        assert!(live.beat(u64::MAX));
        assert!(live.beat(u64::MAX));
    }

    #[test]
    fn of_a_heartbeat_and_an_expiry_that_meet_exactly_one_wins() {
        for _ in 0..200 {
            let live = live(1000, 10);
            let (beat, gone) = std::thread::scope(|scope| {
                let beat = scope.spawn(|| live.beat(2000));
                let gone = scope.spawn(|| live.give_up_if_silent(2000));
                (beat.join().unwrap(), gone.join().unwrap())
            });

            assert_ne!(beat, gone);
        }
    }
}
