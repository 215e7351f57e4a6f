//! Every metric there is, with its labels and what it means. `conf/METRICS.md` shows this table, and a test compares.

/// How a metric behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values were at most as large as each bound.
    Histogram,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

const fn row(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

use Kind::{Counter, Gauge, Histogram};

pub(super) const METRICS: [Metric; 56] = [
    row("fingerpost_build_info", Gauge, &["version"], "Always 1; the label tells the version."),
    row("fingerpost_ready", Gauge, &[], "Whether /readyz says yes."),
    row("fingerpost_uptime_seconds", Gauge, &[], "Time since the server began."),
    row("fingerpost_connections", Gauge, &["worker"], "Open connections of each worker."),
    row(
        "fingerpost_connections_refused_total",
        Counter,
        &[],
        "Connections that were reset because net.connections-max were open.",
    ),
    row("fingerpost_connections_closed_total", Counter, &["reason"], "Connections that ended."),
    row("fingerpost_frames_total", Counter, &["worker"], "Frames that arrived whole and were handled."),
    row("fingerpost_reads_total", Counter, &["worker"], "Reads that brought bytes."),
    row("fingerpost_writes_total", Counter, &["worker"], "Writes that took bytes."),
    row("fingerpost_unsent_bytes", Gauge, &[], "Bytes of replies that wait for their peers."),
    row("fingerpost_partial_frame_bytes", Gauge, &[], "Memory of frames that arrived in part or wait for room."),
    row("fingerpost_delayed_replies", Gauge, &[], "Replies under way in the lane, on the disk or upstream."),
    row("fingerpost_lane_jobs", Gauge, &[], "Requests in the write lane."),
    row("fingerpost_lane_bytes", Gauge, &[], "Bytes of the requests in the write lane."),
    row(
        "fingerpost_turn_seconds",
        Histogram,
        &[],
        "CPU time of one turn of a worker, at most a tenth of a millisecond too long.",
    ),
    row(
        "fingerpost_requests_total",
        Counter,
        &["code", "outcome"],
        "Requests by code, without memo hits; codes that nobody answers are `other`.",
    ),
    row(
        "fingerpost_request_seconds",
        Histogram,
        &["code"],
        "Time from a request's turn to its reply, without memo hits and without waiting for the lane, the disk or an \
         upstream. Each thread measures the first 64 of a code, and then one in 64, which counts for all of them.",
    ),
    row("fingerpost_plugin_calls_total", Counter, &["plugin"], "Calls of each plugin, a look at a glance included."),
    row(
        "fingerpost_plugin_call_seconds",
        Histogram,
        &["plugin"],
        "Time of these calls, measured like that of requests.",
    ),
    row(
        "fingerpost_plugin_calls_refused_total",
        Counter,
        &["plugin"],
        "Calls that were not made because the plugin was taken out.",
    ),
    row(
        "fingerpost_plugin_failures_total",
        Counter,
        &["plugin", "kind"],
        "Calls that failed, or cost the plugin its instance (`spent`).",
    ),
    row("fingerpost_plugin_out", Gauge, &["plugin"], "Whether the plugin is taken out, because it failed too often."),
    row(
        "fingerpost_plugin_distrusted",
        Gauge,
        &["plugin"],
        "Whether its replies are not remembered, because it is not as pure as it promises.",
    ),
    row("fingerpost_plugin_memory_bytes", Gauge, &["plugin"], "Memory and tables of its instances."),
    row("fingerpost_plugin_log_lines_total", Counter, &["plugin", "outcome"], "Lines that it wanted to write."),
    row("fingerpost_plugin_since_generation", Gauge, &["plugin"], "The generation that it came with."),
    row("fingerpost_plugins", Gauge, &["state"], "Plugins, and files that want to be one, by where they stand."),
    row(
        "fingerpost_plugins_rejected",
        Gauge,
        &[],
        "Files of the plugins directories that are not used because something is wrong with them.",
    ),
    row(
        "fingerpost_plugins_rolled_back",
        Gauge,
        &[],
        "Plugins that are used with what was in use before, as the operator or their failures want it.",
    ),
    row(
        "fingerpost_plugin_rollbacks_total",
        Counter,
        &["by"],
        "Plugins that went back to what was in use before, by the operator's word or because their first calls failed.",
    ),
    row(
        "fingerpost_plugin_generation",
        Gauge,
        &["stage"],
        "Counts changes of plugins: the newest (`published`), and that which every thread has (`active`).",
    ),
    row("fingerpost_plugin_generations_draining", Gauge, &[], "Earlier generations with requests under way."),
    row(
        "fingerpost_plugin_reloads_total",
        Counter,
        &["outcome"],
        "Changes that led to a new generation (`done`), or could not, so that the old one stayed (`failed`).",
    ),
    row(
        "fingerpost_plugin_state_bytes",
        Gauge,
        &["plugin"],
        "What a plugin keeps from one call to the next, as plugins.state-max counts it.",
    ),
    row("fingerpost_requests_waiting", Gauge, &[], "Requests that wait until a route changes."),
    row(
        "fingerpost_memo_requests_total",
        Counter,
        &["outcome"],
        "Requests that a remembered reply was looked for, and what was found.",
    ),
    row("fingerpost_memo_unfit_total", Counter, &["reason"], "Replies that were not remembered."),
    row("fingerpost_memo_compared_total", Counter, &[], "Remembered replies whose sources were looked at again."),
    row("fingerpost_memo_recomputed_total", Counter, &[], "Hits that were made again by the plugin, for comparison."),
    row(
        "fingerpost_memo_broken_promises_total",
        Counter,
        &[],
        "Of those, how many came out differently: a fault of the plugin.",
    ),
    row("fingerpost_memo_inserted_total", Counter, &[], "Replies that were remembered."),
    row("fingerpost_memo_evicted_total", Counter, &[], "Remembered replies that made room for others."),
    row("fingerpost_memo_entries", Gauge, &[], "Replies that are remembered now."),
    row("fingerpost_memo_bytes", Gauge, &[], "Memory of the replies that are remembered now."),
    row("fingerpost_topics", Gauge, &[], "Topics."),
    row("fingerpost_broker_groups", Gauge, &[], "Broker names."),
    row("fingerpost_brokers", Gauge, &[], "Live brokers."),
    row("fingerpost_clusters", Gauge, &[], "Clusters."),
    row("fingerpost_registrations_total", Counter, &["outcome"], "Registrations of brokers."),
    row(
        "fingerpost_brokers_removed_total",
        Counter,
        &["reason"],
        "Brokers that left, were disconnected or fell silent.",
    ),
    row(
        "fingerpost_repairs_total",
        Counter,
        &["damage"],
        "What was broken in the tables and repaired: always 0 without a fault of the server.",
    ),
    row("fingerpost_kv_entries", Gauge, &[], "Keys in the KV store."),
    row("fingerpost_kv_writes_total", Counter, &["outcome"], "Writes to the KV store."),
    row(
        "fingerpost_kv_commits_total",
        Counter,
        &["outcome"],
        "Files that were written and synced for them; many writes may share one.",
    ),
    row("process_cpu_seconds_total", Counter, &[], "User and system time of this process."),
    row("process_resident_memory_bytes", Gauge, &[], "Memory of this process."),
];

/// `conf/METRICS.md`, as it must be.
#[cfg(test)]
pub(super) fn document() -> String {
    let mut text = "\
# Metrics

What `/metrics` shows when `admin.http-listen` is set, in the text form of Prometheus. `/livez` answers 200 while every
worker moves, `/readyz` while the server wants to be asked; otherwise they answer 503 and say why.

The values of labels are few: request codes that a plugin answers, names of plugins, numbers of workers, and words.
Counters begin at 0 when the server starts; one that is always 0 may be left out.

A test keeps this table as the server has it.

| metric | kind | labels | |
|---|---|---|---|
"
    .to_owned();
    for Metric { name, kind, labels, help } in METRICS {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        text += &format!("| `{name}` | {} | {labels} | {help} |\n", kind.name());
    }
    text += "\n\
## Of plugins' own

A plugin may declare metrics in its manifest (`plugins/README.md`, `[[metrics]]`); they come after these. One that it
calls `NAME` is `fingerpost_plugin_custom_NAME_total` if it is a counter, `fingerpost_plugin_custom_NAME` if it is a
gauge, and `fingerpost_plugin_custom_NAME_histogram` if it is a histogram. The label `plugin` names the plugin; others
are those that it declares, at most three, with at most 256 combinations of values; what exceeds them is counted as
`other`.
";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_operators_is_the_servers_own() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/METRICS.md");
        if std::env::var_os("FINGERPOST_WRITE_TABLES").is_some() {
            std::fs::write(&path, document()).unwrap();
        }

        let written = std::fs::read_to_string(&path).unwrap_or_default();

        let how = "run this test with FINGERPOST_WRITE_TABLES=1 to write conf/METRICS.md anew";
        assert!(written == document(), "conf/METRICS.md is not what the server has: {how}");
    }

    #[test]
    fn names_follow_the_custom() {
        for Metric { name, kind, .. } in METRICS {
            assert!(name.starts_with("fingerpost_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == Counter, "{name}");
            assert_eq!(METRICS.iter().filter(|other| other.name == name).count(), 1, "{name}");
        }
    }
}
