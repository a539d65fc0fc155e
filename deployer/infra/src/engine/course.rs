//! The course of a walk: how far each node has come, and what may begin because of it.

use std::collections::{BTreeSet, VecDeque};
use tokio::sync::watch;

/// What a node waits for before it begins: other nodes, by their indices.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// Until they are done.
    pub uses: BTreeSet<usize>,
    /// Those of them that need only have answered.
    pub answered: BTreeSet<usize>,
    /// Whether those that need be done need only have begun: the node itself waits for its [`turn`](super::turn).
    pub early: bool,
}

impl From<BTreeSet<usize>> for Waits {
    fn from(uses: BTreeSet<usize>) -> Self {
        Self { uses, ..Self::default() }
    }
}

impl Waits {
    /// How far `used` must have come.
    fn until(&self, used: usize) -> Stage {
        match (self.answered.contains(&used), self.early) {
            (true, _) => Stage::Answered,
            (false, true) => Stage::Begun,
            (false, false) => Stage::Done,
        }
    }
}

/// How far a node has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Waiting,
    Begun,
    Answered,
    Done,
    /// It will never be done.
    Lost,
}

/// What a node hears that waits for its turn.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    /// So many of those that it uses aren't done.
    After(usize),
    /// This one will never be done.
    Never(usize),
    Stopped,
}

/// How far all nodes have come, and what follows from it.
pub(super) struct Course<'a> {
    waits: &'a [Waits],
    users: Vec<Vec<usize>>,
    stages: Vec<Stage>,
    /// How many neighbours haven't come far enough for a node to begin.
    missing: Vec<usize>,
    pub turns: Vec<watch::Sender<Turn>>,
    /// What can begin now.
    pub ready: VecDeque<usize>,
}

impl<'a> Course<'a> {
    pub fn new(waits: &'a [Waits]) -> Self {
        let mut users = vec![vec![]; waits.len()];
        for (node, waits) in waits.iter().enumerate() {
            waits.uses.iter().for_each(|&used| users[used].push(node));
        }
        let missing: Vec<usize> = waits.iter().map(|waits| waits.uses.len()).collect();
        Self {
            users,
            stages: vec![Stage::Waiting; waits.len()],
            turns: missing.iter().map(|&uses| watch::Sender::new(Turn::After(uses))).collect(),
            ready: (0..waits.len()).filter(|&node| missing[node] == 0).collect(),
            missing,
            waits,
        }
    }

    pub fn comes_to(&mut self, node: usize, stage: Stage) {
        // Of the same moment, the end may be heard before the answer.
        if stage < self.stages[node] {
            return;
        }
        let before = std::mem::replace(&mut self.stages[node], stage);
        for &user in &self.users[node] {
            let needed = self.waits[user].until(node);
            if before < needed && needed <= stage {
                self.missing[user] -= 1;
                if self.missing[user] == 0 && self.stages[user] == Stage::Waiting {
                    self.ready.push_back(user);
                }
            }
            if stage == Stage::Done {
                self.turns[user].send_modify(|turn| {
                    if let Turn::After(uses) = turn {
                        *uses -= 1;
                    }
                });
            }
        }
    }

    /// What will never begin now, and because of which other; what has begun early hears of it.
    pub fn fails(&mut self, node: usize) -> Vec<(usize, usize)> {
        self.stages[node] = Stage::Lost;
        let (mut causes, mut skipped) = (vec![node], vec![]);
        while let Some(cause) = causes.pop() {
            for &user in &self.users[cause] {
                self.turns[user].send_replace(Turn::Never(cause));
                if self.stages[user] == Stage::Waiting {
                    self.stages[user] = Stage::Lost;
                    skipped.push((user, cause));
                    causes.push(user);
                }
            }
        }
        skipped
    }

    pub fn stops(&mut self, node: usize) {
        self.stages[node] = Stage::Lost;
        for &user in &self.users[node] {
            self.turns[user].send_replace(Turn::Stopped);
        }
    }
}
