//! Makes a failing sequence small: steps go, then requests of a row, then what a request says.
//!
//! Whatever is tried runs on servers that were started anew, and stays if something still differs.

use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use super::request::{Body, Encoding, Field, Form, Registration, Request, Sequence, Step, Sum};

/// A shrinker that does not end is no help.
const TIME_MAX: Duration = Duration::from_secs(40);

/// The smallest sequence found that still fails; `fails` plays one.
pub(crate) fn shrink(sequence: Sequence, fails: &mut dyn FnMut(&Sequence) -> bool) -> Sequence {
    let mut shrinker = Shrinker { best: sequence, fails, clock: SystemClock::default() };
    loop {
        let before = shrinker.best.clone();
        shrinker.drop_steps();
        shrinker.split_rows();
        shrinker.drop_settings();
        shrinker.simplify_requests();
        if shrinker.best == before || shrinker.clock.monotonic() > TIME_MAX {
            return shrinker.best;
        }
    }
}

struct Shrinker<'a> {
    best: Sequence,
    fails: &'a mut dyn FnMut(&Sequence) -> bool,
    clock: SystemClock,
}

impl Shrinker<'_> {
    /// Keeps a candidate that still fails.
    fn keep(&mut self, candidate: Sequence) -> bool {
        if candidate == self.best || self.clock.monotonic() > TIME_MAX {
            return false;
        }
        let fails = (self.fails)(&candidate);
        if fails {
            self.best = candidate;
        }
        fails
    }

    /// Takes out runs of steps, long ones first.
    fn drop_steps(&mut self) {
        let mut size = self.best.steps.len().div_ceil(2);
        while size > 0 {
            let mut end = self.best.steps.len();
            // From the end: what comes late needs what came before.
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut candidate = self.best.clone();
                candidate.steps.drain(start..end);
                self.keep(candidate);
                end = start.min(self.best.steps.len());
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Takes requests out of rows, and rows apart.
    fn split_rows(&mut self) {
        for at in (0..self.best.steps.len()).rev() {
            for nth in (0..row(&self.best, at).len()).rev() {
                self.edit_row(at, |row| drop(row.remove(nth)));
            }
            let mut candidate = self.best.clone();
            if let Some(Step::Ask { wire, requests }) = candidate.steps.get(at).cloned()
                && requests.len() > 1
            {
                let alone = requests.into_iter().map(|request| Step::Ask { wire, requests: vec![request] });
                candidate.steps.splice(at..=at, alone);
                self.keep(candidate);
            }
        }
    }

    fn drop_settings(&mut self) {
        let mut plain = self.best.clone();
        plain.binary_replies = false;
        self.keep(plain);
        for at in (0..self.best.settings.len()).rev() {
            let mut candidate = self.best.clone();
            candidate.settings.remove(at);
            self.keep(candidate);
        }
    }

    fn simplify_requests(&mut self) {
        for at in (0..self.best.steps.len()).rev() {
            for nth in 0..row(&self.best, at).len() {
                for edit in EDITS {
                    self.edit_row(at, |row| edit(&mut row[nth]));
                }
                let fields = |best: &Sequence| row(best, at)[nth].fields.as_ref().map_or(0, Vec::len);
                for field in (0..fields(&self.best)).rev() {
                    self.edit_row(at, |row| drop(row[nth].fields.as_mut().map(|fields| fields.remove(field))));
                }
                for field in 0..fields(&self.best) {
                    self.edit_row(at, |row| row[nth].fields.iter_mut().for_each(|fields| fields[field].raw = false));
                }
                self.simplify_registration(at, nth);
            }
        }
    }

    fn simplify_registration(&mut self, at: usize, nth: usize) {
        let published = |best: &Sequence| match &row(best, at)[nth].body {
            Body::Registration(published) => published.clone(),
            _ => Registration::default(),
        };
        for topic in (0..published(&self.best).topics.len()).rev() {
            self.edit_published(at, nth, |published| drop(published.topics.remove(topic)));
        }
        for topic in 0..published(&self.best).topics.len() {
            self.edit_published(at, nth, |published| published.topics[topic].more.clear());
            self.edit_published(at, nth, |published| {
                let topic = &mut published.topics[topic];
                (topic.read, topic.write, topic.perm, topic.sys_flag) = (None, None, None, None);
            });
        }
        for mapping in (0..published(&self.best).mappings.len()).rev() {
            self.edit_published(at, nth, |published| drop(published.mappings.remove(mapping)));
        }
        self.edit_published(at, nth, |published| published.filter_servers = None);
        self.edit_published(at, nth, |published| published.encoding = Encoding::Json);
    }

    fn edit_published(&mut self, at: usize, nth: usize, edit: impl FnOnce(&mut Registration)) {
        self.edit_row(at, |row| {
            if let Body::Registration(published) = &mut row[nth].body {
                edit(published);
            }
        });
    }

    fn edit_row(&mut self, at: usize, edit: impl FnOnce(&mut Vec<Request>)) {
        let mut candidate = self.best.clone();
        if let Some(Step::Ask { requests, .. }) = candidate.steps.get_mut(at) {
            edit(requests);
            if requests.is_empty() {
                candidate.steps.remove(at);
            }
            self.keep(candidate);
        }
    }
}

/// What makes any request simpler.
const EDITS: [fn(&mut Request); 7] = [
    |request| request.form = Form::Json,
    |request| request.members.clear(),
    |request| request.flag = 0,
    |request| request.version = 513,
    |request| request.sum = Sum::Absent,
    |request| request.body = Body::None,
    |request| request.fields = request.fields.take().filter(|fields: &Vec<Field>| !fields.is_empty()),
];

fn row(sequence: &Sequence, at: usize) -> &[Request] {
    match sequence.steps.get(at) {
        Some(Step::Ask { requests, .. }) => requests,
        _ => &[],
    }
}
