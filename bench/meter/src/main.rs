//! `meter ROUNDS`: takes a list of [`run::Subject`]s as JSON on standard input, and gives a list of [`Measured`].
//!
//! Every round starts every subject, one after the other, so that whatever else the machine does meets them all alike.
//! Of the rounds the lower quartile counts: other work can only make a start longer. Times are in nanoseconds: they are made to be divided by one another.

mod api;
mod count;
mod run;

use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::count::{Instructions, instructions};
use crate::run::{Life, Subject};

/// Per start whose executable is in the page cache: the first event, and so many that find the process warm.
const WARM: usize = 100;

#[derive(Serialize)]
struct Measured {
    name: String,
    next_cached: u128,
    answer_cached: u128,
    next_evicted: u128,
    answer_evicted: u128,
    warm_p50: u128,
    warm_p99: u128,
    /// In KiB.
    peak: u64,
    instructions: Option<Instructions>,
}

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok());
    let rounds: usize = rounds.filter(|rounds| *rounds > 0).context("usage: meter ROUNDS")?;
    let subjects: Vec<Subject> =
        serde_json::from_reader(io::stdin()).context("reading the subjects")?;

    let mut cached: Vec<Vec<Life>> = subjects.iter().map(|_| vec![]).collect();
    let mut evicted: Vec<Vec<Life>> = subjects.iter().map(|_| vec![]).collect();
    for round in 0..=rounds {
        for (at, subject) in subjects.iter().enumerate() {
            let (cold, warm) = (run::run(subject, true, 1)?, run::run(subject, false, 1 + WARM)?);
            // The first round fills the caches of what we don't evict.
            if round > 0 {
                evicted[at].push(cold);
                cached[at].push(warm);
            }
        }
    }
    let lives = subjects.into_iter().zip(cached.iter().zip(&evicted));
    let measured = lives.map(|(subject, (cached, evicted))| measured(subject, cached, evicted));
    serde_json::to_writer(io::stdout(), &measured.collect::<Result<Vec<_>>>()?)?;
    Ok(())
}

fn measured(subject: Subject, cached: &[Life], evicted: &[Life]) -> Result<Measured> {
    // An interpreter may be in use elsewhere, which keeps it in memory.
    let own = subject.command.len() == 1;
    if own && evicted.iter().all(|life| life.faults == 0) {
        bail!(
            "{}: this file system keeps what it is told to forget\n  next: put the target directory on a disk",
            subject.name
        );
    }
    let warm: Vec<Duration> = cached.iter().flat_map(|life| life.warm.iter().copied()).collect();
    let usual = |lives: &[Life], time: fn(&Life) -> Duration| {
        percentile(lives.iter().map(time).collect(), 25)
    };
    Ok(Measured {
        instructions: instructions(&subject)?,
        name: subject.name,
        next_cached: usual(cached, |life| life.next),
        answer_cached: usual(cached, |life| life.answer),
        next_evicted: usual(evicted, |life| life.next),
        answer_evicted: usual(evicted, |life| life.answer),
        warm_p50: percentile(warm.clone(), 50),
        warm_p99: percentile(warm, 99),
        peak: cached.iter().map(|life| life.peak).max().unwrap_or(0),
    })
}

/// The time, in nanoseconds, that so many in a hundred don't exceed.
fn percentile(mut times: Vec<Duration>, hundredths: usize) -> u128 {
    times.sort();
    times
        .get((times.len() * hundredths / 100).min(times.len().saturating_sub(1)))
        .map_or(0, Duration::as_nanos)
}
