//! Which requests have been seen before: a reply is kept for whoever asks a second time.
//!
//! A table of tags that handles no collision: two requests that share a place drive each other out, and then one of
//! them is remembered a little later. Untouched, it takes no memory: a zeroed page is made when it is written.

/// A tag for each place; 0 is nothing.
#[derive(Debug)]
pub(super) struct Sight {
    tags: Box<[u16]>,
}

impl Sight {
    /// For about so many different requests.
    pub(super) fn new(requests: usize) -> Self {
        let places = requests.clamp(1 << 10, 1 << 20).next_power_of_two();
        Self { tags: vec![0; places].into_boxed_slice() }
    }

    /// Whether a request with this hash came lately; from now on, it did.
    pub(super) fn seen_before(&mut self, hash: u64) -> bool {
        let place = (hash >> 20) as usize & (self.tags.len() - 1);
        let tag = hash as u16 | 1;
        std::mem::replace(&mut self.tags[place], tag) == tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_seen_before_from_its_second_time_on() {
        let mut sight = Sight::new(0);

        assert!(!sight.seen_before(0));
        assert!(sight.seen_before(0));
        assert!(!sight.seen_before(0x1234_5678_9abc));
        assert!(sight.seen_before(0x1234_5678_9abc));
    }
}
