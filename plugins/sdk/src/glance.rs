//! A first look, for processors whose usual answer needs no more than a few numbers.

use crate::Processor;
use crate::reply::JsonStyle;

/// A processor that decides most requests at a glance. Make it a component with
/// [`export_processor!(Plugin, glancing)`](crate::export_processor); the entries of its codes in the manifest say what it
/// is shown (`[codes.glance]`).
pub trait Glancing: Processor {
    /// Decides what can be decided on `sight` alone. Nothing but [`log`](crate::log) may be called meanwhile: what needs
    /// more is for [`Processor::handle`], which must be able to answer every request without a glance.
    fn glance(sight: &Sight) -> Verdict;
}

/// What the server has looked at before it asks.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// The request code; one of the manifest's.
    pub code: i32,
    /// The client's version, as [`request::version`](crate::request::version).
    pub version: i32,
    /// Whether the topic that the field `route-by-field` names has a route.
    pub has_route: bool,
    marks: u32,
}

impl Sight {
    /// What an exported `glance` was handed. Not for plugins, except for their tests.
    pub fn new(code: i32, version: i32, route: u32, marks: u32) -> Self {
        Self { code, version, has_route: route != 0, marks }
    }

    /// Whether a mark of the manifest holds; the first is number 0.
    pub fn mark(&self, number: u32) -> bool {
        self.marks.checked_shr(number).is_some_and(|marks| marks & 1 != 0)
    }
}

/// What to do about a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Call [`Processor::handle`].
    #[default]
    LookCloser,
    /// Answer with the route, which there must be, in this style.
    Route(JsonStyle),
}

/// What an exported `glance` does. Not for plugins.
#[doc(hidden)]
pub fn glance<P: Glancing>(code: i32, version: i32, route: u32, marks: u32) -> u32 {
    match P::glance(&Sight::new(code, version, route, marks)) {
        Verdict::LookCloser => 0,
        Verdict::Route(JsonStyle::Standard) => 1,
        Verdict::Route(JsonStyle::BareKeys) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_bit() {
        let sight = Sight::new(7, 1, 0, 0b101);

        assert!(sight.mark(0) && !sight.mark(1) && sight.mark(2));
        assert!(!sight.mark(32), "there are no more than 32");
        assert!(!sight.has_route);
    }
}
