//! Nodes that answer before they are done, and nodes that begin before it is their turn.

use crate::engine::walk::answered;
use crate::engine::*;
use anyhow::{Result, anyhow};
use futures_util::future::{BoxFuture, FutureExt};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A walk over two nodes, and what has happened in it. The first answers, and is done when it is told to; the
/// second uses it.
struct Pair {
    waits: [Waits; 2],
    events: Mutex<Vec<&'static str>>,
    end: Notify,
    result: Mutex<Option<Result<()>>>,
}

const MADE: usize = 0;

impl Pair {
    fn new(user: Waits, result: Result<()>) -> Arc<Self> {
        Arc::new(Self {
            waits: [Waits::default(), user],
            events: Mutex::default(),
            end: Notify::new(),
            result: Mutex::new(Some(result)),
        })
    }

    fn say(&self, event: &'static str) {
        self.events.lock().unwrap().push(event);
    }

    fn events(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn visit(self: Arc<Self>, node: usize) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            if node == MADE {
                self.say("made");
                answered();
                self.end.notified().await;
                self.say("settled");
                return self.result.lock().unwrap().take().unwrap();
            }
            self.say("begun");
            turn().await?;
            self.say("its turn");
            Ok(())
        })
    }

    fn walk(self: &Arc<Self>, limit: usize, stop: &Stop) -> BoxFuture<'static, Vec<Outcome<()>>> {
        let (this, stop) = (self.clone(), stop.clone());
        Box::pin(async move {
            let visit = |node| this.clone().visit(node);
            walk(&this.waits, limit, &stop, Arc::new(Silent), visit).await
        })
    }
}

/// Lets everything happen that can happen now.
fn go_on(walk: &mut BoxFuture<'static, Vec<Outcome<()>>>) {
    (0..4).for_each(|_| assert!(walk.now_or_never().is_none()));
}

fn uses() -> BTreeSet<usize> {
    BTreeSet::from([MADE])
}

fn answer_is_enough() -> Waits {
    Waits { uses: uses(), answered: uses(), early: false }
}

fn early() -> Waits {
    Waits { uses: uses(), answered: BTreeSet::new(), early: true }
}

#[tokio::test]
async fn who_needs_an_answer_only_begins_with_it_and_has_its_turn_at_the_end() {
    for (waits, before) in [
        (uses().into(), vec!["made"]),
        (answer_is_enough(), vec!["made", "begun"]),
        (early(), vec!["made", "begun"]),
    ] {
        let pair = Pair::new(waits, Ok(()));
        let mut walk = pair.walk(2, &Stop::default());
        go_on(&mut walk);
        assert_eq!(pair.events(), before);
        pair.end.notify_one();
        assert!(walk.await.iter().all(|outcome| matches!(outcome, Outcome::Done(()))));
        let after = [&["settled", "begun", "its turn"][..], &["settled", "its turn"]];
        assert_eq!(pair.events(), after[usize::from(before.len() > 1)]);
    }
}

#[tokio::test]
async fn whose_turn_never_comes_is_skipped_with_its_cause() {
    for waits in [uses().into(), answer_is_enough(), early()] {
        let pair = Pair::new(waits, Err(anyhow!("it broke")));
        pair.end.notify_one();
        let outcomes = pair.walk(2, &Stop::default()).await;
        assert!(
            matches!(outcomes[..], [Outcome::Failed(_), Outcome::Skipped(MADE)]),
            "{outcomes:?}"
        );
        assert!(!pair.events().contains(&"its turn"));
    }
}

#[tokio::test]
async fn who_waits_for_its_turn_is_stopped_with_the_rest() {
    let (pair, stop) = (Pair::new(early(), Err(Stopped.into())), Stop::default());
    let mut walk = pair.walk(2, &stop);
    go_on(&mut walk);
    stop.ask();
    pair.end.notify_one();
    assert!(matches!(walk.await[..], [Outcome::Stopped, Outcome::Stopped]));
    assert!(!pair.events().contains(&"its turn"));
}

/// Who begins early takes a place, but never one that somebody needs for whom it waits.
#[tokio::test]
async fn one_at_a_time_is_enough() {
    for waits in [uses().into(), answer_is_enough(), early()] {
        let pair = Pair::new(waits, Ok(()));
        pair.end.notify_one();
        let outcomes = pair.walk(1, &Stop::default()).await;
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(()))),
            "{outcomes:?}"
        );
    }
}

#[tokio::test]
async fn outside_a_walk_it_is_always_somebodys_turn() {
    turn().await.unwrap();
}
