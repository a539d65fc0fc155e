//! The walk by itself, its nodes finished one by one by the test.

use super::Dice;
use crate::engine::*;
use anyhow::{Result, anyhow};
use futures_util::future::{BoxFuture, FutureExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

type Uses = Vec<BTreeSet<usize>>;
type Running = Arc<Mutex<BTreeMap<usize, oneshot::Sender<Result<()>>>>>;

/// A walk, stopped in time: nodes finish when told to.
struct Frozen {
    walk: BoxFuture<'static, Vec<Outcome<()>>>,
    running: Running,
    outcomes: Option<Vec<Outcome<()>>>,
}

impl Frozen {
    fn new(uses: &Uses, limit: usize, stop: &Stop, observer: Arc<dyn Observer>) -> Self {
        let running = Running::default();
        let waits: Vec<Waits> = uses.iter().cloned().map(Waits::from).collect();
        let (stop, starts) = (stop.clone(), running.clone());
        let visit = move |node: usize| -> BoxFuture<'static, Result<()>> {
            let starts = starts.clone();
            Box::pin(async move {
                let (finish, finished) = oneshot::channel();
                assert!(starts.lock().unwrap().insert(node, finish).is_none(), "{node} ran twice");
                note(&format!("I am {node}"));
                finished.await?
            })
        };
        let walk = async move { walk(&waits, limit, &stop, observer, visit).await };
        let mut frozen = Self { walk: Box::pin(walk), running, outcomes: None };
        frozen.go_on();
        frozen
    }

    /// Lets everything happen that can happen now.
    fn go_on(&mut self) {
        for _ in 0..4 {
            if self.outcomes.is_none() {
                self.outcomes = (&mut self.walk).now_or_never();
            }
        }
    }

    fn running(&self) -> BTreeSet<usize> {
        self.running.lock().unwrap().keys().copied().collect()
    }

    fn finish(&mut self, node: usize, result: Result<()>) {
        let finish = self.running.lock().unwrap().remove(&node).expect("it runs");
        finish.send(result).unwrap();
        self.go_on();
    }
}

fn random(dice: &mut Dice) -> Uses {
    let density = 1 + dice.below(4);
    let used = |node: usize, dice: &mut Dice| (0..node).filter(|_| dice.one_in(density)).collect();
    (0..dice.below(12)).map(|node| used(node, dice)).collect()
}

/// Everything that uses one of these, directly or not.
fn dependants(uses: &Uses, of: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut found = of.clone();
    for (node, used) in uses.iter().enumerate() {
        if !used.is_disjoint(&found) {
            found.insert(node);
        }
    }
    &found - of
}

/// Walks a random graph, one finish at a time, and holds every state in between to the rules.
fn hold_to_the_rules(seed: u64, failing: bool, stopping: bool) {
    let mut dice = Dice::new(seed);
    let uses = random(&mut dice);
    let limit = [1, 2, 3, 100][dice.below(4)];
    let stop = Stop::default();
    let mut frozen = Frozen::new(&uses, limit, &stop, Arc::new(Silent));
    let (mut done, mut failed) = (BTreeSet::new(), BTreeSet::new());
    let mut stopped_with: Option<BTreeSet<usize>> = None;
    while frozen.outcomes.is_none() {
        let running = frozen.running();
        assert!(!running.is_empty(), "seed {seed}: nothing runs, and it isn't over");
        assert!(running.len() <= limit, "seed {seed}: {running:?} at once");
        for &node in &running {
            assert!(uses[node].is_subset(&done), "seed {seed}: {node} started too soon");
        }
        let ready = |&node: &usize| uses[node].is_subset(&done) && !done.contains(&node);
        let ready: BTreeSet<usize> =
            (0..uses.len()).filter(ready).filter(|n| !failed.contains(n)).collect();
        match &stopped_with {
            Some(then) => assert!(running.is_subset(then), "seed {seed}: started after stop"),
            None => {
                let expected = ready.len().min(limit);
                assert_eq!(running.len(), expected, "seed {seed}: {running:?} of {ready:?}");
            }
        }
        if stopping && stopped_with.is_none() && dice.one_in(3) {
            stop.ask();
            stopped_with = Some(running.clone());
        }
        let node = *running.iter().nth(dice.below(running.len())).unwrap();
        let fails = failing && dice.one_in(3);
        if fails { &mut failed } else { &mut done }.insert(node);
        frozen.finish(node, if fails { Err(anyhow!("{node} broke")) } else { Ok(()) });
    }
    let skipped = dependants(&uses, &failed);
    for (node, outcome) in frozen.outcomes.unwrap().iter().enumerate() {
        let right = match outcome {
            Outcome::Done(()) => done.contains(&node),
            Outcome::Failed(error) => {
                failed.contains(&node) && error.to_string() == format!("{node} broke")
            }
            Outcome::Skipped(cause) => {
                let broken = failed.contains(cause) || skipped.contains(cause);
                skipped.contains(&node) && broken && uses[node].contains(cause)
            }
            Outcome::Stopped => {
                stopped_with.is_some()
                    && ![&done, &failed, &skipped].iter().any(|set| set.contains(&node))
            }
        };
        assert!(right, "seed {seed}: {node} ended as {outcome:?}");
    }
    if stopped_with.is_none() {
        assert_eq!(done.len() + failed.len() + skipped.len(), uses.len(), "seed {seed}");
    }
}

