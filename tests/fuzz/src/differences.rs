//! A registration body told as a difference from the one before: with that one, it says what it says alone.

use fingerpost::body::registration::{Form, decode, decode_after};
use fingerpost::body::Limits;
use fingerpost::route::Imprint;

use crate::plain::NOW;

/// Tells `body`, then the same again, and then `next`.
pub(crate) fn check(body: &[u8], next: &[u8], form: Form, limits: &Limits) {
    let first = decode_after(body, form, NOW, limits, std::iter::empty());
    let whole = decode(body, form, NOW, limits);
    assert_eq!(first.as_ref().map(|told| &told.table), whole.as_ref());
    let (Ok(first), Ok(before)) = (first, whole) else { return };
    let Some(imprint) = first.imprint else { return };

    let again = decode_after(body, form, NOW, limits, std::iter::once(&imprint)).expect("it was well formed");
    assert_eq!(again.since.map(|since| since.kept), Some(before.topics.len()));

    let told = decode_after(next, form, NOW, limits, std::iter::once(&imprint));
    let whole = decode(next, form, NOW, limits);
    assert_eq!(told.is_ok(), whole.is_ok());
    let (Ok(told), Ok(mut whole)) = (told, whole) else { return };
    if let Some(since) = told.since {
        assert!(std::ptr::addr_eq(Imprint::as_ptr(&since.imprint), Imprint::as_ptr(&imprint)));
        assert_eq!(since.kept + told.table.topics.len(), whole.topics.len());
        whole.topics.retain(|topic| told.table.topics.contains(topic) || !before.topics.contains(topic));
        if since.mappings_kept {
            assert_eq!(whole.mappings, before.mappings);
            whole.mappings.clear();
        }
    }
    assert_eq!(told.table, whole);
}

/// The body with one byte changed or cut out, at a place that follows from what it holds.
pub(crate) fn neighbour(body: &[u8], how: u8) -> Vec<u8> {
    let mut next = body.to_vec();
    if !body.is_empty() {
        let at = usize::from(how).wrapping_mul(31) % body.len();
        if how.is_multiple_of(2) {
            next[at] = next[at].wrapping_add(1);
        } else {
            next.remove(at);
        }
    }
    next
}
