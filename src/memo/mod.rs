//! Replies that are given again without anybody being asked: a frame that equals an earlier one in all but its opaque,
//! and whose reply rests on nothing that has changed.
//!
//! Everything that a plugin learns comes through the host, so the host can note it ([`reads`]); a plugin that promises
//! to be pure says that its reply depends on nothing else. Each worker has a [`Memo`] of its own and takes no lock;
//! bodies are kept once for all of them ([`bodies`]).
//!
//! # Invariants
//!
//! * A hit compares the whole request, not its hash. It has the one opaque where the remembered request had its own.
//! * What a reply rests on is compared with what is published now, at the first request of each read from a socket at
//!   the latest: whatever was published before a request was sent counts for its reply.
//! * Who may ask is decided for every request, hit or not.
//! * What one generation of plugins and policies answered is not given again by the next.
//! * One hit in [`RECOMPUTED_ONE_IN`] is made again by its plugin. If nothing changed that it rests on and it comes out
//!   differently, a promise is broken, and whoever broke it loses the host's trust.
//! * What is thought of a plugin (whether it is taken out, whether it is trusted) is read like anything else.
//! * What is remembered is bounded in bytes; when it is full, what was not asked for lately makes room.

mod bodies;
mod counters;
mod reads;
mod sight;
mod store;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::BytesMut;

use crate::plugin::{Access, Catalogue, Core};
use crate::remoting::{Opaque, Stencil, guess_opaque, locate_opaque};
use crate::route::Tables;

pub use self::counters::MemoUsage;
pub(crate) use self::counters::{Counters, Tally};
pub(crate) use self::reads::{Fact, Reads, Unfit};

use self::bodies::Bodies;
use self::counters::count;
use self::sight::Sight;
use self::store::{Entry, Store};

/// One hit in so many is made again by its plugin.
const RECOMPUTED_ONE_IN: u32 = 4096;

/// Longer requests are not remembered. No lookup is.
const KEY_MAX: usize = 2048;

/// Larger replies are not remembered, if the memo is larger than a few of them at all.
const REPLY_MAX: usize = 256 * 1024;

/// What the memos of a server share.
pub(crate) struct Shared {
    bodies: Bodies,
    bytes_max: usize,
}

impl Shared {
    /// Each worker may remember so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bodies: Bodies::default(), bytes_max }
    }
}

/// The memo of one worker.
pub(crate) struct Memo {
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    store: Store,
    sight: Sight,
    /// Which generation of the plugins answers; what another one answered counts no more.
    generation: u32,
    moment: Moment,
    /// What the request was looked for as that is being answered now.
    sought: Option<Sought>,
    until_recomputed: u32,
    scratch: BytesMut,
}

/// Which publications the worker has seen. What was found to hold at a moment holds until the next.
///
/// Brokers often publish what no route shows, a new data version above all, and few replies rest on that. So moments
/// are counted twice, and most entries hold until a topic, a group or a key changes.
#[derive(Default)]
struct Moment {
    of_routes: u32,
    of_all_tables: u32,
    /// Whether somebody looked since the last batch.
    is_current: bool,
    seen: Versions,
    /// Held only while a batch is being answered, or an idle worker would keep old tables from being freed.
    held: Option<Arc<Tables>>,
}

/// Of all that can be published.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
struct Versions {
    tables: u64,
    routes: u64,
    kv: u64,
    settings: u64,
    reputes: u64,
}

struct Sought {
    hash: u64,
    opaque: Opaque,
    /// The remembered reply, which is stale or to be compared.
    known: Option<u32>,
    is_sample: bool,
}

/// What became of a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Promise {
    /// There was none to make, or it came out the same, or something had changed.
    Kept,
    /// The same reads led to another reply.
    Broken,
}

