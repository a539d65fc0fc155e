//! The one walk over a graph: to read it, to change it and, backwards, to delete it.

use super::course::{Course, Stage, Turn, Waits};
use anyhow::{Error, Result, bail};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

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

/// The walk, as the node sees it that is being visited.
struct Visit {
    tell: Box<dyn Fn(&str) + Send + Sync>,
    answered: Box<dyn Fn() + Send + Sync>,
    turn: watch::Receiver<Turn>,
    stop: Stop,
}

tokio::task_local! {
    static VISIT: Visit;
}

/// Says what the node being visited is waiting for. Outside a walk nobody hears it.
pub fn note(text: &str) {
    let _ = VISIT.try_with(|visit| (visit.tell)(text));
}

/// Says that others may use the node being visited, though it isn't done.
pub(super) fn answered() {
    let _ = VISIT.try_with(|visit| (visit.answered)());
}

/// Waits until everything is done that the node being visited uses. For nodes that begin early.
///
/// # Errors
/// When that will never be, or the run was asked to stop.
pub async fn turn() -> Result<()> {
    let Ok((mut turn, stop)) = VISIT.try_with(|visit| (visit.turn.clone(), visit.stop.clone()))
    else {
        return Ok(()); // it is always its turn outside a walk
    };
    let come = turn.wait_for(|turn| !matches!(turn, Turn::After(1..)));
    let come = tokio::select! {
        come = come => come.map(|turn| *turn),
        () = stop.wait() => bail!(Stopped),
    };
    match come {
        Ok(Turn::Never(cause)) => bail!(Prevented(cause)),
        Ok(Turn::After(_)) => Ok(()),
        Ok(Turn::Stopped) | Err(_) => bail!(Stopped),
    }
}

/// What a node ends with whose turn never came, because of another.
#[derive(Debug)]
struct Prevented(usize);

impl fmt::Display for Prevented {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("what it needs has failed")
    }
}

impl std::error::Error for Prevented {}

/// Visits every node once what it [waits for](Waits) is so, at most `limit` at a time.
///
/// Event-driven: a node starts the moment its last neighbour has come far enough; there are no
/// levels. A failure skips only what depends on it, directly or not; everything else goes on. The
/// result has one outcome for each node. `waits` must be free of cycles: nodes on one would be
/// reported as stopped.
pub async fn walk<'a, T>(
    waits: &[Waits],
    limit: usize,
    stop: &Stop,
    observer: Arc<dyn Observer>,
    visit: impl Fn(usize) -> BoxFuture<'a, Result<T>>,
) -> Vec<Outcome<T>> {
    let mut course = Course::new(waits);
    let mut outcomes: Vec<Option<Outcome<T>>> = waits.iter().map(|_| None).collect();
    let (answer, mut answers) = mpsc::unbounded_channel();
    let mut running = FuturesUnordered::new();
    loop {
        while !stop.asked() && running.len() < limit.max(1) {
            let Some(node) = course.ready.pop_front() else { break };
            let (teller, heard, answer) = (observer.clone(), observer.clone(), answer.clone());
            let visiting = visit(node);
            let context = Visit {
                tell: Box::new(move |text| teller.hear(node, Event::Note(text))),
                answered: Box::new(move || answer.send(node).unwrap_or_default()),
                turn: course.turns[node].subscribe(),
                stop: stop.clone(),
            };
            running.push(VISIT.scope(context, async move {
                heard.hear(node, Event::Started);
                let started = Instant::now();
                let result = visiting.await;
                match &result {
                    Ok(_) => heard.hear(node, Event::Done(started.elapsed())),
                    Err(error) if was_stopped(error) || prevented(error).is_some() => {
                        heard.hear(node, Event::Stopped);
                    }
                    Err(error) => heard.hear(node, Event::Failed(error)),
                }
                (node, result)
            }));
            course.comes_to(node, Stage::Begun);
        }
        let (node, result) = tokio::select! {
            biased;
            Some(node) = answers.recv() => {
                course.comes_to(node, Stage::Answered);
                continue;
            }
            ended = running.next() => match ended {
                Some(ended) => ended,
                None => break,
            },
        };
        let outcome = match result {
            Ok(value) => {
                course.comes_to(node, Stage::Done);
                Outcome::Done(value)
            }
            Err(error) if was_stopped(&error) => {
                course.stops(node);
                Outcome::Stopped
            }
            Err(error) => {
                for (skipped, cause) in course.fails(node) {
                    outcomes[skipped] = Some(Outcome::Skipped(cause));
                }
                match prevented(&error) {
                    Some(cause) => Outcome::Skipped(cause),
                    None => Outcome::Failed(error),
                }
            }
        };
        outcomes[node] = Some(outcome);
    }
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Stopped)).collect()
}

fn prevented(error: &Error) -> Option<usize> {
    error.chain().find_map(<dyn std::error::Error>::downcast_ref).map(|Prevented(cause)| *cause)
}
