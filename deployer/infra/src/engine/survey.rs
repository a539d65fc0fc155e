//! The graph after everything was read: it knows the plan, and only it can be carried out.

use super::node::{Finding, Node};
use super::plan::FORMAT_VERSION;
use super::{
    Action, Graph, Kind, Observer, Outcome, Owned, Owner, PARALLEL, Plan, Step, Stop, Waits, walk,
};
use anyhow::{Context, Error, Result, anyhow, bail};
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A graph of which every resource was read, and everything live that nobody declared.
///
/// There is no other way to change anything than through one of these.
pub struct Survey<'k, C> {
    pub(super) nodes: Vec<Box<dyn Node<C>>>,
    /// One for each node.
    steps: Vec<Step>,
    pub(super) leftovers: Vec<(&'k Kind<C>, Owned)>,
    pub(super) kinds: &'k [Kind<C>],
}

enum Read {
    Node,
    Owned(Vec<Owned>),
}

impl Read {
    fn owned(self) -> Option<Vec<Owned>> {
        match self {
            Self::Owned(list) => Some(list),
            Self::Node => None,
        }
    }
}

impl<C: Sync + 'static> Graph<C> {
    /// Reads every declared resource and lists every owned one, all at once: a resource waits
    /// only for those whose output cannot be foretold.
    ///
    /// # Errors
    /// Anything that couldn't be read, and any resource that has the right name but isn't ours.
    pub async fn survey<'k>(
        self,
        cx: &C,
        kinds: &'k [Kind<C>],
        stop: &Stop,
        observer: Arc<dyn Observer>,
    ) -> Result<Survey<'k, C>> {
        let foretold: Vec<bool> = self.nodes.iter().map(|node| node.foretell(cx)).collect();
        let waits = |node: &dyn Node<C>| -> Waits {
            if node.reads_alone() {
                return Waits::default();
            }
            let unknown = node.needs().iter().copied().filter(|&used| !foretold[used]);
            unknown.collect::<BTreeSet<_>>().into()
        };
        let mut waits: Vec<_> = self.nodes.iter().map(|node| waits(&**node)).collect();
        waits.resize_with(self.nodes.len() + kinds.len(), Waits::default);
        let outcomes =
            walk(&waits, PARALLEL, stop, observer, |index| match self.nodes.get(index) {
                Some(node) => Box::pin(async move { node.read(cx).await.map(|()| Read::Node) }),
                None => list(cx, &kinds[index - self.nodes.len()]),
            })
            .await;

        let owned = all_done(outcomes)?.into_iter().filter_map(Read::owned);
        // What stands later uses what stands before.
        let findings: Result<Vec<_>> = self.nodes.iter().map(|node| node.compare()).collect();
        let steps = self.steps(findings?)?;
        let declared: BTreeSet<(&str, &str)> = steps
            .iter()
            .filter_map(|step| Some((step.kind.as_str(), step.id.as_deref()?)))
            .collect();
        let mut leftovers = pair(kinds, owned);
        leftovers.retain(|(kind, owned)| !declared.contains(&(kind.name, owned.id.as_str())));
        Ok(Survey { nodes: self.nodes, steps, leftovers, kinds })
    }

    fn steps(&self, findings: Vec<Finding>) -> Result<Vec<Step>> {
        let mut foreign = Vec::new();
        let mut steps = Vec::new();
        for (node, finding) in self.nodes.iter().zip(findings) {
            let action = match (&finding.id, finding.changes.is_empty()) {
                (None, _) => Action::Create,
                (Some(_), true) => Action::Keep,
                (Some(_), false) => Action::Update,
            };
            let (kind, name) = (node.kind().to_owned(), node.name().to_owned());
            if let Owner::Other(whose) = finding.owner {
                foreign.push(format!("{kind} {name} exists and is not ours: {whose}"));
            }
            steps.push(Step { action, kind, name, id: finding.id, changes: finding.changes });
        }
        if !foreign.is_empty() {
            return Err(anyhow!(Foreign(foreign)));
        }
        Ok(steps)
    }
}

