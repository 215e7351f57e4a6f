//! What the server shows of itself, in the text form of Prometheus.
//!
//! [`table`] names every metric; `text` writes them; here their values are collected from the parts that count them. A
//! part that counts something new adds a row to the table and a line here. What threads count for themselves is in a
//! [`PerThread`](crate::tally::PerThread) that the part owns, and is summed here.

mod custom;
mod table;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::text::Page;
use crate::memo::{self, MemoUsage};
use crate::net::{Connections, Turns};
use crate::plugin::{Board, CallError, Catalogue, Core, Generations, Outcome, PluginState, Tallies, Tally, Times};
use crate::readiness::{Readiness, ReadinessCell};
use crate::route::Damage;

pub(super) use self::text::CONTENT_TYPE;

/// Where the numbers come from.
pub(crate) struct Sources {
    pub(crate) core: Arc<Core>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) board: Arc<Board>,
    pub(crate) readiness: Arc<ReadinessCell>,
    pub(crate) connections: Connections,
    pub(crate) memo: Arc<memo::Tally>,
}

/// Everything, as of now.
pub(super) fn text(sources: &Sources) -> String {
    let mut page = Page::default();
    server(&mut page, sources);
    sockets(&mut page, &sources.connections);
    requests(&mut page, &sources.generations.current(), sources.core.clock.monotonic());
    plugins(&mut page, &sources.generations, &sources.board);
    remembered(&mut page, &sources.memo.usage());
    tables(&mut page, &sources.core);
    kv(&mut page, &sources.core);
    process(&mut page);
    page.into_text() + &custom::text(&sources.generations.current())
}

fn server(page: &mut Page, sources: &Sources) {
    page.number("fingerpost_build_info", &[env!("CARGO_PKG_VERSION")], 1);
    page.number("fingerpost_ready", &[], u64::from(sources.readiness.get() == Readiness::Ready));
    page.time("fingerpost_uptime_seconds", Duration::from_millis(sources.core.uptime()));
}

fn sockets(page: &mut Page, connections: &Connections) {
    let usage = connections.usage();
    for (worker, open) in connections.per_worker().into_iter().enumerate() {
        page.number("fingerpost_connections", &[&worker.to_string()], open as u64);
    }
    page.number("fingerpost_connections_refused_total", &[], usage.refused);
    for (reason, count) in connections.closed() {
        page.number("fingerpost_connections_closed_total", &[reason], count);
    }
    for (worker, usage) in connections.usage_per_worker().into_iter().enumerate() {
        let worker = worker.to_string();
        page.number("fingerpost_frames_total", &[&worker], usage.frames);
        page.number("fingerpost_reads_total", &[&worker], usage.reads);
        page.number("fingerpost_writes_total", &[&worker], usage.writes);
    }
    page.number("fingerpost_unsent_bytes", &[], usage.unsent_bytes as u64);
    page.number("fingerpost_partial_frame_bytes", &[], usage.partial_bytes as u64);
    page.number("fingerpost_delayed_replies", &[], usage.delayed_replies as u64);
    page.number("fingerpost_lane_jobs", &[], usage.lane_jobs as u64);
    page.number("fingerpost_lane_bytes", &[], usage.lane_bytes as u64);
    let Turns { counts, nanos } = connections.turns();
    page.histogram("fingerpost_turn_seconds", &[], (&Turns::BOUNDS, &counts), nanos);
}

