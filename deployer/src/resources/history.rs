//! The releases of a stage: a record of each, beside the artifacts in the staging bucket.
//!
//! A record is written before its release begins to serve, and again when it is known how that went. So
//! a run that was killed in between is found out by the next. Nothing depends on records but going back:
//! where they are lost, what is live is still read from AWS itself.

use super::stage::Throttle;
use super::{Aws, Version};
use crate::aws::Missing;
use crate::contract::Endpoint;
use crate::engine::Value;
use crate::release::{Release, is_plain};
use anyhow::{Context, Result, anyhow, bail};
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

const PREFIX: &str = "releases/";

/// Keys have eight digits.
const NUMBERS: u64 = 100_000_000;

/// A record of three endpoints has two KB.
const LARGEST: usize = 1024 * 1024;

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
    pub(super) fn new(cx: &Aws, endpoints: &[Endpoint], release: &Release) -> Self {
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
    fn is_like(&self, other: &Self) -> bool {
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
pub fn known(cx: &Aws) -> Vec<Record> {
    cx.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The release that serves, as far as records tell: the newest that hasn't failed.
pub fn current(records: &[Record]) -> Option<&Record> {
    records.iter().rfind(|record| record.state != State::Failed)
}

/// The one to go back to from another: what served before it; from one that is a way back itself, the
/// newest good one whose code is older still.
pub fn before<'a>(records: &'a [Record], current: &Record) -> Option<&'a Record> {
    if current.again.is_none() {
        return served_before(records, current);
    }
    let older = |record: &&Record| {
        record.state.is_good()
            && record.number < current.number
            && record.origin() < current.origin()
    };
    records.iter().filter(older).max_by_key(|record| (record.origin(), record.number))
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

/// Reads all records. One that can't be understood is passed over.
///
/// # Errors
/// When S3 can't be asked.
pub async fn read(cx: &Aws) -> Result<Vec<Record>> {
    let keys = objects(cx, PREFIX).await.context("listing the releases")?;
    let records = join_all(keys.iter().map(|key| get(cx, key))).await;
    let mut found: Vec<Record> =
        records.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    found.sort_by_key(|record| record.number);
    cx.records.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&found);
    Ok(found)
}

/// The keys of all objects that begin so; none where there is no bucket.
pub(super) async fn objects(cx: &Aws, prefix: &str) -> Result<Vec<String>> {
    let (bucket, account) = (cx.env.bucket(), &cx.env.account);
    let (mut keys, mut token) = (vec![], None);
    loop {
        let request = || {
            let request = cx.s3.list_objects_v2().bucket(&bucket).prefix(prefix);
            let request = request.expected_bucket_owner(account);
            request.set_continuation_token(token.clone()).send()
        };
        let page = cx.call("s3:ListBucket", request).await.or_missing()?;
        let Some(page) = page else { return Ok(vec![]) };
        keys.extend(page.contents().iter().filter_map(|object| Some(object.key()?.to_owned())));
        token = page.next_continuation_token;
        if token.is_none() {
            return Ok(keys);
        }
    }
}

async fn get(cx: &Aws, key: &str) -> Result<Option<Record>> {
    const TRIES: u32 = 3;
    for attempt in 1.. {
        match get_once(cx, key).await {
            // It broke off in the middle.
            Err(error)
                if attempt < TRIES && error.downcast_ref::<crate::aws::Failure>().is_none() => {}
            result => return result.with_context(|| format!("reading the record {key}")),
        }
    }
    Err(anyhow!("the last try returns"))
}

async fn get_once(cx: &Aws, key: &str) -> Result<Option<Record>> {
    let (bucket, account) = (cx.env.bucket(), &cx.env.account);
    let request =
        || cx.s3.get_object().bucket(&bucket).key(key).expected_bucket_owner(account).send();
    let Some(answer) = cx.call("s3:GetObject", request).await.or_missing()? else {
        return Ok(None);
    };
    let (mut body, mut bytes) = (answer.body, Vec::new());
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > LARGEST {
            break;
        }
    }
    Ok(serde_json::from_slice(&bytes).ok().filter(|record: &Record| record.is_sound(key)))
}

/// Writes a record: over the one that is known of its number, but over no other.
///
/// # Errors
/// When S3 refuses, or something lies there that can't be read.
pub async fn put(cx: &Aws, record: &Record) -> Result<()> {
    let (bucket, account, key) = (cx.env.bucket(), &cx.env.account, record.key());
    let text = serde_json::to_vec_pretty(record)?;
    let new = known(cx).iter().all(|other| other.number != record.number);
    let request = || {
        let request = cx.s3.put_object().bucket(&bucket).key(&key).expected_bucket_owner(account);
        let request = request.set_if_none_match(new.then(|| "*".to_owned()));
        request.content_type("application/json").body(ByteStream::from(text.clone())).send()
    };
    let put = match cx.call_new("s3:PutObject", request).await {
        Err(failure) if failure.status == Some(412) => match get(cx, &key).await? {
            Some(there) if there == *record => Ok(()), // an answer was lost
            _ => bail!(
                "{key} in {bucket} is no record that this program can read: a newer one has \
                 written it, or somebody else; use the newer one, or move it away"
            ),
        },
        put => put.map(drop),
    };
    put.with_context(|| format!("writing the record of release {}", record.number))?;
    let mut records = cx.records.lock().unwrap_or_else(PoisonError::into_inner);
    records.retain(|other| other.number != record.number);
    records.push(record.clone());
    records.sort_by_key(|record| record.number);
    Ok(())
}

