//! One declared resource without its type: how the graph holds it.

use super::graph::{Link, Slot};
use super::{Action, Change, Live, Owner, Resource, diff};
use anyhow::{Context, Result};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::{OnceLock, PoisonError};

/// What reading one declared resource told.
pub(super) struct Finding {
    pub id: Option<String>,
    pub owner: Owner,
    pub changes: Vec<Change>,
}

/// A declared resource without its type.
pub(super) trait Node<C>: Send + Sync {
    fn kind(&self) -> &'static str;
    fn name(&self) -> &str;
    fn uses(&self) -> &BTreeSet<usize>;
    /// Publishes the output if it follows from the name; says whether it does.
    fn foretell(&self, cx: &C) -> bool;
    fn read<'a>(&'a self, cx: &'a C) -> BoxFuture<'a, Result<Finding>>;
    fn apply<'a>(&'a self, cx: &'a C, action: Action) -> BoxFuture<'a, Result<()>>;
}

type LiveOf<C, R> = Live<R, <R as Resource<C>>::Output>;

pub(super) struct Declared<C: Sync, R: Resource<C>, F> {
    name: String,
    uses: BTreeSet<usize>,
    slot: Slot<R::Output>,
    make: F,
    live: OnceLock<LiveOf<C, R>>,
}

impl<C: Sync, R: Resource<C>, F: Fn(&Link) -> R> Declared<C, R, F> {
    pub(super) fn new(name: String, uses: BTreeSet<usize>, slot: Slot<R::Output>, make: F) -> Self {
        Self { name, uses, slot, make, live: OnceLock::new() }
    }

    fn wanted(&self) -> R {
        (self.make)(&Link::default())
    }

    fn publish(&self, output: R::Output) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
    }
}

impl<C, R, F> Node<C> for Declared<C, R, F>
where
    C: Sync + 'static,
    R: Resource<C>,
    F: Fn(&Link) -> R + Send + Sync,
{
    fn kind(&self) -> &'static str {
        R::KIND
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn uses(&self) -> &BTreeSet<usize> {
        &self.uses
    }

    fn foretell(&self, cx: &C) -> bool {
        let foretold = self.wanted().foretell(cx);
        let told = foretold.is_some();
        foretold.into_iter().for_each(|output| self.publish(output));
        told
    }

    fn read<'a>(&'a self, cx: &'a C) -> BoxFuture<'a, Result<Finding>> {
        Box::pin(async move {
            let wanted = self.wanted();
            let live = wanted
                .read(cx)
                .await
                .with_context(|| format!("reading {} {}", R::KIND, self.name))?;
            let Some(live) = live else {
                let changes = diff(&serde_json::Value::Null, &serde_json::to_value(&wanted)?);
                return Ok(Finding { id: None, owner: Owner::Ours, changes });
            };
            let changes =
                diff(&serde_json::to_value(&live.props)?, &serde_json::to_value(&wanted)?);
            if !R::MOVES || changes.is_empty() {
                self.publish(live.output.clone());
            }
            let finding = Finding { id: Some(live.id.clone()), owner: live.owner.clone(), changes };
            let _ = self.live.set(live);
            Ok(finding)
        })
    }

    fn apply<'a>(&'a self, cx: &'a C, action: Action) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let wanted = self.wanted();
            let (doing, output) = match (action, self.live.get()) {
                (Action::Create, _) => ("creating", wanted.create(cx).await),
                (Action::Update, Some(live)) => ("updating", wanted.update(cx, live).await),
                _ => return Ok(()),
            };
            self.publish(output.with_context(|| format!("{doing} {} {}", R::KIND, self.name))?);
            Ok(())
        })
    }
}
