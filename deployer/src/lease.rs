//! One run at a time: the lease on a stage.
//!
//! The object `lease.json` in the staging bucket says who may change the stage. It is written by S3's
//! conditional writes, so that of two runs one gets it. Its holder renews it every [`BEAT`]; one that
//! was not renewed for [`LAPSE`] is anybody's, so a killed run needs no unlocking. At the end it is
//! marked free and not deleted: its ETag tells the next run whether anybody has changed the stage
//! since it looked.
//!
//! A lease's age is told by AWS's own clocks (`Last-Modified` against `Date`), or by how long a waiting
//! run has seen it unchanged; no machine's clock has a say.

use crate::aws::{Aws, Failure};
use crate::resources::Bucket;
use crate::retry::every;
use anyhow::{Context, Result, bail};
use aws_smithy_types::byte_stream::ByteStream;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Beside the artifacts.
pub const KEY: &str = "lease.json";

const BEAT: Duration = Duration::from_secs(10);
const LAPSE: Duration = Duration::from_secs(30);
/// How often a run that waits looks.
const LOOK: Duration = Duration::from_secs(2);
/// A record is some hundred bytes.
const LARGEST: usize = 16 * 1024;

/// What `lease.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    format_version: u32,
    /// Made by the run that wrote it: by this it knows its own when an answer was lost.
    nonce: String,
    pub held: bool,
    /// `user/me on laptop`
    pub holder: String,
    /// `deploy`, `destroy`
    pub doing: String,
    pub git_sha: String,
    /// Seconds since 1970.
    pub since: i64,
    /// Renewals, which make each ETag another.
    beats: u64,
}

/// The lease as it was when somebody looked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    bucket: bool,
    etag: Option<String>,
    /// None where there is none, or one that can't be read; that counts as held until it lapses.
    record: Option<Record>,
    modified: i64,
}

impl Seen {
    fn is_free(&self) -> bool {
        self.etag.is_none() || self.record.as_ref().is_some_and(|record| !record.held)
    }

    fn is_from(&self, nonce: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.nonce == nonce && record.held)
    }
}

/// The lease of this run.
pub struct Lease {
    nonce: String,
    /// Whether the bucket was made to hold it.
    pub made_bucket: bool,
    state: Mutex<State>,
    /// Who has it now, should this run have lost it.
    lost: OnceLock<String>,
}

struct State {
    record: Record,
    etag: String,
    renewed: Instant,
    /// Deleted along with its bucket.
    deleted: bool,
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
        let Some(Record { holder, doing, git_sha, .. }) = record else {
            return write!(f, "stage {stage} is held by another run, of which nothing is known");
        };
        let commit = match git_sha.is_empty() {
            true => String::new(),
            false => format!(" of commit {git_sha}"),
        };
        write!(f, "stage {stage} is held by {holder}: a {doing}{commit}, for {seconds} s")
    }
}

impl std::error::Error for Held {}

/// Looks at the lease. Never writes.
///
/// # Errors
/// When S3 can't be asked.
pub async fn look(aws: &Aws) -> Result<Seen> {
    let (bucket, account) = (aws.env.bucket(), &aws.env.account);
    let get = || aws.s3.get_object().bucket(&bucket).key(KEY).expected_bucket_owner(account).send();
    let answer = match aws.call_last("s3:GetObject", get).await {
        Err(failure) if failure.is("NoSuchBucket") => return Ok(Seen::default()),
        Err(failure) if failure.is_missing() => {
            return Ok(Seen { bucket: true, ..Seen::default() });
        }
        result => result.context("looking who has the stage")?,
    };
    let modified = answer.last_modified.map_or(0, |date| date.secs());
    let (mut body, mut bytes) = (answer.body, Vec::new());
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.context("reading who has the stage")?);
        if bytes.len() > LARGEST {
            break;
        }
    }
    let record = serde_json::from_slice(&bytes).ok();
    Ok(Seen { bucket: true, etag: answer.e_tag, record, modified })
}