/// Says that something begins to serve: a release of the next number, unless it is the one that is
/// on record already. `moves` is whether anything has yet to move.
pub(super) async fn begin(cx: &Aws, draft: Record, moves: bool) -> Result<()> {
    let records = known(cx);
    let record = match current(&records) {
        Some(current) if current.is_like(&draft) && current.state == State::Unfinished => {
            if !moves {
                return Ok(());
            }
            let Record { time, who, .. } = draft;
            Record { time, who, why: None, ..current.clone() }
        }
        // What was known to be good, and was changed by hand, is a way back to itself.
        Some(current) if current.is_like(&draft) && current.state.is_good() => {
            if !moves {
                return Ok(());
            }
            let number = records.last().map_or(0, |last| last.number) + 1;
            Record { number, again: Some(current.origin()), ..draft }
        }
        current => {
            let number = records.last().map_or(0, |last| last.number) + 1;
            let served = current.and_then(|current| match current.state.is_good() {
                true => Some(current),
                false => served_before(&records, current),
            });
            Record { number, changed: draft.changes(served), ..draft }
        }
    };
    put(cx, &record).await?;
    cx.begun.store(true, Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, state: State, again: Option<u64>) -> Record {
        Record {
            format_version: 1,
            number,
            state,
            why: None,
            again,
            time: 0,
            who: String::new(),
            version: "1".to_owned(),
            git_sha: "abc".to_owned(),
            arch: "x86_64".to_owned(),
            changed: vec![],
            deployment: "d".to_owned(),
            throttling: BTreeMap::new(),
            functions: BTreeMap::new(),
            endpoints: crate::stack::ENDPOINTS.to_vec(),
        }
    }

    fn back(records: &[Record]) -> Option<u64> {
        before(records, current(records)?).map(|record| record.number)
    }

    #[test]
    fn going_back_twice_goes_further_back() {
        use State::*;
        let mut records = vec![record(1, Live, None), record(2, Live, None), record(3, Live, None)];
        assert_eq!(back(&records), Some(2));
        records.push(record(4, Live, Some(2)));
        assert_eq!(back(&records), Some(1));
        records.push(record(5, Live, Some(1)));
        assert_eq!(back(&records), None);
        records.push(record(6, Live, None));
        assert_eq!(back(&records), Some(5)); // what served before, whichever code that is
        assert_eq!(served_before(&records, &records[5]).map(|record| record.number), Some(5));
    }

    #[test]
    fn nobody_goes_back_to_what_failed() {
        use State::*;
        let mut records = vec![record(1, Live, None), record(2, Failed, None)];
        assert_eq!(current(&records).map(|record| record.number), Some(1));
        records.push(record(3, Unfinished, None));
        assert_eq!(back(&records), Some(1));
        assert_eq!(served_before(&records, &records[2]).map(|record| record.number), Some(1));
        assert_eq!(kept(&records, 5).len(), 1);
    }

    #[test]
    fn so_many_of_different_code_are_kept() {
        use State::*;
        let mut records: Vec<_> = (1..=5).map(|number| record(number, Live, None)).collect();
        records.push(record(6, Live, Some(2)));
        records.push(record(7, Failed, None));
        let numbers = |records: Vec<&Record>| records.iter().map(|r| r.number).collect::<Vec<_>>();
        assert_eq!(numbers(kept(&records, 3)), [6, 5, 4, 2]);
        assert_eq!(numbers(forgotten(&records, &kept(&records, 3))), [1, 3]);
        assert_eq!(numbers(kept(&records, 1)), [6, 2]);
    }

    #[test]
    fn what_changed_is_said_in_words() {
        let served = |version: &str, code: &str| {
            let (version, code_sha256) = (version.to_owned(), code.to_owned());
            Served { version, code_sha256 }
        };
        let mut old = record(1, State::Live, None);
        old.functions = [("a", "1"), ("b", "1"), ("c", "1")]
            .map(|(name, version)| (name.to_owned(), served(version, name)))
            .into();
        let mut new = old.clone();
        new.functions.insert("a".to_owned(), served("2", "other"));
        new.functions.insert("b".to_owned(), served("2", "b"));
        new.functions.remove("c");
        new.deployment = "e".to_owned();
        let says = ["code of a", "settings of b", "without c", "routes"];
        assert_eq!(new.changes(Some(&old)), says);
        assert_eq!(old.changes(None), ["first release"]);
        assert!(old.changes(Some(&old)).is_empty() && !new.is_like(&old));
    }

    #[test]
    fn a_record_survives_being_written_and_a_strange_one_is_refused() {
        let text = serde_json::to_string(&record(7, State::Returning, Some(3))).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!((read.number, read.state, read.origin()), (7, State::Returning, 3));
        assert_eq!(read.endpoints, crate::stack::ENDPOINTS);
        assert!(read.is_sound("releases/00000007.json"));
        assert!(!read.is_sound("releases/00000008.json"));
        for version in ["", "1 2", "\u{1b}[31m"] {
            let strange = Record { version: version.to_owned(), ..read.clone() };
            assert!(!strange.is_sound(&strange.key()), "{version:?}");
        }
        let strange = Record { number: u64::MAX, ..read.clone() };
        assert!(!strange.is_sound(&strange.key()));
        let mut strange = read;
        let (version, code_sha256) = ("$LATEST".to_owned(), String::new());
        strange.functions.insert("root".to_owned(), Served { version, code_sha256 });
        assert!(!strange.is_sound(&strange.key()));
    }
}
