//! When to look for silent brokers, and what to write into the log about the tables now and then.
//!
//! The decisions only: what a scan removes is [`RouteTable::expire`]'s to say, and whoever owns a clock asks here when
//! to call it and closes the connections of what it returns.
//!
//! [`RouteTable::expire`]: crate::route::RouteTable::expire

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use crate::route::{Group, Live, Millis, Name, Tables, Topic};

/// The timetable of the scan. Java: `NamesrvController.startScheduleService`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Liveness {
    interval_ms: Millis,
    /// No scan is further away than this: the interval, or before the first one its delay.
    wait_max_ms: Millis,
    last: Option<Millis>,
    due: Millis,
}

impl Liveness {
    /// The first scan is due `first_after` the start, the others follow at `scan_interval`. An interval of zero counts
    /// as a millisecond.
    pub fn new(started: Millis, first_after: Duration, scan_interval: Duration) -> Self {
        let wait_max_ms = millis(first_after);
        let due = started.saturating_add(wait_max_ms);
        Self { interval_ms: interval_ms(scan_interval), wait_max_ms, last: None, due }
    }

    /// From now on this much time is between two scans, and between the last one and the next. The delay of the first
    /// scan stays as it is.
    pub fn set_interval(&mut self, scan_interval: Duration) {
        let interval_ms = interval_ms(scan_interval);
        if interval_ms == self.interval_ms {
            // What was done about a clock that was set back must not be undone.
            return;
        }
        self.interval_ms = interval_ms;
        if let Some(last) = self.last {
            self.wait_max_ms = interval_ms;
            self.due = last.saturating_add(interval_ms);
        }
    }

    /// The timetable of something that an operator can switch off: an interval of zero is never.
    pub fn unless_zero(started: Millis, first_after: Duration, interval: Duration) -> Self {
        if interval.is_zero() {
            return Self::new(started, Duration::MAX, Duration::MAX);
        }
        Self::new(started, first_after, interval)
    }

    /// When the next scan is due.
    pub fn due(&self) -> Millis {
        self.due
    }

    /// How long to wait for it.
    pub fn wait(&self, now: Millis) -> Duration {
        Duration::from_millis(self.due.saturating_sub(now))
    }

    /// Whether to scan now. A yes moves the timetable on: scans that were missed while nobody asked are not made up
    /// for, because one finds all that they would have found.
    pub fn begin(&mut self, now: Millis) -> bool {
        if now < self.due {
            // A clock that was set back must not stop the scan for as long as it was set back.
            self.due = self.due.min(now.saturating_add(self.wait_max_ms));
            return false;
        }
        self.last = Some(now);
        self.wait_max_ms = self.interval_ms;
        self.due = now.saturating_add(self.interval_ms);
        true
    }
}

/// The tables as lines for the log, at most `lines_max` per table, each table ending with how many were left out.
// Java: RouteInfoManager.printAllPeriodically.
pub fn print(tables: &Tables, lines_max: usize) -> impl Iterator<Item = String> {
    let counts = tables.counts();
    let topics = tables.topics();
    let topic_lines: Vec<String> = topics.iter().take(lines_max).map(|topic| topic_line(topic)).collect();
    let group_lines = tables.groups().map(|group| group_line(group));
    let live_lines = tables.live_brokers().map(|live| live_line(live));
    let cluster_lines = tables.clusters().map(|(cluster, names)| cluster_line(cluster, names));
    section("topicQueueTable", counts.topics, lines_max, topic_lines.into_iter())
        .chain(section("brokerAddrTable", counts.groups, lines_max, group_lines))
        .chain(section("brokerLiveTable", counts.brokers, lines_max, live_lines))
        .chain(section("clusterAddrTable", counts.clusters, lines_max, cluster_lines))
}

fn section(
    table: &'static str,
    size: usize,
    lines_max: usize,
    lines: impl Iterator<Item = String>,
) -> impl Iterator<Item = String> {
    let left_out = size.saturating_sub(lines_max);
    let end = (left_out > 0).then(|| format!("{table} {left_out} more left out"));
    std::iter::once(format!("{table} SIZE: {size}")).chain(lines.take(lines_max)).chain(end)
}

fn topic_line(topic: &Topic) -> String {
    let mut line = format!("topicQueueTable topic: {} queueData:", topic.name);
    list(&mut line, topic.queues.iter(), |line, queue| {
        let (read, write) = (queue.read_queue_nums, queue.write_queue_nums);
        write!(line, " {} read {read} write {write} perm {}", queue.broker_name, queue.perm)
    });
    line
}

fn group_line(group: &Group) -> String {
    let mut line = format!("brokerAddrTable brokerName: {} cluster: {} brokerAddrs:", group.broker_name, group.cluster);
    list(&mut line, &group.addresses, |line, (id, address)| write!(line, " {id} at {address}"));
    line
}

fn live_line(live: &Live) -> String {
    let (cluster, address, name) = (live.cluster(), live.address(), &live.broker_name);
    let (last, timeout) = (live.last_update(), live.timeout_ms);
    format!("brokerLiveTable brokerAddr: {address} cluster: {cluster} brokerName: {name} last {last} timeout {timeout}")
}

fn cluster_line(cluster: &str, broker_names: &BTreeSet<Name>) -> String {
    let mut line = format!("clusterAddrTable clusterName: {cluster} brokerNames:");
    list(&mut line, broker_names, |line, name| write!(line, " {name}"));
    line
}

/// Entries of one line: a topic on a thousand brokers must not become a line of a hundred kilobytes.
const ENTRIES_MAX: usize = 32;

