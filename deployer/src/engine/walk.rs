//! The one walk over a graph: to read it, to change it and, backwards, to delete it.

use anyhow::{Error, Result};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What became of one node.
#[derive(Debug)]
pub enum Outcome<T> {
    Done(T),
    Failed(Error),
    /// Not tried, because this node (an index) failed or was itself skipped.
    Skipped(usize),
    /// Not tried or not finished, because the run was asked to stop.
    Stopped,
}

/// Asks a run to begin nothing new. What is in flight finishes.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    pub fn asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks.
    pub async fn wait(&self) {
        // It fails when the sender is gone, and this is one.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}

/// What a node ends with that was asked to stop half-way. Whatever wraps it, it is no failure.
#[derive(Debug)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("asked to stop")
    }
}

impl std::error::Error for Stopped {}

fn was_stopped(error: &Error) -> bool {
    error.chain().any(|cause| cause.is::<Stopped>())
}

/// What a walk tells while it runs, of a node by its index.
#[derive(Debug)]
pub enum Event<'a> {
    Started,
    /// What the node is waiting for.
    Note(&'a str),
    Done(Duration),
    Failed(&'a Error),
    /// Begun, and not finished because the run was asked to stop.
    Stopped,
}

/// Hears of a walk as it happens.
pub trait Observer: Send + Sync {
    fn hear(&self, node: usize, event: Event);
}

/// For those who only want the result.
pub struct Silent;

impl Observer for Silent {
    fn hear(&self, _: usize, _: Event) {}
}

type Teller = Arc<dyn Fn(&str) + Send + Sync>;

tokio::task_local! {
    static TELLER: Teller;
}

/// Says what the node being visited is waiting for. Outside a walk nobody hears it.
pub fn note(text: &str) {
    let _ = TELLER.try_with(|tell| tell(text));
}

/// Visits every node once all those it `uses` are done, at most `limit` at a time.
///
/// Event-driven: a node starts the moment its last neighbour is done; there are no levels. A
/// failure skips only what depends on it, directly or not; everything else goes on. The result
/// has one outcome for each node. `uses` must be free of cycles: nodes on one would be reported
/// as stopped.
pub async fn walk<'a, T>(
    uses: &[BTreeSet<usize>],
    limit: usize,
    stop: &Stop,
    observer: Arc<dyn Observer>,
    visit: impl Fn(usize) -> BoxFuture<'a, Result<T>>,
) -> Vec<Outcome<T>> {
    let mut outcomes: Vec<Option<Outcome<T>>> = uses.iter().map(|_| None).collect();
    let mut missing: Vec<usize> = uses.iter().map(BTreeSet::len).collect();
    let mut ready: VecDeque<usize> = (0..uses.len()).filter(|&node| missing[node] == 0).collect();
    let mut running = FuturesUnordered::new();
    loop {
        while !stop.asked() && running.len() < limit.max(1) {
            let Some(node) = ready.pop_front() else { break };
            let heard = observer.clone();
            let teller: Teller = {
                let observer = observer.clone();
                Arc::new(move |text| observer.hear(node, Event::Note(text)))
            };
            let visiting = visit(node);
            running.push(TELLER.scope(teller, async move {
                heard.hear(node, Event::Started);
                let started = Instant::now();
                let result = visiting.await;
                match &result {
                    Ok(_) => heard.hear(node, Event::Done(started.elapsed())),
                    Err(error) if was_stopped(error) => heard.hear(node, Event::Stopped),
                    Err(error) => heard.hear(node, Event::Failed(error)),
                }
                (node, result)
            }));
        }
        let Some((node, result)) = running.next().await else { break };
        match result {
            Ok(value) => {
                outcomes[node] = Some(Outcome::Done(value));
                for user in users(uses, node) {
                    missing[user] -= 1;
                    if missing[user] == 0 {
                        ready.push_back(user);
                    }
                }
            }
            Err(error) if was_stopped(&error) => outcomes[node] = Some(Outcome::Stopped),
            Err(error) => {
                outcomes[node] = Some(Outcome::Failed(error));
                skip_users(uses, node, &mut outcomes);
            }
        }
    }
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Stopped)).collect()
}

fn users(uses: &[BTreeSet<usize>], node: usize) -> impl Iterator<Item = usize> {
    (0..uses.len()).filter(move |&user| uses[user].contains(&node))
}

fn skip_users<T>(uses: &[BTreeSet<usize>], failed: usize, outcomes: &mut [Option<Outcome<T>>]) {
    let mut causes = vec![failed];
    while let Some(cause) = causes.pop() {
        for user in users(uses, cause) {
            if outcomes[user].is_none() {
                outcomes[user] = Some(Outcome::Skipped(cause));
                causes.push(user);
            }
        }
    }
}
