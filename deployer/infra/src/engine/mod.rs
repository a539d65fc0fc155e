//! The engine: resources, the graph they form, the difference to what is live, and one walk.
//!
//! It has never heard of AWS. `C` stands for whatever a resource needs to reach its world: the real
//! one in [`crate::resources`], a fake one in this module's tests.
//!
//! A run has three stages, each a type that only the one before can make:
//!
//! 1. [`Graph`]: what is wanted. Built by plain code, without IO.
//! 2. [`Survey`]: the same graph after every resource was read. It yields a [`Plan`].
//! 3. [`Report`]: what came of carrying that plan out, every step in exactly one list.
//!
//! So nothing can be changed that wasn't read first, and a plan can be shown, saved and compared
//! before anything happens. The price: a resource is built twice, once to plan, once with the
//! outputs of its neighbours filled in.

mod apply;
mod course;
mod diff;
mod graph;
mod node;
mod plan;
mod resource;
mod survey;
mod value;
mod walk;

#[cfg(test)]
mod tests;

pub use apply::Report;
pub use course::Waits;
pub use diff::{Change, diff};
pub use graph::{Graph, Handle, Link, NodeInfo};
pub use plan::{Action, Plan, Step};
pub use resource::{Kind, Live, Owned, Owner, Resource, kind_uses};
pub use survey::{Failures, Foreign, Interrupted, Survey, survey_owned};
pub use value::{Secret, Value};
pub use walk::{Event, Observer, Outcome, Silent, Stop, Stopped, note, turn, walk};

/// How many resources are read or changed at once: all that can be. Most of them wait for AWS's quotas, which costs
/// some KB of memory; `retry.rs` says how many requests are under way.
pub const PARALLEL: usize = usize::MAX;
