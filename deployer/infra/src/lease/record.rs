//! What `lease.json` says, and how it is read and written.

use crate::aws::Failure;
use crate::object::{body, patiently, shown};
use crate::run::Run;
use anyhow::{Context, Result};
use aws_smithy_types::byte_stream::ByteStream;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Beside the artifacts.
pub const KEY: &str = "lease.json";

/// A record is some hundred bytes.
const LARGEST: usize = 16 * 1024;

/// Of a lease that was freed more lately nobody can say whether that was before something was read, for AWS's
/// clocks may be apart, and times are rounded; and its last holder may still be saying that all went well.
pub const HANDOVER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub(super) format_version: u32,
    /// Made by the run that wrote it: by this it knows its own when an answer was lost.
    pub(super) nonce: String,
    pub(super) held: bool,
    /// `user/me on laptop`
    pub(super) holder: String,
    /// `deploy`, `destroy`
    pub(super) doing: String,
    pub(super) git_sha: String,
    /// Seconds since 1970.
    pub(super) since: i64,
    /// Renewals, which make each ETag another.
    pub(super) beats: u64,
    /// Whether the run ended before AWS's lists told of all that it made.
    #[serde(default)]
    pub(super) unlisted: bool,
}

impl Record {
    fn shown(text: &str) -> String {
        shown(text, 80)
    }

    pub(super) fn holder(&self) -> String {
        Self::shown(&self.holder)
    }
}

/// The lease as it was when somebody looked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub(super) bucket: bool,
    pub(super) etag: Option<String>,
    /// None where there is none, or one that can't be read; that counts as held until it lapses.
    pub(super) record: Option<Record>,
    pub(super) modified: i64,
}

impl Seen {
    /// Whether there is a bucket of that name.
    pub fn has_bucket(&self) -> bool {
        self.bucket
    }

    /// Whether a run has the stage, living or dead.
    pub fn is_held(&self) -> bool {
        !self.is_free()
    }

    /// Who has the stage, for what and since when, in words.
    pub fn holder(&self, aws: &Run) -> Option<String> {
        self.is_held().then(|| self.held(aws).to_string())
    }

    pub(super) fn is_free(&self) -> bool {
        self.etag.is_none() || self.record.as_ref().is_some_and(|record| !record.held)
    }

    /// Whether nobody had the stage for `time` until it was looked at, as far as the lease can tell;
    /// `empty` says that nothing was found of the stage then. A stage without a lease may be one that a
    /// run was just deleting.
    pub fn was_free_for(&self, aws: &Run, time: Duration, empty: bool) -> bool {
        let age = u64::try_from(self.age(aws)).unwrap_or_default();
        match self.etag {
            Some(_) => self.is_free() && Duration::from_secs(age) > time + HANDOVER,
            None => empty,
        }
    }

    /// How long the last holder may still be saying how it ended, if it has just given the lease back.
    pub fn handover(&self, aws: &Run) -> Option<Duration> {
        let age = Duration::from_secs(u64::try_from(self.age(aws)).unwrap_or_default());
        let lately = self.etag.is_some() && self.is_free();
        HANDOVER.checked_sub(age).filter(|left| lately && !left.is_zero())
    }

    pub(super) fn is_from(&self, nonce: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.nonce == nonce && record.held)
    }

    /// How long AWS's lists may still not tell of what the last run made before it was stopped.
    pub fn lag(&self, aws: &Run) -> Option<Duration> {
        let unlisted = self.record.as_ref().is_some_and(|record| record.unlisted && !record.held);
        let age = Duration::from_secs(self.age(aws).max(0).unsigned_abs());
        crate::retry::LAG.checked_sub(age).filter(|left| unlisted && !left.is_zero())
    }

    /// Seconds since it was written.
    pub(super) fn age(&self, aws: &Run) -> i64 {
        aws.clock.now().saturating_sub(self.modified)
    }

    pub(super) fn held(&self, aws: &Run) -> Held {
        let since = self.record.as_ref().map_or(self.modified, |record| record.since);
        let seconds = aws.clock.now().saturating_sub(since).max(0);
        Held { stage: aws.env.stage.clone(), record: self.record.clone(), seconds }
    }
}

/// Another run has the stage.
#[derive(Debug)]
pub struct Held {
    stage: String,
    record: Option<Record>,
    seconds: i64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { stage, record, seconds } = self;
        let Some(record) = record else {
            return write!(f, "stage {stage} is held by another run, of which nothing is known");
        };
        let commit = match record.git_sha.is_empty() {
            true => String::new(),
            false => format!(" of commit {}", Record::shown(&record.git_sha)),
        };
        let (holder, doing) = (record.holder(), Record::shown(&record.doing));
        write!(f, "stage {stage} is held by {holder}: a {doing}{commit}, for {seconds} s")
    }
}

impl std::error::Error for Held {}

/// Looks at the lease. Never writes.
///
/// # Errors
/// When S3 can't be asked.
pub async fn look(aws: &Run) -> Result<Seen> {
    patiently(|| look_once(aws)).await.context("looking who has the stage")
}

async fn look_once(aws: &Run) -> Result<Seen> {
    let (bucket, account) = (aws.env.bucket(), &aws.env.account);
    let get = || aws.s3.get_object().bucket(&bucket).key(KEY).expected_bucket_owner(account).send();
    let answer = match aws.call_last("s3:GetObject", false, get).await {
        Err(failure) if failure.is("NoSuchBucket") => return Ok(Seen::default()),
        Err(failure) if failure.is_missing() => {
            return Ok(Seen { bucket: true, ..Seen::default() });
        }
        result => result?,
    };
    let modified = answer.last_modified.map_or(0, |date| date.secs());
    let record = serde_json::from_slice(&body(answer.body, LARGEST).await?).ok();
    Ok(Seen { bucket: true, etag: answer.e_tag, record, modified })
}

/// Writes it over the one of this ETag, or where there is none. With `new`, the bucket was made a
/// moment ago. Gives the new ETag.
pub(super) async fn put(
    aws: &Run,
    record: &Record,
    etag: Option<&str>,
    new: bool,
) -> Result<String, Failure> {
    let (bucket, account) = (aws.env.bucket(), &aws.env.account);
    let text = serde_json::to_vec(record).unwrap_or_default();
    let request = || {
        let request = aws.s3.put_object().bucket(&bucket).key(KEY).expected_bucket_owner(account);
        let request = match etag {
            Some(etag) => request.if_match(etag),
            None => request.if_none_match("*"),
        };
        request.content_type("application/json").body(ByteStream::from(text.clone())).send()
    };
    Ok(aws.call_last("s3:PutObject", new, request).await?.e_tag.unwrap_or_default())
}

/// Deletes the one of this ETag.
pub(super) async fn delete(aws: &Run, etag: &str) -> Result<(), Failure> {
    let (bucket, account) = (aws.env.bucket(), &aws.env.account);
    let request = || {
        let request = aws.s3.delete_object().bucket(&bucket).key(KEY);
        request.expected_bucket_owner(account).if_match(etag).send()
    };
    match aws.call("s3:DeleteObject", request).await {
        Err(failure) if !failure.is_missing() => Err(failure),
        _ => Ok(()),
    }
}
