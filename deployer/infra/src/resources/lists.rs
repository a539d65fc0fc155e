//! What several resources want to know, lists above all: while a stage is surveyed, each is read once. At any
//! other time they are read anew, for what was just made must be found.

use super::api_key::Key;
use super::deployments::Deployment;
use super::foreign_access::{ForeignAccess, Mapping};
use super::in_flight::InFlight;
use super::rest_api::Api;
use super::serving::Serving;
use super::usage_plan::{Bound, Plan};
use crate::env::Tags;
use anyhow::Result;
use aws_sdk_cloudwatch::types::MetricAlarm;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use tokio::sync::{Mutex, OnceCell};

#[derive(Default)]
pub struct Lists {
    kept: AtomicBool,
    pub(super) apis: List<Api>,
    pub(super) keys: List<Key>,
    pub(super) plans: List<Plan>,
    /// Event source mappings.
    pub(super) mappings: List<Mapping>,
    pub(super) alarms: List<(MetricAlarm, Tags)>,
    /// Turns to call functions, for the whole run.
    pub(super) in_flight: OnceCell<InFlight>,
    /// What each function's alias serves.
    aliases: Mutex<BTreeMap<String, Arc<OnceCell<Option<String>>>>>,
    seen: std::sync::Mutex<Seen>,
    made: std::sync::Mutex<BTreeSet<String>>,
}

/// What was seen while a stage was read, for those who change it: under the lease nobody else does.
#[derive(Default)]
pub(super) struct Seen {
    /// Of the stage's API, if that was looked for.
    pub deployments: Option<Vec<Deployment>>,
    /// None without a stage.
    pub serving: Option<Serving>,
    /// The stages of each usage plan, by its id.
    pub bound: BTreeMap<String, Bound>,
    /// Stages that don't exist and that a usage plan lists all the same, each after the plan's id.
    pub gone: Vec<(String, String)>,
    /// Access that the stack didn't create, by the function or API that it belongs to.
    pub foreign: BTreeMap<String, ForeignAccess>,
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
        (*self.plans.0.lock().await, *self.alarms.0.lock().await) = (None, None);
        *self.mappings.0.lock().await = None;
        self.aliases.lock().await.clear();
        surveyed
    }

    /// The ids of what this run has made that only lists tell of.
    pub fn made(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a stage is being surveyed.
    pub(super) fn are_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    pub(super) async fn alias(
        &self,
        function: &str,
        read: impl Future<Output = Result<Option<String>>>,
    ) -> Result<Option<String>> {
        if !self.are_kept() {
            return read.await;
        }
        let alias = self.aliases.lock().await.entry(function.to_owned()).or_default().clone();
        alias.get_or_try_init(|| read).await.cloned()
    }

    pub(super) async fn get<T: Clone>(
        &self,
        list: &List<T>,
        read: impl Future<Output = Result<Vec<T>>>,
    ) -> Result<Vec<T>> {
        if !self.are_kept() {
            return read.await;
        }
        let mut kept = list.0.lock().await;
        if let Some(list) = &*kept {
            return Ok(list.clone());
        }
        Ok(kept.insert(read.await?).clone())
    }
}
