//! One connection of the load.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};
use mio::net::TcpStream;

use super::Work;
use super::wire::{Answer, OPAQUE_MIN, frame_length};

/// More than sixteen answers.
pub(super) const INPUT_SIZE: usize = 256 * 1024;

/// Opaques of each slot. 1024 slots stay below the largest opaque.
const TURNS: u32 = 1_000_000;

pub(super) struct Client {
    pub(super) stream: TcpStream,
    slots: Vec<Slot>,
    /// The number of its first slot, over all connections.
    first_slot: usize,
    /// The beginning of an answer that is not there yet.
    rest: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    opaque_hint: usize,
}

/// One request in flight.
#[derive(Clone, Copy)]
struct Slot {
    opaque: u32,
    asked: Duration,
}

impl Client {
    pub(super) fn connect(address: SocketAddr, first_slot: usize, depth: usize) -> Self {
        let stream = std::net::TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).expect("a socket can be set so");
        let slot = |number| Slot { opaque: OPAQUE_MIN + (first_slot + number) as u32 * TURNS, asked: Duration::ZERO };
        Self {
            stream: TcpStream::from_std(stream),
            slots: (0..depth).map(slot).collect(),
            first_slot,
            rest: Vec::new(),
            output: Vec::new(),
            written: 0,
            opaque_hint: 0,
        }
    }

    /// Begins.
    pub(super) fn ask_all(&mut self, work: &mut impl Work, now: Duration) {
        for slot in 0..self.slots.len() {
            self.ask(slot, work, now);
        }
        self.write();
    }

    fn ask(&mut self, slot: usize, work: &mut impl Work, now: Duration) {
        let Slot { opaque, asked } = &mut self.slots[slot];
        // The turns of a slot are many enough that an answer that comes twice is noticed.
        *opaque = if (*opaque - OPAQUE_MIN) % TURNS == TURNS - 1 { *opaque + 1 - TURNS } else { *opaque + 1 };
        *asked = now;
        work.ask(self.first_slot + slot, *opaque, &mut self.output);
    }

    pub(super) fn write(&mut self) {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the server closed a connection: {error}"),
            }
        }
        self.output.clear();
        self.written = 0;
    }

    /// Reads until nothing is left, and asks again for every answer.
    pub(super) fn read(&mut self, scratch: &mut [u8], work: &mut impl Work, clock: &SystemClock, nanos: &mut Vec<u32>) {
        loop {
            let kept = self.rest.len();
            scratch[..kept].copy_from_slice(&self.rest);
            let room = &mut scratch[kept..];
            let size = room.len();
            let read = match self.stream.read(room) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the server closed a connection: {error}"),
            };
            self.take_answers(&scratch[..kept + read], work, clock.monotonic(), nanos);
            if read < size {
                return;
            }
        }
    }

    fn take_answers(&mut self, mut input: &[u8], work: &mut impl Work, now: Duration, nanos: &mut Vec<u32>) {
        while let Some(length) = frame_length(input) {
            assert!(length < INPUT_SIZE, "an answer of {length} bytes");
            let Some((frame, after)) = input.split_at_checked(length) else { break };
            let slot = self.check(frame, work);
            nanos.push((now - self.slots[slot].asked).as_nanos().try_into().unwrap_or(u32::MAX));
            self.ask(slot, work, now);
            input = after;
        }
        self.rest.clear();
        self.rest.extend_from_slice(input);
    }

    /// Whose answer it is.
    fn check(&mut self, frame: &[u8], work: &mut impl Work) -> usize {
        let answer = Answer::read(frame, &mut self.opaque_hint).expect("an answer has a header with an opaque");
        let asked = answer.opaque.checked_sub(OPAQUE_MIN).map(|number| (number / TURNS) as usize);
        let slot = asked.and_then(|number| number.checked_sub(self.first_slot));
        let slot = slot.filter(|slot| self.slots.get(*slot).is_some_and(|slot| slot.opaque == answer.opaque));
        let Some(slot) = slot else { panic!("an answer to no request, or a second one: opaque {}", answer.opaque) };
        work.check(self.first_slot + slot, &answer);
        slot
    }
}
