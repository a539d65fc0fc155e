//! API Gateway's lists, of which several resources want to know: while a stage is surveyed, each is read
//! once. At any other time they are read anew, for what was just made must be found.

use super::api_key::Key;
use super::deployments::Deployment;
use super::rest_api::Api;
use super::usage_plan::Plan;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, PoisonError};
use tokio::sync::Mutex;

#[derive(Default)]
pub struct Lists {
    kept: AtomicBool,
    pub(super) apis: List<Api>,
    pub(super) keys: List<Key>,
    pub(super) plans: List<Plan>,
    seen: std::sync::Mutex<Seen>,
    made: std::sync::Mutex<BTreeSet<String>>,
}

/// What was seen while a stage was read, for those who change it: under the lease nobody else does.
#[derive(Default)]
pub(super) struct Seen {
    /// Of the stage's API, if that was looked for.
    pub deployments: Option<Vec<Deployment>>,
    /// The stages of each usage plan, by its id.
    pub bound: BTreeMap<String, Vec<String>>,
    /// The packages that this run has uploaded since.
    pub uploaded: BTreeSet<String>,
}

/// Held while it is read, so that everybody else waits for the same answer.
pub(super) struct List<T>(Mutex<Option<Vec<T>>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl Lists {
    /// Reads each list at most once during a survey.
    pub async fn once<T>(&self, survey: impl Future<Output = T>) -> T {
        self.kept.store(true, Ordering::Relaxed);
        *self.seen() = Seen::default();
        let surveyed = survey.await;
        self.kept.store(false, Ordering::Relaxed);
        (*self.apis.0.lock().await, *self.keys.0.lock().await) = (None, None);
        *self.plans.0.lock().await = None;
        surveyed
    }

    /// The ids of what this run has made that only lists tell of.
    pub fn made(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn get<T: Clone>(
        &self,
        list: &List<T>,
        read: impl Future<Output = Result<Vec<T>>>,
    ) -> Result<Vec<T>> {
        if !self.kept.load(Ordering::Relaxed) {
            return read.await;
        }
        let mut kept = list.0.lock().await;
        if let Some(list) = &*kept {
            return Ok(list.clone());
        }
        Ok(kept.insert(read.await?).clone())
    }
}
