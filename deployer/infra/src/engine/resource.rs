//! What a kind of resource must know how to do: five verbs, to wait until AWS has done them, and to name its own.

use anyhow::Result;
use futures_util::future::BoxFuture;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

/// A wish that can be compared with reality, and be made real.
///
/// The struct that implements this says what is wanted; [`read`](Resource::read) fills the same
/// struct with what is there. What serialises is compared; the rest (`#[serde(skip)]`) is not. A
/// live struct carries only what we manage, so AWS's defaults never show as differences.
pub trait Resource<C: Sync>: Serialize + Sized + Send + Sync + 'static {
    /// What people call it, lower-case: "role", "log group".
    const KIND: &'static str;

    /// What others may use of it: an ARN, an id, or nothing.
    type Output: Clone + Send + Sync + 'static;

    /// Whether an update gives another output. Then what uses it can't know it before.
    const MOVES: bool = false;

    /// Whether [`read`](Resource::read) finds it by its name, whatever it uses: then it waits for nobody.
    const READS_ALONE: bool = false;

    /// Whether it is begun before everything is done that it uses, and itself waits for that: its
    /// [`turn`](super::turn).
    const EARLY: bool = false;

    /// Whether [`delete`](Resource::delete) is begun before everything is deleted that uses it, and itself waits for
    /// that: its [`turn`](super::turn).
    const DELETED_EARLY: bool = Self::EARLY;

    /// Unique among the declared resources of its kind.
    fn name(&self) -> String;

    /// The output, where it follows from the name: then nobody waits for it to be known.
    fn foretell(&self, _cx: &C) -> Option<Self::Output> {
        None
    }

    /// What is there now under this name. Never writes.
    fn read(&self, cx: &C)
    -> impl Future<Output = Result<Option<Live<Self, Self::Output>>>> + Send;

    /// Makes it. Everything it uses is there. Finds and finishes what an earlier try left behind.
    fn create(&self, cx: &C) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Makes `live` equal to `self`.
    fn update(
        &self,
        cx: &C,
        live: &Live<Self, Self::Output>,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Ends what was made or updated, when others use its output already: what AWS still has to do, and
    /// what nobody needs who uses it.
    fn settle(
        &self,
        _cx: &C,
        _live: Option<&Live<Self, Self::Output>>,
        _output: &Self::Output,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Deletes what [`read`](Resource::read) or [`owned`](Resource::owned) called `id`. Already
    /// gone is fine.
    fn delete(cx: &C, id: &str) -> impl Future<Output = Result<()>> + Send;

    /// Waits until what was deleted is gone, when what it used is being deleted already.
    fn gone(_cx: &C, _id: &str) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Everything of this kind that bears our tags, declared or not. Kinds that vanish with
    /// their parent (a stage with its API) have none of their own.
    fn owned(_cx: &C) -> impl Future<Output = Result<Vec<Owned>>> + Send {
        async { Ok(vec![]) }
    }
}

/// What was found under a resource's name.
#[derive(Clone, Debug)]
pub struct Live<R, O> {
    pub props: R,
    pub output: O,
    /// What AWS calls it: enough for [`Resource::delete`].
    pub id: String,
    pub owner: Owner,
}

/// Whose a live resource is, by its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    Ours,
    /// Somebody else's, with the words to say whose.
    Other(String),
}

/// One live resource that bears our tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    pub name: String,
    pub id: String,
}

type OwnedFn<C> = for<'a> fn(&'a C) -> BoxFuture<'a, Result<Vec<Owned>>>;
type DeleteFn<C> = for<'a> fn(&'a C, String) -> BoxFuture<'a, Result<()>>;

/// A kind of resource without its type: what can be done to things nobody declared.
pub struct Kind<C> {
    pub name: &'static str,
    /// The kinds that it may use. What uses a thing is deleted, or made to use another, before it.
    pub uses: &'static [&'static str],
    pub(super) owned: OwnedFn<C>,
    pub(super) delete: DeleteFn<C>,
    pub(super) gone: DeleteFn<C>,
    pub(super) early: bool,
}

impl<C: Sync + 'static> Kind<C> {
    pub fn of<R: Resource<C>>(uses: &'static [&'static str]) -> Self {
        Self {
            name: R::KIND,
            uses,
            owned: |cx| Box::pin(R::owned(cx)),
            delete: |cx, id| Box::pin(async move { R::delete(cx, &id).await }),
            gone: |cx, id| Box::pin(async move { R::gone(cx, &id).await }),
            early: R::DELETED_EARLY,
        }
    }
}

/// For each kind, the kinds that it uses, directly or not. Kinds stand after those that they use.
pub fn kind_uses<C>(kinds: &[Kind<C>]) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut all: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
    for kind in kinds {
        let mut used: BTreeSet<_> = kind.uses.iter().copied().collect();
        used.extend(kind.uses.iter().filter_map(|direct| all.get(direct)).flatten());
        all.insert(kind.name, used);
    }
    all
}
