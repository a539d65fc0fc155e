//! Carrying a plan out: the same walk again, now changing things.

use super::{Action, Observer, Outcome, PARALLEL, Step, Stop, Survey, kind_uses, walk};
use anyhow::{Context, Error};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What came of a plan: every step that wasn't [`Action::Keep`] is in exactly one list.
#[derive(Debug, Default)]
pub struct Report {
    pub done: Vec<Step>,
    pub failed: Vec<(Step, Error)>,
    /// With the title of the step that failed before it.
    pub skipped: Vec<(Step, String)>,
    /// Not begun or not finished because the run was asked to stop.
    pub stopped: Vec<Step>,
}

impl Report {
    /// True when everything in the plan was done.
    pub fn complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && self.stopped.is_empty()
    }
}

impl<C: Sync + 'static> Survey<'_, C> {
    /// Does what [`plan`](Survey::plan) says. Indices heard by `observer` are those of its steps.
    ///
    /// A resource starts when all it uses is done; a leftover is deleted when all that might still
    /// use it has moved on.
    pub async fn carry_out(&self, cx: &C, stop: &Stop, observer: Arc<dyn Observer>) -> Report {
        let steps = self.all_steps();
        let outcomes = walk(&self.order(), PARALLEL, stop, observer, |index| {
            let nodes = self.nodes.len();
            match self.nodes.get(index) {
                Some(node) => node.apply(cx, steps[index].action),
                None => {
                    let (kind, owned) = &self.leftovers[index - nodes];
                    Box::pin(async move {
                        let deleted = (kind.delete)(cx, owned.id.clone()).await;
                        deleted.with_context(|| format!("deleting {} {}", kind.name, owned.name))
                    })
                }
            }
        })
        .await;
        let mut report = Report::default();
        let titles: Vec<String> = steps.iter().map(Step::title).collect();
        for (step, outcome) in steps.into_iter().zip(outcomes) {
            match outcome {
                _ if step.action == Action::Keep => {}
                Outcome::Done(()) => report.done.push(step),
                Outcome::Failed(error) => report.failed.push((step, error)),
                Outcome::Skipped(cause) => report.skipped.push((step, titles[cause].clone())),
                Outcome::Stopped => report.stopped.push(step),
            }
        }
        report
    }

    /// For each step, the steps that come before it.
    fn order(&self) -> Vec<BTreeSet<usize>> {
        let kinds: Vec<&str> = (self.nodes.iter().map(|node| node.kind()))
            .chain(self.leftovers.iter().map(|(kind, _)| kind.name))
            .collect();
        let uses = kind_uses(self.kinds);
        let users_of = |kind: &str| {
            let user =
                |&other: &usize| uses.get(kinds[other]).is_some_and(|used| used.contains(kind));
            (0..kinds.len()).filter(user).collect::<BTreeSet<_>>()
        };
        let mut order: Vec<_> = self.nodes.iter().map(|node| node.uses().clone()).collect();
        order.extend(self.leftovers.iter().map(|(kind, _)| users_of(kind.name)));
        order
    }
}
