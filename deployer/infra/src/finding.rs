//! What a look at one thing found, and what helps where that isn't good.

use serde::Serialize;

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Works, or isn't needed for everything.
    Warning,
    /// With this, nothing can be deployed.
    Failed,
    /// Not looked at, because something else is missing first.
    Skipped,
}

/// One line of the doctor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub found: String,
    /// The remedy: what to type, or to do.
    pub next: Option<String>,
}

impl Finding {
    pub fn ok(found: impl Into<String>) -> Self {
        Self { level: Level::Ok, found: found.into(), next: None }
    }

    pub fn warning(found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { level: Level::Warning, found: found.into(), next: Some(next.into()) }
    }

    pub fn failed(found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { level: Level::Failed, found: found.into(), next: Some(next.into()) }
    }

    pub fn skipped(found: impl Into<String>) -> Self {
        Self { level: Level::Skipped, found: found.into(), next: None }
    }

    /// What isn't needed for what is asked about can't have failed.
    pub fn unless_needed(self, needed: bool) -> Self {
        match self.level {
            Level::Failed if !needed => Self { level: Level::Warning, ..self },
            _ => self,
        }
    }
}
