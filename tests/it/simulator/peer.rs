//! A peer of the simulated server: what it asks, how its bytes come and go, and what it may expect.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, BytesMut};
use fingerpost::net::MemoryPeer;
use fingerpost::remoting::Command;

use super::model::{Answer, Model, Request};

/// One connection, from the client's end.
pub(super) struct Peer {
    at: usize,
    /// None once it has gone.
    pipe: Option<MemoryPeer>,
    /// It reads no more than it already has, because it said that it leaves.
    finished: bool,
    /// The server may close it, for a reason that the simulation gave.
    may_be_closed: bool,
    ticks: u32,
    opaque: i32,
    outgoing: BytesMut,
    incoming: BytesMut,
    /// Asked, and not yet handled by a worker.
    asked: VecDeque<Asked>,
    /// Handed to the lane, and not yet run.
    in_lane: VecDeque<Asked>,
    /// Answered by the model, and not yet by the server.
    expected: BTreeMap<i32, (Request, Answer)>,
}

#[derive(Clone, Debug)]
struct Asked {
    opaque: i32,
    request: Request,
    is_oneway: bool,
}

/// What a peer did, if it did anything; or what was wrong.
type Did = Result<Option<String>, String>;

impl Peer {
    pub(super) fn new(at: usize, pipe: MemoryPeer) -> Self {
        Self {
            at,
            pipe: Some(pipe),
            finished: false,
            may_be_closed: false,
            ticks: 0,
            opaque: 0,
            outgoing: BytesMut::new(),
            incoming: BytesMut::new(),
            asked: VecDeque::new(),
            in_lane: VecDeque::new(),
            expected: BTreeMap::new(),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.pipe.is_some()
    }

    // What it does.

    pub(super) fn ask(&mut self, random: &mut fastrand::Rng) -> Did {
        if self.finished {
            return Ok(None);
        }
        let request = Request::random(random);
        let is_oneway = random.u32(..6) == 0;
        self.opaque += 1;
        let ask = if is_oneway { request.ask().oneway() } else { request.ask() };
        self.outgoing.extend_from_slice(&ask.frame(self.opaque));
        let text = format!("asks {}{} {request:?}", self.opaque, if is_oneway { " oneway" } else { "" });
        self.asked.push_back(Asked { opaque: self.opaque, request, is_oneway });
        Ok(Some(text))
    }

    pub(super) fn send(&mut self, most: usize) -> Did {
        let Some(pipe) = self.pipe.as_ref().filter(|_| !self.outgoing.is_empty() && !self.finished) else {
            return Ok(None);
        };
        let piece = &self.outgoing[..most.min(self.outgoing.len())];
        match pipe.send(piece) {
            Ok(0) => Ok(None),
            Ok(sent) => {
                self.outgoing.advance(sent);
                Ok(Some(format!("sends {sent} bytes")))
            }
            Err(error) if self.may_be_closed => {
                self.pipe = None;
                Ok(Some(format!("is closed: {error}")))
            }
            Err(error) => Err(format!("the server closed peer {} for no reason: {error}", self.at)),
        }
    }

    pub(super) fn receive(&mut self, most: usize) -> Did {
        let Some(pipe) = &self.pipe else { return Ok(None) };
        if pipe.is_at_end() {
            self.pipe = None;
            let may_be_closed = self.may_be_closed || self.finished;
            let end = || format!("the server closed peer {} for no reason", self.at);
            return if may_be_closed { Ok(Some("is at the end".to_owned())) } else { Err(end()) };
        }
        let bytes = pipe.receive(most);
        if bytes.is_empty() {
            return Ok(None);
        }
        self.incoming.extend_from_slice(&bytes);
        let mut text = format!("receives {} bytes:", bytes.len());
        while let Some(length) = self.incoming.first_chunk::<4>() {
            let size = 4 + u32::from_be_bytes(*length) as usize;
            if self.incoming.len() < size {
                break;
            }
            let reply = Command::decode(self.incoming.split_to(size).freeze());
            let reply = reply.map_err(|error| format!("peer {}: not a frame: {error}", self.at))?;
            text += &format!(" {}", self.reply(&reply)?);
        }
        Ok(Some(text))
    }

    fn reply(&mut self, reply: &Command) -> Result<String, String> {
        let (at, opaque) = (self.at, reply.opaque);
        let Some((request, answer)) = self.expected.remove(&opaque) else {
            return Err(format!(
                "peer {at}: a reply to {opaque}, which was answered, oneway, or never asked: {reply:?}"
            ));
        };
        let read = request.read(reply);
        if !reply.is_response() || read != answer {
            let remark = reply.remark.as_deref().unwrap_or_default();
            return Err(format!("peer {at}: {opaque} {request:?}: not {answer:?}, but {read:?} {remark}"));
        }
        Ok(format!("{opaque}={}", reply.code))
    }

    /// Leaves, and takes no notice of anything any more.
    pub(super) fn reset(&mut self) -> Did {
        Ok(self.pipe.take().map(|_| "leaves".to_owned()))
    }

    /// Says that it sends no more.
    pub(super) fn finish(&mut self) -> Did {
        let Some(pipe) = self.pipe.as_ref().filter(|_| !self.finished) else { return Ok(None) };
        pipe.finish();
        self.finished = true;
        Ok(Some("finishes".to_owned()))
    }

    // What happens to it.

    pub(super) fn may_be_closed(&mut self) {
        self.may_be_closed = true;
    }

    /// The timer of idle connections has ticked. Nobody here knows when the server last heard of this peer, so it may
    /// be closed when there have been as many as a whole silence has.
    pub(super) fn ticked(&mut self, ticks: u32) {
        self.ticks += ticks;
        self.may_be_closed |= self.ticks >= SILENCE_TICKS;
    }

    /// A worker handled the next of its frames.
    pub(super) fn handled(&mut self, model: &mut Model, now: u64) -> Result<(), String> {
        let Some(asked) = self.asked.pop_front() else {
            return Err(format!("peer {}: more frames were handled than sent", self.at));
        };
        if asked.request.is_for_worker() {
            self.answer(asked, model, now);
        } else {
            self.in_lane.push_back(asked);
        }
        Ok(())
    }

    /// The lane ran a job, which must have been the next one.
    pub(super) fn job_ran(&mut self, model: &mut Model, now: u64) -> Result<(), String> {
        let Some(asked) = self.in_lane.pop_front() else {
            return Err(format!("peer {}: more jobs were run than handed over", self.at));
        };
        self.answer(asked, model, now);
        Ok(())
    }

    fn answer(&mut self, asked: Asked, model: &mut Model, now: u64) {
        let answer = model.apply(&asked.request, self.at, now);
        if !asked.is_oneway {
            self.expected.insert(asked.opaque, (asked.request, answer));
        }
    }

    /// The lane heard of its close, behind its jobs. One that had no room in the lane yet goes with the connection.
    pub(super) fn closed(&mut self) -> Result<(), String> {
        if self.in_lane.len() > 1 {
            return Err(format!("peer {}: its close came before {:?}", self.at, self.in_lane));
        }
        Ok(())
    }

    /// Nothing that it waits for is missing, unless it left or was sent away.
    pub(super) fn owes_nothing(&self) -> Result<(), String> {
        if !self.is_there() || self.finished || self.may_be_closed {
            return Ok(());
        }
        let (asked, in_lane, expected) = (&self.asked, &self.in_lane, &self.expected);
        if !asked.is_empty() || !in_lane.is_empty() || !expected.is_empty() || !self.outgoing.is_empty() {
            let at = self.at;
            return Err(format!(
                "peer {at} waits: not handled {asked:?}, not run {in_lane:?}, not answered {expected:?}"
            ));
        }
        Ok(())
    }
}

/// No timeout is shorter.
const SILENCE_TICKS: u32 = 15;