/// Why a run wants the lease.
pub struct Intent<'a> {
    /// `deploy`, `destroy`
    pub doing: &'a str,
    pub git_sha: &'a str,
    /// Whether the bucket is made to hold it. Else, without a bucket, there is no lease.
    pub makes_bucket: bool,
    /// How long to wait for a living run.
    pub patience: Duration,
}

/// Takes the lease, waiting for one that seems to be a dead run's to lapse, and for a living run's
/// to be given back as long as patience lasts. `seen` is from when the stage was read. Says whether
/// what was read then still holds: nobody else has had the lease since.
///
/// # Errors
/// [`Held`], or that S3 can't be asked.
pub async fn take(
    aws: &Aws,
    seen: Seen,
    intent: &Intent<'_>,
    tell: &dyn Fn(String),
) -> Result<bool> {
    let record = Record {
        format_version: 1,
        nonce: nonce()?,
        held: true,
        holder: holder(aws),
        doing: intent.doing.to_owned(),
        git_sha: intent.git_sha.to_owned(),
        since: aws.clock.now(),
        beats: 0,
    };
    let (mut now, mut made_bucket, first) = (seen.clone(), false, seen);
    loop {
        if !now.is_free() {
            now = wait(aws, now, intent.patience, tell).await?;
        }
        if !now.bucket {
            if !intent.makes_bucket {
                return Ok(!first.bucket);
            }
            made_bucket |= make_bucket(aws).await?;
        }
        let undisturbed = first.is_free() && now.etag == first.etag;
        let etag = match put(aws, &record, now.etag.as_deref()).await {
            Ok(etag) => etag,
            Err(failure) if lost_race(&failure) => {
                now = look(aws).await?;
                if !now.is_from(&record.nonce) {
                    continue;
                }
                now.etag.unwrap_or_default() // the first answer was lost
            }
            Err(failure) => return Err(failure).context("taking the lease on the stage"),
        };
        let state = State { record, etag, renewed: Instant::now(), deleted: false };
        let nonce = state.record.nonce.clone();
        let lease =
            Lease { nonce, made_bucket, state: Mutex::new(state), lost: OnceLock::default() };
        let _ = aws.lease.set(lease);
        return Ok(undisturbed);
    }
}

/// The condition did not hold, or there is nothing to which it applies.
fn lost_race(failure: &Failure) -> bool {
    failure.status == Some(412) || failure.is("NoSuchKey") || failure.is("NoSuchBucket")
}

/// Until the lease is free or has lapsed. That a living run has it shows at its next beat.
async fn wait(
    aws: &Aws,
    mut seen: Seen,
    patience: Duration,
    tell: &dyn Fn(String),
) -> Result<Seen> {
    let (began, first) = (Instant::now(), seen.etag.clone());
    let (mut changed, mut told) = (began, false);
    loop {
        let age = aws.clock.now() - seen.modified;
        // The second holds whatever time it is.
        let lapsed = age > LAPSE.as_secs().cast_signed() || changed.elapsed() > LAPSE;
        if seen.is_free() || lapsed {
            return Ok(seen);
        }
        let record = seen.record.clone();
        let since = record.as_ref().map_or(seen.modified, |record| record.since);
        let stage = aws.env.stage.clone();
        let held = Held { stage, record, seconds: (aws.clock.now() - since).max(0) };
        if seen.etag != first && began.elapsed() >= patience {
            bail!(held);
        }
        if !told {
            tell(format!("{held}; waiting to see whether it lives"));
            told = true;
        }
        crate::retry::pause(LOOK, aws.stop()).await?;
        let now = look(aws).await?;
        if now.etag != seen.etag {
            changed = Instant::now();
        }
        seen = now;
    }
}

/// True when this run has made it.
async fn make_bucket(aws: &Aws) -> Result<bool> {
    let bucket = Bucket::private(aws.env.bucket(), &aws.env.partition);
    bucket.make(aws).await.context("taking the lease on the stage, for which its bucket is made")
}

async fn put(aws: &Aws, record: &Record, etag: Option<&str>) -> Result<String, Failure> {
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
    Ok(aws.call_last("s3:PutObject", request).await?.e_tag.unwrap_or_default())
}

