//! One run of the deployer: the way to AWS, and what the run knows.

use crate::aws::Aws;
use crate::engine::Secret;
use crate::lease::Lease;
use crate::resources::history::Record;
use crate::resources::{Canary, Lists, Together};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, OnceLock};

/// What a run knows beside its [`Aws`], which never changes once it is connected. A verb owns it, and gives it to the
/// kinds of resources.
pub struct Run {
    aws: Aws,
    /// Whether this run removes access that the stack didn't create.
    pub remove_foreign: bool,
    /// How carefully a new release gets its traffic.
    pub canary: Option<Canary>,
    /// What allows this run to change the stage, once it has it.
    pub lease: OnceLock<Lease>,
    /// The releases on record, as they were read or written last.
    pub records: Mutex<Vec<Record>>,
    /// What is still to be put on record, when all else is done.
    pub last_record: Mutex<Option<Record>>,
    /// Whether this run has put a release on record, and so begun to move it in.
    pub begun: AtomicBool,
    /// What API Gateway lists, while the stage is surveyed.
    pub lists: Lists,
    /// The stage's API key, as it was read or made last.
    pub key: Mutex<Option<Secret>>,
    /// Keys that were rotated and still work, as they were listed last: ids, and until when (seconds since 1970).
    pub retiring: Mutex<BTreeMap<String, i64>>,
    /// Log groups that this run has deleted. One that is back was created by Lambda or API Gateway.
    pub deleted_log_groups: Mutex<BTreeSet<String>>,
    /// Alarms that are to go.
    pub leaving_alarms: Together,
    /// Created resources, or requests that may have created one, that no List call has returned yet.
    pub unlisted: AtomicUsize,
}

impl Run {
    pub fn new(aws: Aws) -> Self {
        Self {
            aws,
            remove_foreign: false,
            canary: None,
            lease: OnceLock::new(),
            records: Mutex::default(),
            last_record: Mutex::default(),
            begun: AtomicBool::new(false),
            lists: Lists::default(),
            key: Mutex::default(),
            retiring: Mutex::default(),
            deleted_log_groups: Mutex::default(),
            leaving_alarms: Together::default(),
            unlisted: AtomicUsize::new(0),
        }
    }
}

impl Deref for Run {
    type Target = Aws;

    fn deref(&self) -> &Aws {
        &self.aws
    }
}
