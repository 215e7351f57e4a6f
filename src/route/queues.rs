//! The queue entries of one topic: a slice that needs no memory of its own while there is one entry, as where each
//! topic lives on one broker. A registration then makes and frees half as many pieces of memory.

use std::ops::Deref;

use super::types::Queue;

/// The entries of a topic, read as a slice.
#[derive(Clone, Debug)]
pub struct Queues(Few);

#[derive(Clone, Debug)]
enum Few {
    One(Queue),
    /// None, or more than one.
    Many(Box<[Queue]>),
}

impl Queues {
    /// The same, with `queue` in the place of the entry at `at`, or before it where there is none to replace.
    pub(super) fn with(&self, at: Result<usize, usize>, queue: Queue) -> Self {
        if let (Few::One(_), Ok(_)) = (&self.0, at) {
            return Self(Few::One(queue));
        }
        // Exactly as long as needed, or making a box of it would copy it.
        let mut queues = Vec::with_capacity(self.len() + usize::from(at.is_err()));
        queues.extend_from_slice(self);
        match at {
            Ok(at) => queues[at] = queue,
            Err(at) => queues.insert(at, queue),
        }
        queues.into()
    }
}

impl Deref for Queues {
    type Target = [Queue];

    fn deref(&self) -> &[Queue] {
        match &self.0 {
            Few::One(queue) => std::slice::from_ref(queue),
            Few::Many(queues) => queues,
        }
    }
}

impl From<Queue> for Queues {
    fn from(queue: Queue) -> Self {
        Self(Few::One(queue))
    }
}

impl From<Vec<Queue>> for Queues {
    fn from(queues: Vec<Queue>) -> Self {
        Self(match <[Queue; 1]>::try_from(queues) {
            Ok([queue]) => Few::One(queue),
            Err(queues) => Few::Many(queues.into()),
        })
    }
}

impl PartialEq for Queues {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Queues {}
