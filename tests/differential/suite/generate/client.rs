//! What clients and tools ask: routes, clusters and lists.

use fastrand::Rng;

use super::super::request::Request;
use super::pools::{World, ZONES};
use super::{choose, once_in};

/// 105
pub(super) fn lookup(rng: &mut Rng, world: &World) -> Request {
    let mut request = Request::new(105);
    if !once_in(rng, 60) {
        request = request.field("topic", world.topic(rng));
    }
    if once_in(rng, 6) {
        request = request.field("acceptStandardJsonOnly", choose(rng, &["true", "false", "TRUE", "1", ""]));
    }
    if once_in(rng, 6) {
        let zone = if once_in(rng, 6) { " " } else { choose(rng, &ZONES) };
        request = request.field("__ZONE_MODE", choose(rng, &["true", "true", "True", "false", ""]));
        if !once_in(rng, 8) {
            request = request.field("__ZONE_NAME", zone);
        }
    }
    request
}

/// 106, 206, 224, 304, 311, 312 and 313
pub(super) fn list(rng: &mut Rng, world: &World) -> Request {
    let code = choose(rng, &[106, 106, 206, 224, 224, 304, 311, 312, 313]);
    let request = Request::new(code);
    match code {
        224 if !once_in(rng, 20) => request.field("cluster", world.cluster(rng)),
        _ => request,
    }
}
