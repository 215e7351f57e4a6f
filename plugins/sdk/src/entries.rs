//! What operators tell a plugin in the KV store, where they can change it while the server runs.

use std::cell::RefCell;
use std::rc::Rc;

use crate::{kv, log};

/// A namespace whose entries each say something that has to be read: a rule, an order, a share.
///
/// They are read when they have changed, and not at every call. It has to be kept where it outlives a call:
///
/// ```ignore
/// thread_local! {
///     static RULES: Entries<Rule> = const { Entries::new("my-policy") };
/// }
///
/// fn select() {
///     let Some(rules) = RULES.with(|rules| rules.read(|_key, value| Rule::parse(value))) else { return };
///     …
/// }
/// ```
#[derive(Debug)]
pub struct Entries<T> {
    namespace: &'static str,
    known: RefCell<Option<Known<T>>>,
}

/// What the entries were, and what they say.
#[derive(Debug)]
struct Known<T> {
    entries: Vec<(String, String)>,
    said: Rc<[T]>,
}

impl<T> Entries<T> {
    /// The entries of a namespace, of which none is known yet.
    pub const fn new(namespace: &'static str) -> Self {
        Self { namespace, known: RefCell::new(None) }
    }

    /// What each entry says, in the order of the keys, by `parse`, which is given key and value; none when there are no
    /// entries.
    ///
    /// One that `parse` refuses is left out. The server's log is told why, by each instance when it reads the entry:
    /// so begin the reason with what is wrong and end it with what would be right.
    pub fn read(&self, parse: impl Fn(&str, &str) -> Result<T, String>) -> Option<Rc<[T]>> {
        let entries = kv::entries(self.namespace).filter(|entries| !entries.is_empty())?;
        Some(self.said_by(entries, parse, |line| log::write(log::Level::Error, line)))
    }

    fn said_by(
        &self,
        entries: Vec<(String, String)>,
        parse: impl Fn(&str, &str) -> Result<T, String>,
        tell: impl Fn(&str),
    ) -> Rc<[T]> {
        if let Some(known) = &*self.known.borrow()
            && known.entries == entries
        {
            return Rc::clone(&known.said);
        }
        let said = |(key, value): &(String, String)| {
            let refused = |why: String| {
                tell(&["the KV entry `", key, "` of `", self.namespace, "` is left out: ", &why].concat());
            };
            parse(key, value).map_err(refused).ok()
        };
        let said: Rc<[T]> = entries.iter().filter_map(said).collect();
        *self.known.borrow_mut() = Some(Known { entries, said: Rc::clone(&said) });
        said
    }
}

/// The words of a value: what stands between blanks or commas.
pub fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(|letter: char| letter.is_whitespace() || letter == ',').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Numbers, how often one was read, and what was told.
    struct Numbers {
        entries: Entries<i32>,
        reads: Cell<usize>,
        told: RefCell<Vec<String>>,
    }

    impl Numbers {
        fn new() -> Self {
            Self { entries: Entries::new("numbers"), reads: Cell::new(0), told: RefCell::default() }
        }

        fn of(&self, entries: &[(&str, &str)]) -> Vec<i32> {
            let parse = |_: &str, value: &str| {
                self.reads.set(self.reads.get() + 1);
                value.parse().map_err(|_| ["`", value, "` is no number"].concat())
            };
            let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            self.entries.said_by(entries, parse, |line| self.told.borrow_mut().push(line.to_owned())).to_vec()
        }
    }

    #[test]
    fn entries_are_read_when_one_has_changed_and_not_before() {
        let numbers = Numbers::new();

        assert_eq!(numbers.of(&[("a", "1"), ("b", "2")]), [1, 2]);
        assert_eq!(numbers.of(&[("a", "1"), ("b", "2")]), [1, 2]);
        assert_eq!(numbers.reads.get(), 2);
        assert_eq!(numbers.of(&[("a", "1"), ("b", "3")]), [1, 3]);
        assert_eq!(numbers.of(&[("a", "1"), ("c", "3")]), [1, 3], "another key is another entry");
        assert_eq!(numbers.reads.get(), 6);
    }

    #[test]
    fn an_entry_that_is_refused_is_left_out_and_told_once() {
        let numbers = Numbers::new();

        for _ in 0..3 {
            assert_eq!(numbers.of(&[("a", "1"), ("b", "two"), ("c", "3")]), [1, 3]);
        }

        assert_eq!(*numbers.told.borrow(), ["the KV entry `b` of `numbers` is left out: `two` is no number"]);
    }

    #[test]
    fn words_stand_between_blanks_or_commas() {
        assert_eq!(words(" a,b\t c ,\n, d ").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(words(" , ").count(), 0);
    }
}
