//! Where records lie, and when they are written.

use super::{LOST, Record, State, current, known, served_before};
use crate::aws::Missing;
use crate::lease::HANDOVER;
use crate::object::{body, patiently};
use crate::resources::prune::delete_objects;
use crate::run::Run;
use anyhow::{Context, Result, bail};
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::future::join_all;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

pub(super) const PREFIX: &str = "releases/";

/// A record of three endpoints has two KB.
const LARGEST: usize = 1024 * 1024;

/// Reads all records. One that can't be understood is passed over.
///
/// # Errors
/// When S3 can't be asked.
pub async fn read(cx: &Run) -> Result<Vec<Record>> {
    let keys = objects(cx, PREFIX).await.context("listing the releases")?;
    let records = join_all(keys.iter().map(|key| get(cx, key))).await;
    let mut found: Vec<Record> =
        records.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    found.sort_by_key(|record| record.number);
    cx.records.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&found);
    Ok(found)
}

/// The keys of all objects that begin so; none where there is no bucket.
pub async fn objects(cx: &Run, prefix: &str) -> Result<Vec<String>> {
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

async fn get(cx: &Run, key: &str) -> Result<Option<Record>> {
    let read = patiently(|| get_once(cx, key)).await;
    read.with_context(|| format!("reading the record {key}"))
}

async fn get_once(cx: &Run, key: &str) -> Result<Option<Record>> {
    let (bucket, account) = (cx.env.bucket(), &cx.env.account);
    let request =
        || cx.s3.get_object().bucket(&bucket).key(key).expected_bucket_owner(account).send();
    let Some(answer) = cx.call("s3:GetObject", request).await.or_missing()? else {
        return Ok(None);
    };
    let bytes = body(answer.body, LARGEST).await?;
    Ok(serde_json::from_slice(&bytes).ok().filter(|record: &Record| record.is_sound(key)))
}

/// Writes a record: over the one that is known of its number, but over no other.
///
/// # Errors
/// When S3 refuses, or something lies there that can't be read.
pub async fn put(cx: &Run, record: &Record) -> Result<()> {
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
    keep_in_mind(cx, record);
    Ok(())
}

fn keep_in_mind(cx: &Run, record: &Record) {
    let mut records = cx.records.lock().unwrap_or_else(PoisonError::into_inner);
    records.retain(|other| other.number != record.number);
    records.push(record.clone());
    records.sort_by_key(|record| record.number);
}

/// Has a record written by [`write_last`], with which a run ends.
pub fn put_at_the_end(cx: &Run, record: Record) {
    keep_in_mind(cx, &record);
    *cx.last_record.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
}

/// Writes what was left for the end, while the lease is given back: soon enough for whoever has the lease
/// next, who reads nothing for [`HANDOVER`] unless all is said.
///
/// # Errors
/// When S3 refuses, or doesn't answer in time. Then the release stays unfinished.
pub async fn write_last(cx: &Run) -> Result<()> {
    const IN_TIME: Duration = HANDOVER.saturating_sub(Duration::from_secs(2));
    let record = cx.last_record.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(record) = record else { return Ok(()) };
    let number = record.number;
    let written = timeout(IN_TIME, put(cx, &record)).await;
    let written = written.unwrap_or_else(|_| bail!("S3 did not answer in time"));
    written.with_context(|| format!("saying that release {number} is good"))
}

/// Says that something begins to serve: a release of the next number, unless it is the one that is
/// on record already. `moves` is whether anything has yet to move.
pub async fn begin(cx: &Run, draft: Record, moves: bool) -> Result<()> {
    let records = known(cx);
    let current = current(&records);
    let like = current.filter(|current| {
        current.is_like(&draft) && (current.state.is_good() || current.state == State::Unfinished)
    });
    if like.is_some() && !moves {
        return Ok(());
    }
    let number = records.last().map_or(0, |last| last.number) + 1;
    let record = match like {
        Some(like) if like.state == State::Unfinished => {
            let Record { time, who, .. } = draft;
            Record { time, who, why: None, ..like.clone() }
        }
        // What was known to be good, and was changed by hand, is a way back to itself.
        Some(like) => Record { number, again: Some(like.origin()), ..draft },
        // A stage existed before this run changed anything.
        None if records.is_empty() && cx.lists.seen().serving.is_some() => {
            Record { number, changed: vec![LOST.to_owned()], ..draft }
        }
        None => {
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

/// As if nothing had [begun](begin) since these were all that was on record. What can't be taken back stays
/// unfinished, and is ended by the next run.
pub async fn take_back(cx: &Run, on_record: &[Record]) {
    for record in known(cx) {
        let taken_back = match on_record.iter().find(|before| before.number == record.number) {
            Some(before) if *before == record => continue,
            Some(before) => put(cx, before).await.is_ok(),
            None => delete_objects(cx, &[record.key()]).await.is_ok(),
        };
        if taken_back {
            cx.begun.store(false, Ordering::Relaxed);
        }
    }
    let mut records = cx.records.lock().unwrap_or_else(PoisonError::into_inner);
    *records = on_record.to_vec();
}
