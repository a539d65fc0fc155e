//! What serves, compared with what is on record: an alias or a stage may have been moved by hand.

use super::history::{Record, current};
use crate::run::Run;
use std::collections::BTreeMap;

/// What the stage and the functions' aliases serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The fingerprint of the routes, where they are a deployment of ours.
    pub deployment: String,
    /// What the alias of a function serves, by its short name: `7`, or `7 and, by weight, 8`. None without an alias.
    pub functions: BTreeMap<String, Option<String>>,
}

/// What serves isn't what the live release's record says.
pub struct Otherwise {
    /// The live release, as records tell.
    pub live: u64,
    /// In words: "version 1 of root instead of 2".
    pub differences: Vec<String>,
    /// The release on record that has all of what serves.
    pub serves: Option<u64>,
    /// Whether an alias is gone, so that nothing of its function serves.
    pub is_broken: bool,
}

impl Serving {
    /// In words. Functions of the release that weren't read are passed over.
    fn differences(&self, record: &Record) -> Vec<String> {
        let of_function = |(short, served): (&String, &Option<String>)| {
            let wanted = &record.functions.get(short)?.version;
            match served {
                Some(version) if version == wanted => None,
                Some(version) => Some(format!("version {version} of {short} instead of {wanted}")),
                None => Some(format!("no version of {short}, whose alias was deleted")),
            }
        };
        let mut differences: Vec<_> = self.functions.iter().filter_map(of_function).collect();
        if self.deployment != record.deployment {
            differences.push("other routes".to_owned());
        }
        differences
    }

    /// Compares it with the live release. None while that is unfinished or being withdrawn, because then what serves
    /// is still moving.
    pub fn otherwise(&self, records: &[Record]) -> Option<Otherwise> {
        let live = current(records).filter(|record| record.state.is_good())?;
        let differences = self.differences(live);
        if differences.is_empty() {
            return None;
        }
        let same = |record: &&Record| record.state.is_good() && self.differences(record).is_empty();
        let serves = records.iter().rfind(same).map(|record| record.number);
        let is_broken = self
            .functions
            .iter()
            .any(|(short, served)| served.is_none() && live.functions.contains_key(short));
        Some(Otherwise { live: live.number, differences, serves, is_broken })
    }

    /// Whether a version serves that is newer than all on record: the newest record was deleted, or the version was
    /// published by hand.
    pub fn is_newer_than(&self, records: &[Record]) -> bool {
        let newest = |short: &String| {
            let versions = records.iter().filter_map(|record| record.functions.get(short));
            versions.filter_map(|served| served.version.parse::<u64>().ok()).max()
        };
        let served = |(short, version): (&String, &Option<String>)| {
            let served = version.as_ref()?.parse::<u64>().ok()?;
            Some(newest(short).is_some_and(|newest| served > newest))
        };
        self.functions.iter().filter_map(served).any(|is_newer| is_newer)
    }
}

/// What served when the stage was surveyed last. None without a stage.
pub fn serving(cx: &Run) -> Option<Serving> {
    cx.lists.seen().serving.clone()
}