fn list<'a, T: 'a>(
    line: &mut String,
    entries: impl IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
    mut entry: impl FnMut(&mut String, &T) -> std::fmt::Result,
) {
    let entries = entries.into_iter();
    let more = entries.len().saturating_sub(ENTRIES_MAX);
    for (at, one) in entries.take(ENTRIES_MAX).enumerate() {
        if at > 0 {
            line.push(',');
        }
        entry(line, one).expect("writing to a String does not fail");
    }
    if more > 0 {
        write!(line, ", {more} more").expect("writing to a String does not fail");
    }
}

fn interval_ms(interval: Duration) -> Millis {
    millis(interval).max(1)
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Connection, ConnectionId, Registration, RouteTable, TopicConfig, TopicTable};

    fn every_five_seconds(started: Millis) -> Liveness {
        Liveness::new(started, Duration::from_secs(5), Duration::from_secs(5))
    }

    #[test]
    fn the_first_scan_is_due_only_after_its_delay() {
        let mut liveness = every_five_seconds(1000);

        assert_eq!(liveness.wait(1000), Duration::from_secs(5));
        assert!(!liveness.begin(5999));
        assert!(liveness.begin(6000));
        assert_eq!(liveness.due(), 11_000);
    }

    #[test]
    fn scans_that_were_missed_are_not_made_up_for() {
        let mut liveness = every_five_seconds(0);

        assert!(liveness.begin(60_000));
        assert!(!liveness.begin(60_001));
        assert_eq!(liveness.wait(60_001), Duration::from_millis(4999));
        assert_eq!(liveness.wait(70_000), Duration::ZERO);
    }

    #[test]
    fn another_interval_counts_from_the_last_scan() {
        let mut liveness = every_five_seconds(0);
        assert!(liveness.begin(5000));

        liveness.set_interval(Duration::from_secs(60));
        assert_eq!(liveness.due(), 65_000);
        liveness.set_interval(Duration::from_secs(1));
        assert_eq!(liveness.due(), 6000);

        assert!(liveness.begin(9000), "it is overdue, and made up for once");
        assert_eq!(liveness.due(), 10_000);
    }

    #[test]
    fn another_interval_leaves_the_delay_of_the_first_scan_alone() {
        let mut liveness = every_five_seconds(1000);

        liveness.set_interval(Duration::from_millis(10));

        assert_eq!(liveness.due(), 6000);
        assert!(liveness.begin(6000));
        assert_eq!(liveness.due(), 6010);
    }

    #[test]
    fn the_same_interval_again_changes_nothing_after_the_clock_was_set_back() {
        let mut liveness = every_five_seconds(1_000_000);
        assert!(liveness.begin(1_005_000));

        assert!(!liveness.begin(2000));
        liveness.set_interval(Duration::from_secs(5));

        assert_eq!(liveness.due(), 7000);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_the_scan_by_one_interval_at_most() {
        let mut liveness = every_five_seconds(1_000_000);

        assert!(!liveness.begin(2000));

        assert_eq!(liveness.due(), 7000);
    }

    #[test]
    fn an_endless_or_empty_interval_is_survived() {
        let mut never = Liveness::new(1, Duration::MAX, Duration::MAX);
        let mut always = Liveness::new(1, Duration::ZERO, Duration::ZERO);

        assert!(!never.begin(1_000_000));
        assert!(always.begin(1));
        assert_eq!(always.due(), 2);
    }

    #[test]
    fn what_an_operator_switched_off_is_never_due() {
        let mut off = Liveness::unless_zero(1, Duration::from_secs(60), Duration::ZERO);
        let mut on = Liveness::unless_zero(1, Duration::from_secs(60), Duration::from_secs(600));

        assert!(!off.begin(1_000_000_000_000));
        assert!(!on.begin(60_000));
        assert!(on.begin(60_001));
    }

    #[test]
    fn the_printed_tables_are_bounded_and_say_what_they_leave_out() {
        let routes = RouteTable::new();
        let topic = |name: &str| TopicConfig {
            name: name.into(),
            key: None,
            read_queue_nums: 4,
            write_queue_nums: 8,
            perm: 6,
            topic_sys_flag: 0,
        };
        let registration = Registration {
            cluster: "c".into(),
            broker_name: "a".into(),
            broker_id: 0,
            address: "10.0.0.1:1".into(),
            ha_address: None,
            zone_name: None,
            enable_acting_master: None,
            heartbeat_timeout: None,
            delete_missing_topics: false,
        };
        let table = TopicTable { topics: ["t1", "t2", "t3"].map(topic).into(), ..TopicTable::default() };
        routes.register(registration, table, &Connection::new(ConnectionId(1)), 7).unwrap();

        let lines: Vec<_> = print(&routes.tables(), 2).collect();

        assert_eq!(
            lines,
            [
                "topicQueueTable SIZE: 3",
                "topicQueueTable topic: t1 queueData: a read 4 write 8 perm 6",
                "topicQueueTable topic: t2 queueData: a read 4 write 8 perm 6",
                "topicQueueTable 1 more left out",
                "brokerAddrTable SIZE: 1",
                "brokerAddrTable brokerName: a cluster: c brokerAddrs: 0 at 10.0.0.1:1",
                "brokerLiveTable SIZE: 1",
                "brokerLiveTable brokerAddr: 10.0.0.1:1 cluster: c brokerName: a last 7 timeout 120000",
                "clusterAddrTable SIZE: 1",
                "clusterAddrTable clusterName: c brokerNames: a",
            ]
        );
    }
}
