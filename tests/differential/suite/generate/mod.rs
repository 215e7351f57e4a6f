//! Makes sequences of operations from a seed: the same seed, the same bytes.
//!
//! Names come from small pools, so that operations meet: most of a sequence is what brokers, clients and operators do,
//! and some of it is what nobody should do.

mod admin;
mod broker;
mod client;
mod header;
mod pools;
mod spoiled;

use fastrand::Rng;

use super::oddities::{FORGIVEN, REFUSED, SHARED, UNCOUNTED};
use super::request::{Request, Sequence, Step, Wire};
use pools::World;

/// The connection of those who register nothing.
const CLIENT: Wire = 0;

/// Requests that may be sent in a row without their order being seen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lane {
    /// They change something; both servers keep the order of one connection.
    Writes,
    /// Writes of the KV store, which wait for the disk while others go on.
    Store,
    /// Nothing but unregister requests, which Java carries out later.
    Departures,
    /// They change nothing but times.
    Reads,
    /// Java has threads of their own for these.
    Lookups,
}

/// The longest row of requests over one connection.
const ROW_MAX: usize = 12;

/// The `index`th sequence of a run.
pub(crate) fn sequence(seed: u64, index: u64) -> Sequence {
    // Neighbours must not share their first numbers.
    let mixed = (seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut rng = Rng::with_seed(mixed ^ (mixed >> 29));
    let world = World::new(&mut rng);
    let mut sequence = Sequence { settings: admin::settings_at_start(&mut rng), ..Sequence::default() };
    sequence.binary_replies = rng.u8(..16) == 0;
    let mut budget = rng.usize(40..160);
    while budget > 0 {
        let row = step(&mut rng, &world, &mut sequence.steps);
        budget = budget.saturating_sub(row);
    }
    sequence
}

/// Appends a step, and says how many operations it has.
fn step(rng: &mut Rng, world: &World, steps: &mut Vec<Step>) -> usize {
    let others = match rng.u16(..1000) {
        0..10 => Some(vec![Step::Close { wire: world.any_wire(rng) }]),
        10..22 => Some(expiry(rng, world)),
        22..40 => Some(vec![Step::Spoil { wire: spoilt_wire(rng, world), bytes: spoiled::bytes(rng) }]),
        _ => None,
    };
    if let Some(others) = others {
        let count = others.len();
        steps.extend(others);
        return count;
    }
    let (lane, wire, first) = operation(rng, world);
    let mut requests = vec![first];
    if rng.u8(..3) == 0 {
        let length = rng.usize(1..ROW_MAX);
        // Of what would come next, that which may stand in this row.
        for _ in 0..length * 4 {
            let (other, other_wire, request) = operation(rng, world);
            if other == lane && (wire == CLIENT || wire == other_wire) && requests.len() < length {
                requests.push(request);
            }
        }
    }
    let count = requests.len();
    steps.push(Step::Ask { wire, requests });
    count
}

/// Time passes, some brokers say that they are there, more time passes, and the servers look.
fn expiry(rng: &mut Rng, world: &World) -> Vec<Step> {
    // However they add up, no timeout of a broker is near: the machine may be slow.
    let ages = [25_000, 25_000, 50_000, 125_000];
    let mut steps = vec![Step::Age { millis: ages[rng.usize(..ages.len())] }];
    if rng.bool() {
        let requests = (0..rng.usize(1..6)).map(|_| broker::sign_of_life(rng, world)).collect();
        steps.push(Step::Ask { wire: CLIENT, requests });
        steps.push(Step::Age { millis: ages[rng.usize(..ages.len())] });
    }
    steps.push(Step::Scan);
    steps
}

fn spoilt_wire(rng: &mut Rng, world: &World) -> Wire {
    if rng.u8(..4) == 0 { world.any_wire(rng) } else { pools::SPARE_WIRE }
}

fn operation(rng: &mut Rng, world: &World) -> (Lane, Wire, Request) {
    let (lane, wire, mut request) = match rng.u8(..100) {
        0..30 => broker::registration(rng, world),
        30..34 => (Lane::Departures, CLIENT, broker::departure(rng, world)),
        34..40 => (Lane::Reads, CLIENT, broker::sign_of_life(rng, world)),
        40..43 => (Lane::Reads, CLIENT, broker::member_group(rng, world)),
        43..63 => (Lane::Lookups, CLIENT, client::lookup(rng, world)),
        63..75 => (Lane::Reads, CLIENT, client::list(rng, world)),
        75..79 => (Lane::Writes, CLIENT, admin::permission(rng, world)),
        79..85 => (Lane::Writes, CLIENT, admin::topic(rng, world)),
        85..91 => (Lane::Store, CLIENT, admin::kv_write(rng, world)),
        91..94 => (Lane::Reads, CLIENT, admin::kv_read(rng, world)),
        94..97 => (Lane::Writes, CLIENT, admin::settings(rng)),
        _ => (Lane::Reads, CLIENT, admin::other(rng)),
    };
    header::vary(rng, &mut request);
    (lane, wire, request)
}

/// A document that is odd in one way or another.
fn odd(rng: &mut Rng, document: &str) -> Vec<u8> {
    let oddity = match rng.u8(..8) {
        0..3 => choose(rng, &SHARED),
        3..5 => choose(rng, &FORGIVEN),
        5 => choose(rng, &REFUSED),
        _ => choose(rng, &UNCOUNTED),
    };
    oddity.within(document)
}

/// One of a few.
fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

/// The same, by value.
fn choose<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    *pick(rng, from)
}

/// True once in so many times.
fn once_in(rng: &mut Rng, times: u32) -> bool {
    rng.u32(..times) == 0
}