impl Memo {
    pub(crate) fn new(shared: Arc<Shared>, counters: Arc<Counters>) -> Self {
        // A lookup takes some hundreds of bytes.
        let sight = Sight::new(shared.bytes_max / 256);
        Self {
            store: Store::new(shared.bytes_max),
            sight,
            generation: 0,
            shared,
            counters,
            moment: Moment::default(),
            sought: None,
            until_recomputed: RECOMPUTED_ONE_IN,
            scratch: BytesMut::new(),
        }
    }

    /// From now on other plugins answer, or another chain of policies has a say. What is remembered makes room as it is
    /// asked for: to forget all of it now would hold the worker up.
    pub(crate) fn change_over(&mut self) {
        // A number comes back after four billion generations.
        self.generation = self.generation.wrapping_add(1);
    }

    /// What is answered next was not looked for.
    pub(crate) fn seek_nothing(&mut self) {
        self.sought = None;
    }

    /// Appends the remembered reply to a whole frame, if there is one and the sender may have it. Otherwise it knows,
    /// until [`Memo::remember`] is called, what to remember the reply for.
    pub(crate) fn recall(
        &mut self,
        frame: &[u8],
        (core, catalogue): (&Core, &Catalogue),
        may_ask: impl FnOnce(Access) -> bool,
        out: &mut BytesMut,
    ) -> bool {
        self.seek_nothing();
        let Some(opaque) = (frame.len() <= KEY_MAX).then(|| guess_opaque(frame)).flatten() else {
            count(&self.counters.unlike);
            return false;
        };
        let (before, after) = (&frame[..opaque.place.start], &frame[opaque.place.end..]);
        let hash = self.store.hash(before, after);
        self.look(core, catalogue);
        let Some(index) = self.store.find(hash, before, after) else {
            self.sought = Some(Sought { hash, opaque, known: None, is_sample: false });
            return false;
        };
        let entry = self.store.entry(index);
        let moment = self.moment.of(entry.is_of_all_tables);
        let is_current = entry.generation == self.generation;
        if !is_current || entry.moment != moment && !self.holds(index, core, catalogue) {
            self.sought = Some(Sought { hash, opaque, known: Some(index), is_sample: false });
            return false;
        }
        let entry = self.store.entry(index);
        if !may_ask(entry.access) {
            return false;
        }
        self.until_recomputed -= 1;
        if self.until_recomputed == 0 {
            self.until_recomputed = RECOMPUTED_ONE_IN;
            self.sought = Some(Sought { hash, opaque, known: Some(index), is_sample: true });
            return false;
        }
        entry.reply.write(opaque.value, out);
        self.store.use_again(index, moment);
        count(&self.counters.hits);
        true
    }

    /// Remembers the reply to the frame that was looked for last, if that can be done.
    pub(crate) fn remember(
        &mut self,
        frame: &[u8],
        reply: &[u8],
        access: Access,
        reads: &Reads,
        settings: u64,
    ) -> Promise {
        let Some(sought) = self.sought.take() else { return Promise::Kept };
        match sought.known {
            None => count(&self.counters.unknown),
            Some(_) if sought.is_sample => count(&self.counters.recomputed),
            Some(_) => count(&self.counters.stale),
        }
        let known = sought.known.filter(|known| self.store.is(*known, sought.hash));
        let facts = match reads.facts() {
            Ok(facts) => facts,
            Err(why) => {
                self.counters.unfit(why);
                if let Some(known) = known {
                    self.forget(known);
                }
                return Promise::Kept;
            }
        };
        if let Some(known) = known {
            // Settings are no fact: whoever answers otherwise since they changed has broken no promise.
            let is_same_moment = settings == self.moment.seen.settings;
            if sought.is_sample && is_same_moment && !self.comes_out(known, sought.opaque.value, reply, facts) {
                count(&self.counters.broken);
                self.forget(known);
                return Promise::Broken;
            }
            self.forget(known);
        } else if !self.sight.seen_before(sought.hash) {
            return Promise::Kept;
        }
        self.insert(frame, reply, access, facts, &sought);
        Promise::Kept
    }

