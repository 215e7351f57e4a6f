//! The scan: a thread that forgets silent brokers, repairs what is broken in the tables, and prints them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::Config;
use crate::liveness::{self, Liveness};
use crate::net::Connections;
use crate::plugin::Core;
use crate::route::{Damage, Repair, RouteTable};

/// Java: NamesrvController.startScheduleService.
const FIRST_PRINT_AFTER: Duration = Duration::from_secs(60);

/// Names in the line about repairs of one kind.
const REPAIR_EXAMPLES_MAX: usize = 5;

/// Lines per table in the periodic print; more are counted.
const PRINT_LINES_MAX: usize = 1000;

// Java: RouteInfoManager.scanNotActiveBroker.
pub(crate) fn scan(core: &Core, connections: &Connections) -> usize {
    let removed = core.routes.expire(core.clock.now());
    for broker in &removed {
        tracing::warn!(
            broker = %broker.broker_name, cluster = %broker.cluster, address = %broker.address,
            "forgotten: silent for longer than its timeout"
        );
        // If it is still there, it notices, connects again and registers again.
        connections.close(broker.connection);
    }
    core.changes.expired.add(removed.len());
    core.notifier.left(&removed);
    sweep(&core.routes);
    removed.len()
}

/// Says what had to be repaired in the tables: which is a fault of this server, whatever its clients did.
fn sweep(routes: &RouteTable) {
    let mut kinds: BTreeMap<Damage, Vec<String>> = BTreeMap::new();
    for Repair { damage, subject } in routes.sweep() {
        kinds.entry(damage).or_default().push(subject);
    }
    for (damage, mut subjects) in kinds {
        let count = subjects.len();
        subjects.truncate(REPAIR_EXAMPLES_MAX);
        tracing::error!(count, examples = ?subjects, "repaired in the route tables: {damage}");
    }
}

// Java: RouteInfoManager.printAllPeriodically and KVConfigManager.printAllPeriodically.
fn print(core: &Core) {
    liveness::print(&core.routes.tables(), PRINT_LINES_MAX).for_each(|line| tracing::info!("{line}"));
    let table = core.kv.snapshot();
    tracing::info!("configTable SIZE: {}", table.namespaces().len());
    let entries = table
        .namespaces()
        .iter()
        .flat_map(|(namespace, entries)| entries.entries().iter().map(move |(key, value)| (namespace, key, value)));
    for (namespace, key, value) in entries.take(PRINT_LINES_MAX) {
        tracing::info!("configTable NS: {namespace:?} Key: {key:?} Value: {value:?}");
    }
}

/// The thread that forgets silent brokers and prints the tables; stops when dropped.
pub(crate) struct Scan {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scan {
    pub(crate) fn start(core: Arc<Core>, connections: Connections, config: &Config) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let uptime = move |core: &Core| core.clock.monotonic().as_millis() as u64;
        let liveness = &config.liveness;
        let mut scans = Liveness::new(uptime(&core), liveness.first_scan_after, liveness.scan_interval);
        let mut prints = Liveness::unless_zero(uptime(&core), FIRST_PRINT_AFTER, liveness.print_interval);
        let run = move || {
            loop {
                // A change counts at the latest after the old interval; nobody is woken for it.
                scans.set_interval(core.settings.switches().scan_interval);
                let now = uptime(&core);
                let wait = scans.wait(now).min(prints.wait(now));
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let now = uptime(&core);
                if scans.begin(now) {
                    scan(&core, &connections);
                }
                if prints.begin(now) {
                    print(&core);
                }
            }
        };
        let thread = std::thread::Builder::new().name("scan".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
