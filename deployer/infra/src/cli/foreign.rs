//! Access that the stack didn't create: shown by every run that reads the stage, removed when asked for.

use super::screen::{CHANGED, count, paint};
use crate::engine::Plan;
use crate::resources::{foreign_access, is_foreign};
use crate::run::Run;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Removal {
    /// Remove function URLs, event source mappings, policy statements and stages that the stack didn't create
    #[arg(long)]
    pub remove_foreign: bool,
}

impl Removal {
    /// Whether to remove it. A saved plan that removes something was made with the flag.
    pub fn asked(self, saved: Option<&Plan>) -> bool {
        let steps = saved.into_iter().flat_map(|plan| &plan.steps);
        let mut changes = steps.flat_map(|step| &step.changes);
        self.remove_foreign || changes.any(|change| is_foreign(&change.path))
    }
}

/// What the last survey found and left, and how to remove it.
pub fn lines(aws: &Run) -> Vec<String> {
    let found = foreign_access(aws);
    let line = |of: &str, what: String| format!("{} {of}: {what}", paint(CHANGED, "!"));
    let mut lines: Vec<String> =
        found.iter().flat_map(|(of, access)| access.lines().map(|what| line(of, what))).collect();
    if !lines.is_empty() {
        let number = count(lines.len(), "way");
        lines.push(format!(
            "{number} of access that this stack didn't create; deploys leave them, and \
             `deploy --remove-foreign` removes them"
        ));
    }
    lines
}

pub fn json(aws: &Run) -> Value {
    json!(foreign_access(aws))
}

/// Whether there is any.
pub fn is_there(aws: &Run) -> bool {
    !foreign_access(aws).is_empty()
}
