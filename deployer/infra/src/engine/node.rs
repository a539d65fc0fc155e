//! One declared resource without its type: how the graph holds it.

use super::graph::{Link, Slot};
use super::walk::answered;
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
    /// Those of them whose outputs must be known to read it.
    fn needs(&self) -> &BTreeSet<usize>;
    /// Whether it begins before all that it uses is done.
    fn begins_early(&self) -> bool;
    /// Publishes the output if it follows from the name; says whether it does.
    fn foretell(&self, cx: &C) -> bool;
    /// Whether it can be read before the outputs that it needs are known.
    fn reads_alone(&self) -> bool;
    fn read<'a>(&'a self, cx: &'a C) -> BoxFuture<'a, Result<()>>;
    /// After it and all that it uses was read.
    fn compare(&self) -> Result<Finding>;
    fn apply<'a>(&'a self, cx: &'a C, action: Action) -> BoxFuture<'a, Result<()>>;
}

type LiveOf<C, R> = Live<R, <R as Resource<C>>::Output>;

pub(super) struct Declared<C: Sync, R: Resource<C>, F> {
    name: String,
    uses: BTreeSet<usize>,
    needs: BTreeSet<usize>,
    slot: Slot<R::Output>,
    make: F,
    /// None inside: it was looked for, and isn't there.
    live: OnceLock<Option<LiveOf<C, R>>>,
}

impl<C: Sync, R: Resource<C>, F: Fn(&Link) -> R> Declared<C, R, F> {
    pub(super) fn new(name: String, link: Link, slot: Slot<R::Output>, make: F) -> Self {
        let (uses, needs) = (link.uses.into_inner(), link.needs.into_inner());
        Self { name, uses, needs, slot, make, live: OnceLock::new() }
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

    fn needs(&self) -> &BTreeSet<usize> {
        &self.needs
    }

    fn begins_early(&self) -> bool {
        R::EARLY
    }

    fn foretell(&self, cx: &C) -> bool {
        let foretold = self.wanted().foretell(cx);
        let told = foretold.is_some();
        foretold.into_iter().for_each(|output| self.publish(output));
        told
    }

    fn reads_alone(&self) -> bool {
        R::READS_ALONE
    }

    fn read<'a>(&'a self, cx: &'a C) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let live = self.wanted().read(cx).await;
            let live = live.with_context(|| format!("reading {} {}", R::KIND, self.name))?;
            if let Some(live) = &live
                && !R::MOVES
            {
                self.publish(live.output.clone());
            }
            let _ = self.live.set(live);
            Ok(())
        })
    }

    fn compare(&self) -> Result<Finding> {
        let wanted = serde_json::to_value(self.wanted())?;
        let Some(live) = self.live.get().and_then(Option::as_ref) else {
            let changes = diff(&serde_json::Value::Null, &wanted);
            return Ok(Finding { id: None, owner: Owner::Ours, changes });
        };
        let changes = diff(&serde_json::to_value(&live.props)?, &wanted);
        if R::MOVES && changes.is_empty() {
            self.publish(live.output.clone());
        }
        Ok(Finding { id: Some(live.id.clone()), owner: live.owner.clone(), changes })
    }

    fn apply<'a>(&'a self, cx: &'a C, action: Action) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (wanted, live) = (self.wanted(), self.live.get().and_then(Option::as_ref));
            let (doing, output) = match (action, live) {
                (Action::Create, _) => ("creating", wanted.create(cx).await),
                (Action::Update, Some(live)) => ("updating", wanted.update(cx, live).await),
                _ => return Ok(()),
            };
            let doing = || format!("{doing} {} {}", R::KIND, self.name);
            let output = output.with_context(doing)?;
            self.publish(output.clone());
            answered();
            wanted.settle(cx, live, &output).await.with_context(doing)
        })
    }
}