fn requests(page: &mut Page, catalogue: &Catalogue, now: Duration) {
    let tallies = catalogue.tallies();
    let mut codes: Vec<_> = catalogue.codes().map(|(code, target)| (code, target.place)).collect();
    codes.sort_unstable();
    let known = codes.into_iter().filter(|(_, place)| place.is_some());
    let known = known.map(|(code, place)| (code.to_string(), place));
    for (code, place) in known.chain([("other".to_owned(), None)]) {
        for outcome in Outcome::ALL {
            // A code has few of them, and there are many codes.
            let count = tallies.sum(|tally| tally.requests(place, outcome));
            if count > 0 || outcome == Outcome::Success && place.is_some() {
                page.number("fingerpost_requests_total", &[&code, outcome.label()], count);
            }
        }
        times(page, ("fingerpost_request_seconds", &code), tallies, |tally| tally.request_times(place));
    }
    // One that stands in for another may have its name, and then counts with it.
    let named =
        catalogue.plugins().iter().filter_map(|plugin| Some((plugin.place?, plugin))).collect::<BTreeMap<_, _>>();
    for (at, plugin) in named {
        page.number("fingerpost_plugin_calls_total", &[&plugin.name], tallies.sum(|tally| tally.calls(at)));
        for (kind, label) in CallError::KINDS.into_iter().enumerate() {
            let count = tallies.sum(|tally| tally.failures(at, kind));
            page.number("fingerpost_plugin_failures_total", &[&plugin.name, label], count);
        }
        times(page, ("fingerpost_plugin_call_seconds", &plugin.name), tallies, |tally| tally.call_times(at));
        let refused = tallies.sum(|tally| tally.refusals(at));
        page.number("fingerpost_plugin_calls_refused_total", &[&plugin.name], refused);
        page.number("fingerpost_plugin_out", &[&plugin.name], u64::from(plugin.repute.out(now).is_some()));
        page.number("fingerpost_plugin_distrusted", &[&plugin.name], u64::from(!plugin.repute.is_trusted()));
        page.number("fingerpost_plugin_memory_bytes", &[&plugin.name], plugin.memory.in_use() as u64);
        page.number("fingerpost_plugin_log_lines_total", &[&plugin.name, "written"], plugin.log.written());
        page.number("fingerpost_plugin_log_lines_total", &[&plugin.name, "dropped"], plugin.log.dropped());
        page.number("fingerpost_plugin_since_generation", &[&plugin.name], plugin.since());
    }
}

/// How long something took, if it ever happened.
fn times(
    page: &mut Page,
    (name, label): (&'static str, &str),
    tallies: &Tallies,
    of: impl for<'t> Fn(&'t Tally) -> Option<&'t Times>,
) {
    let sum = |number: &dyn Fn(&Times) -> u64| tallies.sum(|tally| of(tally).map_or(0, number));
    let counts: Vec<_> = (0..=Times::BOUNDS.len()).map(|bound| sum(&|times| times.count(bound))).collect();
    if counts.iter().any(|count| *count > 0) {
        page.histogram(name, &[label], (&Times::BOUNDS, &counts), sum(&Times::nanos));
    }
}

fn plugins(page: &mut Page, generations: &Generations, board: &Board) {
    for state in PluginState::ALL {
        page.number("fingerpost_plugins", &[state.name()], board.count(state) as u64);
    }
    page.number("fingerpost_plugins_rejected", &[], board.rejected() as u64);
    page.number("fingerpost_plugins_rolled_back", &[], board.rolled_back() as u64);
    page.number("fingerpost_plugin_rollbacks_total", &["operator"], board.rolled_back_by_operator.get());
    page.number("fingerpost_plugin_rollbacks_total", &["failures"], board.rolled_back_by_failures.get());
    page.number("fingerpost_plugin_generation", &["published"], generations.current().number());
    page.number("fingerpost_plugin_generation", &["active"], generations.active());
    page.number("fingerpost_plugin_generations_draining", &[], generations.draining().len() as u64);
    page.number("fingerpost_plugin_reloads_total", &["done"], board.reloaded.get());
    page.number("fingerpost_plugin_reloads_total", &["failed"], board.failed.get());
    // One that stands in for another may have its name, and then keeps what that one kept.
    let current = generations.current();
    let named: BTreeMap<_, _> = current.plugins().iter().map(|plugin| (&plugin.name, plugin)).collect();
    for (name, plugin) in named {
        page.number("fingerpost_plugin_state_bytes", &[name], plugin.kept_bytes() as u64);
    }
}

