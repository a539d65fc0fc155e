//! Carrying a plan out: the same walk again, now changing things.

use super::walk::{answered, walk};
use super::{Action, Observer, Outcome, PARALLEL, Step, Stop, Survey, Waits, kind_uses};
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
                        let deleting = || format!("deleting {} {}", kind.name, owned.name);
                        (kind.delete)(cx, owned.id.clone()).await.with_context(deleting)?;
                        answered();
                        (kind.gone)(cx, owned.id.clone()).await.with_context(deleting)
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

    /// For each step, what it waits for: where nothing else is said, until the others have answered,
    /// but for a leftover, until those that stay have moved on.
    fn order(&self) -> Vec<Waits> {
        let kinds: Vec<&str> = (self.nodes.iter().map(|node| node.kind()))
            .chain(self.leftovers.iter().map(|(kind, _)| kind.name))
            .collect();
        let uses = kind_uses(self.kinds);
        let users_of = |kind: &str| {
            let user =
                |&other: &usize| uses.get(kinds[other]).is_some_and(|used| used.contains(kind));
            (0..kinds.len()).filter(user).collect::<BTreeSet<_>>()
        };
        let declared = self.nodes.iter().map(|node| Waits {
            uses: node.uses().clone(),
            answered: node.needs().clone(),
            early: node.begins_early(),
        });
        let leftovers = self.leftovers.iter().map(|(kind, _)| {
            let uses = users_of(kind.name);
            let leaving = |&&user: &&usize| user >= self.nodes.len() && !kind.early;
            Waits {
                answered: uses.iter().filter(leaving).copied().collect(),
                uses,
                early: kind.early,
            }
        });
        declared.chain(leftovers).collect()
    }
}
