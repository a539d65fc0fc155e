//! The plan: what will be done, as a value that can be shown, saved and compared.

use super::Change;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised when a saved plan or `plan --json` changes in a way that readers must know of.
pub const FORMAT_VERSION: u32 = 1;

/// Everything that will be done, and everything that was looked at and is fine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub format_version: u32,
    /// Where it applies and with what: app, stage, account, region, version, commit.
    pub target: BTreeMap<String, String>,
    pub steps: Vec<Step>,
}

/// One resource and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub action: Action,
    pub kind: String,
    pub name: String,
    /// What AWS calls it, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

impl Step {
    /// "role ops-api-dev-health": how a resource is named everywhere.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    Delete,
    Keep,
}

impl Plan {
    /// How many steps have this action.
    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.is_all(Action::Keep)
    }

    /// Whether all steps have this action.
    pub fn is_all(&self, action: Action) -> bool {
        self.steps.iter().all(|step| step.action == action)
    }

    /// Reads a saved plan, refusing what this version can't honour.
    pub fn parse(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let Version { format_version } = serde_json::from_str(text)?;
        if format_version != FORMAT_VERSION {
            bail!("its format is version {format_version}, this deployer reads {FORMAT_VERSION}");
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The titles of the steps in which two plans disagree.
    pub fn disagreements(&self, other: &Self) -> Vec<String> {
        let only_in = |a: &Self, b: &Self| {
            let differs = |step: &&Step| !b.steps.contains(step);
            a.steps.iter().filter(differs).map(Step::title).collect::<Vec<_>>()
        };
        let mut titles = only_in(self, other);
        titles.extend(only_in(other, self));
        titles.sort();
        titles.dedup();
        titles
    }
}
