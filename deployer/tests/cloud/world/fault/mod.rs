//! What can go wrong, one primitive each. What AWS does is taken from its documentation and from what
//! others have recorded of it; the words are AWS's.

mod broken;
mod denied;
mod gateway;
mod lambda;
mod lists;
mod names;
mod outage;
mod pages;
mod quota;
mod serial;

pub use broken::{At, Break, EachOnce, ErrorIn200};
pub use denied::{Conflict, TagConditionedDelete, TagsOfNoDashboard};
pub use gateway::{SlowImport, SlowRoutes, Status};
pub use lambda::{Busy, LostStatements, Propagation};
pub use lists::StaleLists;
pub use names::{Ghosts, Tomb, Young};
pub use outage::Outage;
pub use pages::{PagesOfOne, XmlPagesOfOne};
pub use quota::{Always, Throttle};
pub use serial::Serial;

use super::{Request, Response};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use std::time::Duration;

/// What becomes of a request.
pub enum Verdict {
    Pass,
    /// Instead of being served, or instead of what it was answered.
    Answer(Response),
    /// The connection breaks: before it is served, or before its answer arrives.
    Cut,
    /// The run is killed here.
    Kill,
    /// The answer arrives, and the run is killed before it can ask anything else.
    Doom,
    /// Somebody else does this too.
    Then(Box<HttpRequest>),
}

/// Sees every request before it is served and every answer before it arrives. Times are since the
/// world began.
pub trait Fault: Send {
    /// Whether it only wants to see what all others have let pass.
    fn is_last(&self) -> bool {
        false
    }

    /// Changes what is asked for.
    fn rewrite(&self, _: &Request, _: &mut HttpRequest) {}

    fn before(&mut self, _: &Request, _: Duration) -> Verdict {
        Verdict::Pass
    }

    fn after(&mut self, _: &Request, _: &mut Response, _: Duration) -> Verdict {
        Verdict::Pass
    }
}

/// Everything that AWS does all the time, and emulators never.
pub fn aws_like(world: super::World) -> super::World {
    let seconds = Duration::from_secs;
    world
        .with(Throttle::default())
        .with(Propagation::of(seconds(15)))
        .with(Busy::of(seconds(3)))
        .with(Serial::default())
        .with(StaleLists::by(seconds(10)))
        .with(Young::of(seconds(2)))
        .with(Ghosts::default())
        .with(TagConditionedDelete::default())
}
