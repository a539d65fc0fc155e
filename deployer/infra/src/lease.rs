//! One run at a time: the lease on a stage.
//!
//! The object `lease.json` in the staging bucket says who may change the stage. It is written by S3's
//! conditional writes, so that of two runs one gets it. Its holder renews it every [`BEAT`]; one that
//! was not renewed for [`LAPSE`] is anybody's, so a killed run needs no unlocking. At the end it is
//! marked free and not deleted: its ETag tells the next run whether anybody has changed the stage
//! since it looked. So a run looks first, and then reads the stage.
//!
//! A lease's age is told by AWS's own clocks (`Last-Modified` against `Date`), or by how long a waiting
//! run has seen it unchanged; no machine's clock has a say.

mod record;

pub use record::{HANDOVER, Held, KEY, Record, Seen, look};

use crate::aws::Failure;
use crate::resources::Bucket;
use crate::retry::{Unfinished, every, pause};
use crate::run::Run;
use anyhow::{Context, Result, bail};
use record::{delete, put};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

const BEAT: Duration = Duration::from_secs(10);
const LAPSE: Duration = Duration::from_secs(30);
/// How often a run that waits looks, and how often it says so.
const LOOK: Duration = Duration::from_secs(2);
const TELL: Duration = Duration::from_secs(60);

/// The lease of this run.
pub struct Lease {
    nonce: String,
    /// Whether the bucket was made to hold it.
    pub made_bucket: bool,
    state: Mutex<State>,
    /// Who has it now, as far as that is known, should this run have lost it.
    lost: OnceLock<Option<String>>,
    /// Set before `lost`, which takes a moment to find out.
    losing: AtomicBool,
}

struct State {
    record: Record,
    etag: String,
    renewed: Instant,
    /// Deleted along with its bucket.
    deleted: bool,
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
/// to be given back as long as patience lasts. `seen` is from before the stage was read. Says whether
/// what was read then still holds: nobody else has had the lease since.
///
/// The bucket, if there is one, must have been found ours.
///
/// # Errors
/// [`Held`], or that S3 can't be asked.
pub async fn take(
    aws: &Run,
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
        unlisted: false,
    };
    let (mut now, mut made_bucket, first) = (seen.clone(), false, seen);
    loop {
        if !now.is_free() {
            now = wait(aws, now, intent.patience, tell).await?;
        }
        if !now.bucket {
            if !intent.makes_bucket {
                return Ok(false);
            }
            made_bucket |= make_bucket(aws).await?;
        }
        let undisturbed = first.is_free() && now.etag == first.etag;
        let handover = now.handover(aws).filter(|_| !undisturbed);
        let etag = match put(aws, &record, now.etag.as_deref(), made_bucket).await {
            Ok(etag) => etag,
            // After a minute of it, the new bucket is no mood of S3's.
            Err(failure) if lost_race(&failure) && !(made_bucket && failure.is_missing()) => {
                now = look(aws).await?;
                if !now.is_from(&record.nonce) {
                    continue;
                }
                now.etag.unwrap_or_default() // the first answer was lost
            }
            Err(failure) => return Err(failure).context("taking the lease on the stage"),
        };
        let nonce = record.nonce.clone();
        let state = State { record, etag, renewed: Instant::now(), deleted: false };
        let lease = Lease {
            nonce,
            made_bucket,
            state: Mutex::new(state),
            lost: OnceLock::default(),
            losing: AtomicBool::default(),
        };
        let _ = aws.lease.set(lease);
        if let Some(left) = handover {
            pause(left, aws.stop()).await?;
        }
        return Ok(undisturbed);
    }
}

/// The condition did not hold, or there is nothing to which it applies.
fn lost_race(failure: &Failure) -> bool {
    failure.status == Some(412) || failure.is("NoSuchKey") || failure.is("NoSuchBucket")
}

/// Until the lease is free or has lapsed. That a living run has it shows at its next beat.
async fn wait(
    aws: &Run,
    mut seen: Seen,
    patience: Duration,
    tell: &dyn Fn(String),
) -> Result<Seen> {
    let (began, first) = (Instant::now(), seen.etag.clone());
    let (mut changed, mut told) = (began, None::<Instant>);
    loop {
        // The second holds whatever time it is.
        let lapsed = seen.age(aws) > LAPSE.as_secs().cast_signed() || changed.elapsed() > LAPSE;
        if seen.is_free() || lapsed {
            return Ok(seen);
        }
        let (held, lives) = (seen.held(aws), seen.etag != first);
        if lives && began.elapsed() >= patience {
            bail!(held);
        }
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            let what =
                if lives { "waiting for it to end" } else { "waiting to see whether it lives" };
            tell(format!("{held}; {what}"));
            told = Some(Instant::now());
        }
        pause(LOOK, aws.stop()).await?;
        let now = look(aws).await?;
        if now.etag != seen.etag {
            changed = Instant::now();
        }
        seen = now;
    }
}