fn remembered(page: &mut Page, usage: &MemoUsage) {
    let looked_up = [("hit", usage.hits), ("unknown", usage.unknown), ("stale", usage.stale), ("unlike", usage.unlike)];
    for (outcome, count) in looked_up {
        page.number("fingerpost_memo_requests_total", &[outcome], count);
    }
    for (reason, count) in &usage.unfit {
        page.number("fingerpost_memo_unfit_total", &[reason], *count);
    }
    page.number("fingerpost_memo_compared_total", &[], usage.compared);
    page.number("fingerpost_memo_recomputed_total", &[], usage.recomputed);
    page.number("fingerpost_memo_broken_promises_total", &[], usage.broken);
    page.number("fingerpost_memo_inserted_total", &[], usage.inserted);
    page.number("fingerpost_memo_evicted_total", &[], usage.evicted);
    page.number("fingerpost_memo_entries", &[], usage.entries);
    page.number("fingerpost_memo_bytes", &[], usage.bytes);
}

fn tables(page: &mut Page, core: &Core) {
    let (tables, changes) = (core.routes.tables().counts(), &core.changes);
    page.number("fingerpost_requests_waiting", &[], core.waiting.count() as u64);
    page.number("fingerpost_topics", &[], tables.topics as u64);
    page.number("fingerpost_broker_groups", &[], tables.groups as u64);
    page.number("fingerpost_brokers", &[], tables.brokers as u64);
    page.number("fingerpost_clusters", &[], tables.clusters as u64);
    page.number("fingerpost_registrations_total", &["accepted"], changes.registered.get());
    page.number("fingerpost_registrations_total", &["refused"], changes.refused.get());
    page.number("fingerpost_brokers_removed_total", &["unregistered"], changes.unregistered.get());
    page.number("fingerpost_brokers_removed_total", &["disconnected"], changes.disconnected.get());
    page.number("fingerpost_brokers_removed_total", &["expired"], changes.expired.get());
    for (damage, count) in core.routes.repairs() {
        page.number("fingerpost_repairs_total", &[damage_label(damage)], count);
    }
}

fn kv(page: &mut Page, core: &Core) {
    let entries = core.kv.snapshot().namespaces().values().map(|namespace| namespace.entries().len()).sum::<usize>();
    let counts = core.kv.counts();
    page.number("fingerpost_kv_entries", &[], entries as u64);
    page.number("fingerpost_kv_writes_total", &["done"], counts.writes);
    page.number("fingerpost_kv_writes_total", &["failed"], counts.writes_failed);
    page.number("fingerpost_kv_commits_total", &["done"], counts.commits);
    page.number("fingerpost_kv_commits_total", &["failed"], counts.commits_failed);
}

/// What the system knows of this process, where it says so.
fn process(page: &mut Page) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    // Behind the name, which may hold anything: user and system time are the 14th and 15th field, pages the 24th.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return };
    let field = |at: usize| fields.split(' ').nth(at - 3).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let cpu = Duration::from_nanos((field(14) + field(15)) * 1_000_000_000 / per_second);
    page.time("process_cpu_seconds_total", cpu);
    page.number("process_resident_memory_bytes", &[], field(24) * rustix::param::page_size() as u64);
}

fn damage_label(damage: Damage) -> &'static str {
    match damage {
        Damage::LiveNotListed => "live-not-listed",
        Damage::LiveWithoutMember => "live-without-member",
        Damage::LiveTwice => "live-twice",
        Damage::GroupWithoutAddress => "group-without-address",
        Damage::GroupNotListed => "group-not-listed",
        Damage::MemberWithoutLive => "member-without-live",
        Damage::MembersOutOfOrder => "members-out-of-order",
        Damage::ClusterEmpty => "cluster-empty",
        Damage::ClusterNamesNoGroup => "cluster-names-no-group",
        Damage::TopicWithoutEntry => "topic-without-entry",
        Damage::EntryWithoutGroup => "entry-without-group",
        Damage::EntriesOutOfOrder => "entries-out-of-order",
        Damage::MappingsEmpty => "mappings-empty",
        Damage::MappingWithoutGroup => "mapping-without-group",
        Damage::FilterServersEmpty => "filter-servers-empty",
        Damage::FilterServersWithoutBroker => "filter-servers-without-broker",
    }
}
