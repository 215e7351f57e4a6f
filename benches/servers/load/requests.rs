//! Requests other than lookups: writes of the KV store, and heartbeats.

use super::Work;
use super::wire::{Answer, OPAQUE_MIN, Template};
use crate::brokers::{BROKER_HEARTBEAT, Connection, broker_request};
use crate::common::cluster::{BROKERS, Sender};

const PUT_KV_CONFIG: i32 = 100;
const GET_KV_CONFIG: i32 = 101;
const NAMESPACE: &str = "BENCH";

/// Each put changes a value. A key belongs to one slot, so its last value is known.
pub(crate) struct Puts {
    template: Template,
    slots: usize,
    keys: usize,
    /// By key, what was put last, and what was last known to be stored.
    values: Vec<(u32, u32)>,
    /// By slot, its key.
    current: Vec<usize>,
    next_value: u32,
}

impl Puts {
    pub(crate) fn new(slots: usize, keys: usize) -> Self {
        let (key, value) = (key(0), value(0));
        let fields = [("namespace", NAMESPACE), ("key", &key), ("value", &value)];
        let frame = Sender::NEW.request(PUT_KV_CONFIG, &fields, OPAQUE_MIN as i32);
        Self {
            template: Template::new(&frame, &[&key, &value]),
            slots,
            keys,
            values: vec![(0, 0); keys],
            current: (0..slots).collect(),
            next_value: 1,
        }
    }

    /// Fails unless every key has the value that was put last and answered, or one that is on its way.
    pub(crate) fn assert_stored(&self, connection: &mut Connection) {
        for (number, (put, stored)) in self.values.iter().enumerate().filter(|(_, values)| values.1 > 0) {
            let fields = [("namespace", NAMESPACE), ("key", &key(number))];
            let answer = connection.ask(&Sender::NEW.request(GET_KV_CONFIG, &fields, 1));
            let header = String::from_utf8_lossy(answer.header);
            let is_known = [put, stored].iter().any(|known| header.contains(&value(**known)));
            assert!(is_known, "{} is neither {stored} nor {put}: {header}", key(number));
        }
    }
}

fn key(number: usize) -> String {
    format!("bench-key-{number:04}")
}

fn value(number: u32) -> String {
    format!("bench-value-{number:010}")
}

impl Work for Puts {
    fn ask(&mut self, slot: usize, opaque: u32, output: &mut Vec<u8>) {
        let next = self.current[slot] + self.slots;
        let key = if next < self.keys { next } else { slot };
        self.current[slot] = key;
        self.values[key].0 = self.next_value;
        self.template.append(opaque, &[key as u32, self.next_value], output);
        self.next_value += 1;
    }

    fn check(&mut self, slot: usize, answer: &Answer<'_>) {
        assert_eq!(answer.code, 0, "refused: {}", String::from_utf8_lossy(answer.header));
        let (put, stored) = &mut self.values[self.current[slot]];
        *stored = *put;
    }
}

/// Heartbeats of brokers that the server knows, as requests that are answered.
pub(crate) struct Heartbeats(Vec<Template>);

impl Heartbeats {
    pub(crate) fn new() -> Self {
        let template = |broker| Template::new(&broker_request(BROKER_HEARTBEAT, broker, OPAQUE_MIN as i32), &[]);
        Self((0..BROKERS).map(template).collect())
    }
}

impl Work for Heartbeats {
    fn ask(&mut self, slot: usize, opaque: u32, output: &mut Vec<u8>) {
        self.0[slot % self.0.len()].append(opaque, &[], output);
    }

    fn check(&mut self, _slot: usize, answer: &Answer<'_>) {
        assert_eq!(answer.code, 0, "refused: {}", String::from_utf8_lossy(answer.header));
    }
}