/// Lists everything owned, declared or not, to delete it.
///
/// # Errors
/// Anything that couldn't be listed.
pub async fn survey_owned<'k, C: Sync + 'static>(
    cx: &C,
    kinds: &'k [Kind<C>],
    stop: &Stop,
    observer: Arc<dyn Observer>,
) -> Result<Survey<'k, C>> {
    let waits = vec![Waits::default(); kinds.len()];
    let outcomes = walk(&waits, PARALLEL, stop, observer, |kind| list(cx, &kinds[kind])).await;
    let owned = all_done(outcomes)?.into_iter().filter_map(Read::owned);
    Ok(Survey { nodes: vec![], steps: vec![], leftovers: pair(kinds, owned), kinds })
}

fn list<'a, C: Sync + 'static>(cx: &'a C, kind: &'a Kind<C>) -> BoxFuture<'a, Result<Read>> {
    Box::pin(async move {
        let owned = (kind.owned)(cx).await;
        let mut owned = owned.with_context(|| format!("listing every {}", kind.name))?;
        owned.sort(); // a saved plan must not depend on the order of a list
        Ok(Read::Owned(owned))
    })
}

fn pair<C>(
    kinds: &[Kind<C>],
    owned: impl IntoIterator<Item = Vec<Owned>>,
) -> Vec<(&Kind<C>, Owned)> {
    let pairs = kinds.iter().zip(owned);
    pairs.flat_map(|(kind, list)| list.into_iter().map(move |owned| (kind, owned))).collect()
}

/// All results, or all failures as one error: one bad credential shouldn't take five runs to see
/// five missing rights.
fn all_done<T>(outcomes: Vec<Outcome<T>>) -> Result<Vec<T>> {
    let mut done = Vec::new();
    let mut failures: Vec<Error> = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Done(value) => done.push(value),
            Outcome::Failed(error) => failures.push(error),
            Outcome::Skipped(_) => {}
            Outcome::Stopped => bail!(Interrupted),
        }
    }
    match failures.len() {
        0 => Ok(done),
        1 => Err(failures.remove(0)),
        _ => Err(anyhow!(Failures(failures))),
    }
}

impl<C> Survey<'_, C> {
    /// Leaves alone those of the leftovers that somebody still needs; says which, with their kinds.
    pub fn spare(&mut self, needed: impl Fn(&str, &Owned) -> bool) -> Vec<(&'static str, Owned)> {
        let mut spared = vec![];
        self.leftovers.retain(|(kind, owned)| {
            let needed = needed(kind.name, owned);
            if needed {
                spared.push((kind.name, owned.clone()));
            }
            !needed
        });
        spared
    }

    /// What must be done. `target` says where and with what.
    pub fn plan(&self, target: BTreeMap<String, String>) -> Plan {
        Plan { format_version: FORMAT_VERSION, target, steps: self.all_steps() }
    }

    /// The declared resources, then what must go.
    pub(super) fn all_steps(&self) -> Vec<Step> {
        let delete = |(kind, owned): &(&Kind<C>, Owned)| Step {
            action: Action::Delete,
            kind: kind.name.to_owned(),
            name: owned.name.clone(),
            id: Some(owned.id.clone()),
            changes: vec![],
        };
        self.steps.iter().cloned().chain(self.leftovers.iter().map(delete)).collect()
    }
}

/// Resources that bear our names but not our tags. They are never taken over.
#[derive(Debug)]
pub struct Foreign(pub Vec<String>);

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Foreign {}

/// Several things that failed side by side.
#[derive(Debug)]
pub struct Failures(pub Vec<Error>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} things failed", self.0.len())
    }
}

impl std::error::Error for Failures {}

/// The user asked to stop before anything was changed.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("interrupted; nothing was changed")
    }
}

impl std::error::Error for Interrupted {}
