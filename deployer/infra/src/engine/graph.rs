//! The graph of what is wanted. Using another resource's output makes the edge.

use super::node::{Declared, Node};
use super::{Resource, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What is wanted, in an order in which everything stands after what it uses.
pub struct Graph<C> {
    pub(super) nodes: Vec<Box<dyn Node<C>>>,
}

/// A declared resource, for others to use.
pub struct Handle<O> {
    node: usize,
    title: String,
    pub(super) slot: Slot<O>,
}

/// Where a resource leaves its output: foretold, read or made.
pub(super) type Slot<O> = Arc<Mutex<Option<O>>>;

impl<O> Clone for Handle<O> {
    fn clone(&self) -> Self {
        Self { node: self.node, title: self.title.clone(), slot: self.slot.clone() }
    }
}

impl<O: Clone> Handle<O> {
    /// The output, once it is foretold, read or made.
    pub fn output(&self) -> Option<O> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn value(&self) -> Value<O> {
        self.output().map_or_else(|| Value::From(self.title.clone()), Value::Known)
    }
}

/// Given to the code that builds a resource, to refer to others.
#[derive(Default)]
pub struct Link {
    pub(super) uses: RefCell<BTreeSet<usize>>,
    /// Those whose outputs it refers to: until they are known, it can't be read.
    pub(super) needs: RefCell<BTreeSet<usize>>,
}

impl Link {
    /// Another's output: fills the property and makes the edge. This is made once that is there.
    pub fn to<O: Clone>(&self, other: &Handle<O>) -> Value<O> {
        self.after(other);
        self.needs.borrow_mut().insert(other.node);
        other.value()
    }

    /// Only the edge: this is made when the other is done, and deleted before it.
    pub fn after<O>(&self, other: &Handle<O>) {
        self.uses.borrow_mut().insert(other.node);
    }
}

/// A node as others see it, for drawing the graph.
pub struct NodeInfo<'a> {
    pub kind: &'static str,
    pub name: &'a str,
    pub uses: &'a BTreeSet<usize>,
}

impl<C: Sync + 'static> Graph<C> {
    #[allow(clippy::new_without_default)] // an empty graph is never what one wants by default
    pub fn new() -> Self {
        Self { nodes: vec![] }
    }

    /// Declares a resource. `make` may be called several times, with more known each time, and
    /// must refer to the same others each time.
    pub fn add<R: Resource<C>>(
        &mut self,
        make: impl Fn(&Link) -> R + Send + Sync + 'static,
    ) -> Handle<R::Output> {
        let link = Link::default();
        let name = make(&link).name();
        let slot = Slot::default();
        let handle = Handle {
            node: self.nodes.len(),
            title: format!("{} {name}", R::KIND),
            slot: slot.clone(),
        };
        self.nodes.push(Box::new(Declared::new(name, link, slot, make)));
        handle
    }

    pub fn nodes(&self) -> impl Iterator<Item = NodeInfo<'_>> {
        self.nodes.iter().map(|node| NodeInfo {
            kind: node.kind(),
            name: node.name(),
            uses: node.uses(),
        })
    }
}