/// Does the work with the lease in hand, if there is one: renews it meanwhile, frees it afterwards.
/// Should it be lost, the work is asked to stop.
pub async fn keep<T>(aws: &Aws, work: impl Future<Output = T>) -> T {
    let Some(lease) = aws.lease.get() else { return work.await };
    tokio::pin!(work);
    let result = tokio::select! {
        result = &mut work => result,
        () = every(BEAT, || lease.renew(aws)) => {
            aws.stop().ask();
            work.await
        }
    };
    lease.free(aws).await;
    result
}

impl Lease {
    /// Who has the stage now, if this run has lost it: it was asleep, or cut off, for too long.
    pub fn lost_to(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    async fn renew(&self, aws: &Aws) -> ControlFlow<()> {
        let mut state = self.state.lock().await;
        if state.deleted {
            return ControlFlow::Continue(());
        }
        state.record.beats += 1;
        match timeout(BEAT, self.write(aws, &mut state)).await {
            Ok(Ok(())) => {
                state.renewed = Instant::now();
                return ControlFlow::Continue(());
            }
            Ok(Err(failure)) if lost_race(&failure) => {}
            // Perhaps next time. But not after others may think this run dead.
            _ if state.renewed.elapsed() + BEAT < LAPSE => return ControlFlow::Continue(()),
            _ => {}
        }
        let other = look(aws).await.ok().and_then(|seen| seen.record);
        let _ = self.lost.set(other.map_or("nobody that is known".to_owned(), |r| r.holder));
        ControlFlow::Break(())
    }

    /// Writes the record over the one that this run wrote last.
    async fn write(&self, aws: &Aws, state: &mut State) -> Result<(), Failure> {
        match put(aws, &state.record, Some(&state.etag)).await {
            Ok(etag) => state.etag = etag,
            Err(failure) if lost_race(&failure) => {
                // An answer was lost: then what is there is ours, under an ETag that we don't know.
                let Ok(seen) = look(aws).await else { return Err(failure) };
                let (true, Some(etag)) = (seen.is_from(&self.nonce), seen.etag) else {
                    return Err(failure);
                };
                state.etag = put(aws, &state.record, Some(&etag)).await?;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// What can't be freed lapses.
    async fn free(&self, aws: &Aws) {
        let mut state = self.state.lock().await;
        if !state.deleted && self.lost.get().is_none() {
            state.record.held = false;
            let _ = timeout(LAPSE, self.write(aws, &mut state)).await;
        }
    }

    /// Deletes it, for its bucket to go.
    ///
    /// # Errors
    /// When another run has it now, or S3 can't be asked.
    pub async fn delete(&self, aws: &Aws) -> Result<()> {
        let mut state = self.state.lock().await;
        let (bucket, account) = (aws.env.bucket(), &aws.env.account);
        let request = || {
            let request = aws.s3.delete_object().bucket(&bucket).key(KEY);
            request.expected_bucket_owner(account).if_match(&state.etag).send()
        };
        match aws.call("s3:DeleteObject", request).await {
            Err(failure) if failure.status == Some(412) => {
                let seen = look(aws).await?;
                if !seen.is_from(&self.nonce) {
                    bail!("another run has taken the stage over");
                }
                state.etag = seen.etag.unwrap_or_default();
                let request = || {
                    let request = aws.s3.delete_object().bucket(&bucket).key(KEY);
                    request.expected_bucket_owner(account).if_match(&state.etag).send()
                };
                aws.call("s3:DeleteObject", request).await?;
            }
            Err(failure) if !failure.is_missing() => return Err(failure.into()),
            _ => {}
        }
        state.deleted = true;
        Ok(())
    }
}

fn nonce() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("asking the operating system for randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whom to ask when it doesn't end: the caller's name in AWS, and the machine.
fn holder(aws: &Aws) -> String {
    let who = aws.caller.splitn(6, ':').nth(5).filter(|who| !who.is_empty()).unwrap_or("somebody");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => who.to_owned(),
        host => format!("{who} on {host}"),
    }
}