    /// Nothing is under way: what was looked at may change from here on.
    pub(crate) fn batch_end(&mut self) {
        self.moment.is_current = false;
        self.moment.held = None;
        self.sought = None;
    }

    /// Looks at what is published, at the first request of each batch.
    fn look(&mut self, core: &Core, catalogue: &Catalogue) {
        let moment = &mut self.moment;
        if std::mem::replace(&mut moment.is_current, true) {
            return;
        }
        let (tables, routes) = core.routes.versions();
        let now = Versions {
            tables,
            routes,
            kv: core.kv.version(),
            settings: core.settings.version(),
            reputes: catalogue.reputes(),
        };
        let seen = std::mem::replace(&mut moment.seen, now);
        if now == seen {
            return;
        }
        // Whatever was found to hold at such a number has been asked for since, or does not come back after four
        // billion publications.
        moment.of_all_tables = moment.of_all_tables.wrapping_add(1);
        if (now.routes, now.kv, now.reputes) != (seen.routes, seen.kv, seen.reputes) {
            moment.of_routes = moment.of_routes.wrapping_add(1);
        }
        if now.settings != seen.settings {
            // They change so seldom that no reply notes which it rests on.
            self.store.clear(&self.shared.bodies);
            self.keep_count();
        }
    }

    /// Whether all that a reply rests on is still so.
    fn holds(&mut self, index: u32, core: &Core, catalogue: &Catalogue) -> bool {
        count(&self.counters.compared);
        let tables = self.moment.held.get_or_insert_with(|| core.routes.tables());
        self.store.entry(index).facts.iter().all(|fact| fact.holds(tables, &core.kv, catalogue))
    }

    /// Whether a plugin that learned the same gave the same reply again.
    fn comes_out(&mut self, known: u32, opaque: i32, reply: &[u8], facts: &[Fact]) -> bool {
        let entry = self.store.entry(known);
        self.scratch.clear();
        entry.reply.write(opaque, &mut self.scratch);
        *entry.facts != *facts || self.scratch == reply
    }

    fn insert(&mut self, frame: &[u8], reply: &[u8], access: Access, facts: &[Fact], sought: &Sought) {
        // Once for each entry, so that a hit need not.
        if locate_opaque(frame).as_ref() != Some(&sought.opaque) || reply.len() > REPLY_MAX {
            count(&self.counters.unlike);
            return;
        }
        let Some(stencil) = Stencil::of(reply, |body| self.shared.bodies.share(body)) else {
            count(&self.counters.unlike);
            return;
        };
        let place = &sought.opaque.place;
        let is_of_all_tables = facts.iter().any(Fact::is_of_all_tables);
        let entry = Entry {
            hash: sought.hash,
            key: [&frame[..place.start], &frame[place.end..]].concat().into(),
            cut: place.start,
            reply: stencil,
            facts: facts.into(),
            access,
            generation: self.generation,
            is_of_all_tables,
            moment: self.moment.of(is_of_all_tables),
            is_used: false,
        };
        let evicted = self.store.insert(entry, &self.shared.bodies);
        count(&self.counters.inserted);
        self.counters.evicted.fetch_add(evicted, Relaxed);
        self.keep_count();
    }

    fn forget(&mut self, index: u32) {
        self.store.remove(index, &self.shared.bodies);
        self.keep_count();
    }

    fn keep_count(&self) {
        self.counters.entries.store(self.store.len() as u64, Relaxed);
        self.counters.bytes.store(self.store.bytes() as u64, Relaxed);
    }
}

impl Moment {
    /// The number at which an entry holds.
    fn of(&self, is_of_all_tables: bool) -> u32 {
        if is_of_all_tables { self.of_all_tables } else { self.of_routes }
    }
}

impl Drop for Memo {
    fn drop(&mut self) {
        self.store.clear(&self.shared.bodies);
    }
}
