//! The releases of a stage: a record of each, beside the artifacts in the staging bucket.
//!
//! A record is written before its release begins to serve, and again when it is known how that went. So
//! a run that was killed in between is found out by the next. Nothing depends on records but going back:
//! where they are lost, what is live is still read from AWS itself.

mod store;

pub(super) use store::{begin, objects};
pub use store::{put, put_at_the_end, read, take_back, write_last};

use crate::contract::Endpoint;
use crate::engine::Value;
use crate::ids::{Throttle, Version};
use crate::release::{Release, is_plain};
use crate::run::Run;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use store::PREFIX;

/// What is said where a stage serves and no record of it exists.
pub const LOST: &str =
    "the history of releases was lost (something deleted the records from the staging bucket)";

/// Keys have eight digits.
const NUMBERS: u64 = 100_000_000;

/// A release: what served, or was to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub format_version: u32,
    pub number: u64,
    pub state: State,
    /// Why it doesn't serve, or is not known to be good.
    #[serde(default)]
    pub why: Option<String>,
    /// The earlier release that it brings back.
    #[serde(default)]
    pub again: Option<u64>,
    /// When it began to serve: seconds since 1970, by AWS's clock.
    pub time: i64,
    pub who: String,
    pub version: String,
    pub git_sha: String,
    pub arch: String,
    /// What it changed, in words.
    pub changed: Vec<String>,
    /// The definition that is served, by its fingerprint.
    pub deployment: String,
    pub throttling: BTreeMap<String, Throttle>,
    /// By the functions' short names.
    pub functions: BTreeMap<String, Served>,
    /// What it promises its callers.
    pub endpoints: Vec<Endpoint>,
}

/// What a function serves in a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    pub version: String,
    /// Lambda's `CodeSha256`.
    pub code_sha256: String,
}

/// How far a release has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It serves, or begins to; nobody has seen yet that it does so well.
    Unfinished,
    /// It was seen to serve well; what it made needless is being deleted.
    Passed,
    /// It serves, or did until another took its place.
    Live,
    /// It disappointed; the one before it is being put back.
    Returning,
    /// It doesn't serve, and is not to be gone back to.
    Failed,
}

impl State {
    /// As records write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Passed => "passed",
            Self::Live => "live",
            Self::Returning => "returning",
            Self::Failed => "failed",
        }
    }

    /// Whether it is known to serve well.
    pub fn is_good(self) -> bool {
        [Self::Passed, Self::Live].contains(&self)
    }
}

impl Record {
    /// What began to serve just now, or is about to. [`begin`] numbers it.
    pub(super) fn new(cx: &Run, endpoints: &[Endpoint], release: &Release) -> Self {
        Self {
            format_version: 1,
            number: 0,
            state: State::Unfinished,
            why: None,
            again: None,
            time: cx.clock.now(),
            who: crate::lease::holder(cx),
            version: release.version.clone(),
            git_sha: release.git_sha.clone(),
            arch: release.arch.clone(),
            changed: vec![],
            deployment: String::new(),
            throttling: BTreeMap::new(),
            functions: BTreeMap::new(),
            endpoints: endpoints.to_vec(),
        }
    }

    /// The number of the release whose code this is.
    pub fn origin(&self) -> u64 {
        self.again.unwrap_or(self.number)
    }

    /// Version, commit and code, as if they had been packaged.
    pub fn release(&self) -> Release {
        let mut release = Release::stated(&self.version, &self.git_sha);
        for (function, served) in &self.functions {
            release = release.with_code(function, &served.code_sha256);
        }
        release.arch.clone_from(&self.arch);
        release
    }

    pub fn versions(&self) -> BTreeMap<String, Value<Version>> {
        let version = |served: &Served| Version(served.version.clone()).into();
        self.functions.iter().map(|(name, served)| (name.clone(), version(served))).collect()
    }

    pub(super) fn key(&self) -> String {
        format!("{PREFIX}{:08}.json", self.number)
    }

    /// Whether two records tell of the same thing that serves.
    /// Whether it serves the same: version, commit, code, settings and routes.
    pub fn is_like(&self, other: &Self) -> bool {
        self.version == other.version
            && self.git_sha == other.git_sha
            && self.deployment == other.deployment
            && self.throttling == other.throttling
            && self.functions == other.functions
    }