#[test]
fn nodes_start_when_their_last_neighbour_is_done_and_the_limit_allows() {
    (0..500).for_each(|seed| hold_to_the_rules(seed, false, false));
}

#[test]
fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    (0..500).for_each(|seed| hold_to_the_rules(seed, true, false));
}

#[test]
fn after_stop_nothing_starts_and_what_is_in_flight_finishes() {
    (0..500).for_each(|seed| hold_to_the_rules(seed, false, true));
    (0..500).for_each(|seed| hold_to_the_rules(seed, true, true));
}

/// Levels would make `late` wait for `slow`, which it doesn't use.
#[test]
fn there_are_no_levels() {
    let uses: Uses = vec![[].into(), [].into(), [0].into(), [2].into()];
    let (slow, first) = (1, 0);
    let mut frozen = Frozen::new(&uses, 100, &Stop::default(), Arc::new(Silent));
    frozen.finish(first, Ok(()));
    assert_eq!(frozen.running(), [slow, 2].into());
    frozen.finish(2, Ok(()));
    assert_eq!(frozen.running(), [slow, 3].into());
}

#[test]
fn a_limit_of_none_at_once_is_one_at_once() {
    let mut frozen =
        Frozen::new(&vec![[].into(), [].into()], 0, &Stop::default(), Arc::new(Silent));
    assert_eq!(frozen.running(), [0].into());
    frozen.finish(0, Ok(()));
    frozen.finish(1, Ok(()));
    assert!(frozen.outcomes.is_some());
}

#[derive(Default)]
struct Ears(Mutex<Vec<(usize, String)>>);

impl Observer for Ears {
    fn hear(&self, node: usize, event: Event) {
        let text = match event {
            Event::Started => "started".to_owned(),
            Event::Note(text) => format!("note: {text}"),
            Event::Done(_) => "done".to_owned(),
            Event::Stopped => "stopped".to_owned(),
            Event::Failed(error) => format!("failed: {error}"),
        };
        self.0.lock().unwrap().push((node, text));
    }
}

#[test]
fn observers_hear_of_each_node_once_and_notes_come_from_the_node_that_made_them() {
    let ears = Arc::new(Ears::default());
    // 3 uses 2, which fails.
    let uses: Uses = vec![[].into(), [].into(), [0].into(), [2].into()];
    let mut frozen = Frozen::new(&uses, 100, &Stop::default(), ears.clone());
    frozen.finish(0, Ok(()));
    frozen.finish(2, Err(anyhow!("broke")));
    frozen.finish(1, Ok(()));
    note("nobody is being visited, so nobody hears this");
    let heard = ears.0.lock().unwrap();
    let of = |node: usize| -> Vec<&str> {
        heard.iter().filter(|(n, _)| *n == node).map(|(_, text)| text.as_str()).collect()
    };
    assert_eq!(of(0), ["started", "note: I am 0", "done"]);
    assert_eq!(of(1), ["started", "note: I am 1", "done"]);
    assert_eq!(of(2), ["started", "note: I am 2", "failed: broke"]);
    assert_eq!(of(3), [""; 0]);
}
