//! The first look at a request: what the host finds out before it enters a processor that glances, and what that may
//! decide by a number. See `wit/glance.wit`.

use super::check::Marks;
use super::core::Core;
use super::manifest::GlanceEntry;
use super::wasm::CallError;
use crate::body::route::Style;
use crate::config::Snapshot;
use crate::remoting::Command;
use crate::route::Route;

/// What to look at, for one request code.
#[derive(Debug)]
pub(crate) struct Glance {
    field: String,
    marks: Marks,
}

/// What there was to see. All of it counts as read by the call, whatever the processor decides.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The route of the topic that the field names.
    pub(crate) route: Option<Route>,
    pub(crate) marks: u32,
}

/// What is answered on that alone.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing; the processor looks closer.
    LookCloser,
    /// Success, with the route.
    Route(Route, Style),
}

impl Glance {
    /// None when a mark names a setting that is no flag.
    pub(crate) fn new(entry: &GlanceEntry) -> Option<Self> {
        Some(Self { field: entry.route_by_field.clone(), marks: Marks::new(&entry.marks)? })
    }

    /// The field that names the topic.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// Looks.
    pub(crate) fn look(&self, request: &Command, settings: &Snapshot, core: &Core) -> Sight {
        let marks = self.marks.of(request, settings);
        let route = request.field(&self.field).and_then(|topic| core.routes.tables().route(topic));
        Sight { route, marks }
    }
}

impl Sight {
    /// The arguments of the guest's `glance`.
    pub(crate) fn arguments(&self, request: &Command) -> (i32, i32, u32, u32) {
        (request.code, request.version, u32::from(self.route.is_some()), self.marks)
    }

    /// What the guest's answer means. One that means nothing is the guest's failure.
    pub(crate) fn verdict(self, answer: u32) -> Result<Verdict, CallError> {
        match (answer, self.route) {
            (0, _) => Ok(Verdict::LookCloser),
            (1, Some(route)) => Ok(Verdict::Route(route, Style::Standard)),
            (2, Some(route)) => Ok(Verdict::Route(route, Style::BareKeys)),
            (1 | 2, None) => Err(CallError::Reply("its glance answers with a route that there is not".to_owned())),
            _ => Err(CallError::Reply(format!("its glance answers {answer}, which means nothing"))),
        }
    }
}