    /// In words, what of it differs from the release before.
    fn changes(&self, before: Option<&Self>) -> Vec<String> {
        let Some(before) = before else { return vec!["first release".to_owned()] };
        let was = |function: &String| before.functions.get(function);
        let (mut new, mut code, mut settings): (Vec<&str>, Vec<&str>, Vec<&str>) =
            Default::default();
        for (function, served) in &self.functions {
            match was(function) {
                None => new.push(function),
                Some(was) if was.code_sha256 != served.code_sha256 => code.push(function),
                Some(was) if was != served => settings.push(function),
                Some(_) => {}
            }
        }
        let gone = before.functions.keys().filter(|name| !self.functions.contains_key(*name));
        let gone = gone.map(String::as_str).collect();
        let lists = [
            ("new function", new),
            ("code of", code),
            ("settings of", settings),
            ("without", gone),
        ];
        let mut changed: Vec<String> =
            lists.iter().filter_map(|(what, names)| listed(what, names)).collect();
        if self.deployment != before.deployment {
            changed.push("routes".to_owned());
        }
        if self.throttling != before.throttling {
            changed.push("throttling".to_owned());
        }
        changed
    }

    /// Whether it can be what this program wrote under that key: anybody who may write the bucket has
    /// written it.
    fn is_sound(&self, key: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let name =
            |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let function = |(short, served): (&String, &Served)| name(short) && digits(&served.version);
        self.format_version == 1
            && self.key() == key
            && self.number < NUMBERS
            && is_plain(&self.version)
            && is_plain(&self.git_sha)
            && self.functions.iter().all(function)
    }
}

/// "code of root and health"; nothing where there are no names.
fn listed(what: &str, names: &[&str]) -> Option<String> {
    match names {
        [] => None,
        _ if names.len() > 4 => Some(format!("{what} {} functions", names.len())),
        _ => Some(format!("{what} {}", names.join(" and "))),
    }
}

/// The releases that are on record, oldest first, as [`read`] or a write of this run left them.
pub fn known(cx: &Run) -> Vec<Record> {
    cx.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The release that serves, as far as records tell: the newest that hasn't failed.
pub fn current(records: &[Record]) -> Option<&Record> {
    records.iter().rfind(|record| record.state != State::Failed)
}

/// The numbers between the oldest and the newest record that have none: it was deleted by hand, or with others of its
/// code when [`kept`] left it out.
pub fn gaps(records: &[Record]) -> Vec<u64> {
    let numbers: Vec<u64> = records.iter().map(|record| record.number).collect();
    let between = |pair: &[u64]| pair[0] + 1..pair[1];
    // A number that something else wrote may be far away.
    numbers.windows(2).flat_map(between).take(100).collect()
}

/// The release that a rollback restores: the newest good one before `current`, or, if that is itself a rollback, the
/// newest good one whose code is older still. A release with the same versions and routes as `current` is passed over,
/// because restoring it would change nothing.
pub fn before<'a>(records: &'a [Record], current: &Record) -> Option<&'a Record> {
    let earlier = |record: &&Record| {
        record.state.is_good() && record.number < current.number && !record.is_like(current)
    };
    let older = |record: &&Record| current.again.is_none() || record.origin() < current.origin();
    let order = |record: &&Record| match current.again {
        None => (0, record.number),
        Some(_) => (record.origin(), record.number),
    };
    records.iter().filter(earlier).filter(older).max_by_key(order)
}

/// The newest good release of this code.
pub fn of_origin(records: &[Record], origin: u64) -> Option<&Record> {
    records.iter().rfind(|record| record.state.is_good() && record.origin() == origin)
}

/// The one that served before another, whatever code that was: where to return to.
pub fn served_before<'a>(records: &'a [Record], current: &Record) -> Option<&'a Record> {
    records.iter().rfind(|record| record.state.is_good() && record.number < current.number)
}

/// The good releases that are kept: the newest of them, so many of different code. Going back and forth
/// costs none.
pub fn kept(records: &[Record], number: usize) -> Vec<&Record> {
    let mut origins = BTreeSet::new();
    let good = records.iter().rev().filter(|record| record.state.is_good());
    good.filter(|record| {
        origins.contains(&record.origin())
            || (origins.len() < number && origins.insert(record.origin()))
    })
    .collect()
}

/// Those whose records can go: good ones that are not kept, and all others from before the kept ones.
pub(super) fn forgotten<'a>(records: &'a [Record], kept: &[&Record]) -> Vec<&'a Record> {
    let oldest = kept.iter().map(|record| record.number).min().unwrap_or_default();
    let is_kept = |record: &Record| kept.iter().any(|kept| kept.number == record.number);
    let goes = |record: &&Record| match record.state.is_good() {
        true => !is_kept(record),
        false => record.number < oldest,
    };
    records.iter().filter(goes).collect()
}

#[cfg(test)]
mod tests;