/// True when this run has made it.
async fn make_bucket(aws: &Run) -> Result<bool> {
    let bucket = Bucket::private(aws.env.bucket(), &aws.env.partition);
    bucket.make(aws).await.context("taking the lease on the stage, for which its bucket is made")
}

/// Does the work with the lease in hand, if there is one: renews it meanwhile, and frees it afterwards,
/// together with what is done `last`. Should it be lost, the work is asked to stop.
pub async fn keep<T, L>(
    aws: &Run,
    work: impl Future<Output = T>,
    last: impl Future<Output = L>,
) -> (T, L) {
    let Some(lease) = aws.lease.get() else { return (work.await, last.await) };
    tokio::pin!(work);
    let result = {
        let renewing = every(BEAT, || lease.renew(aws));
        tokio::pin!(renewing);
        tokio::select! {
            result = &mut work => {
                if lease.losing.load(Ordering::Relaxed) {
                    renewing.await;
                }
                result
            }
            () = &mut renewing => work.await,
        }
    };
    // By now a renewal that was under way is dropped, and with it its lock, which `free` takes.
    let ((), last) = tokio::join!(lease.free(aws), last);
    (result, last)
}

impl Lease {
    /// Who has the stage now, as far as that is known, if this run has lost it: it was asleep, or cut
    /// off, for too long.
    pub fn lost_to(&self) -> Option<&Option<String>> {
        self.lost.get()
    }

    async fn renew(&self, aws: &Run) -> ControlFlow<()> {
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
        // First of all nothing more is changed; then there is time to ask who is at it.
        self.losing.store(true, Ordering::Relaxed);
        aws.stop().ask();
        let seen = timeout(LOOK, look(aws)).await.ok().and_then(Result::ok);
        let other = seen.filter(|seen| !seen.is_from(&self.nonce)).and_then(|seen| seen.record);
        let _ = self.lost.set(other.map(|record| record.holder()));
        ControlFlow::Break(())
    }

    /// Writes the record over the one that this run wrote last.
    async fn write(&self, aws: &Run, state: &mut State) -> Result<(), Failure> {
        match put(aws, &state.record, Some(&state.etag), false).await {
            Ok(etag) => state.etag = etag,
            Err(failure) if lost_race(&failure) => {
                // An answer was lost: then what is there is ours, under an ETag that we don't know.
                let Ok(seen) = look(aws).await else { return Err(failure) };
                let (true, Some(etag)) = (seen.is_from(&self.nonce), seen.etag) else {
                    return Err(failure);
                };
                state.etag = put(aws, &state.record, Some(&etag), false).await?;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// What can't be freed lapses.
    async fn free(&self, aws: &Run) {
        let mut state = self.state.lock().await;
        if !state.deleted && self.lost.get().is_none_or(Option::is_none) {
            state.record.held = false;
            state.record.unlisted = aws.unlisted.load(Ordering::Relaxed) > 0;
            let _ = timeout(LAPSE, self.write(aws, &mut state)).await;
        }
    }

    /// Deletes it, for its bucket to go.
    ///
    /// # Errors
    /// When another run has it now, or S3 can't be asked.
    pub async fn delete(&self, aws: &Run) -> Result<()> {
        let mut state = self.state.lock().await;
        match delete(aws, &state.etag).await {
            Err(failure) if failure.status == Some(412) => {
                let seen = look(aws).await?;
                let (true, Some(etag)) = (seen.is_from(&self.nonce), seen.etag) else {
                    bail!(Unfinished("another run has taken the stage over".to_owned()));
                };
                delete(aws, &etag).await?;
            }
            result => result?,
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
pub fn holder(aws: &Run) -> String {
    let who = aws.caller.splitn(6, ':').nth(5).filter(|who| !who.is_empty()).unwrap_or("somebody");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => who.to_owned(),
        host => format!("{who} on {host}"),
    }
}
