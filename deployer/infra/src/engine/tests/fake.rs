//! A cloud in memory with the laws that clouds share: what is used must exist, what is in use
//! can't be deleted, some names are unique and some aren't.

use super::Dice;
use crate::engine::*;
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, Semaphore};

/// Stones' outputs follow from their names, which are unique; walls and houses are numbered when
/// they are made, and there may be several of one name.
pub const KINDS: [&str; 3] = ["stone", "wall", "house"];
const FORETOLD: usize = 0;

#[derive(Default)]
pub struct Fake {
    state: Mutex<State>,
    /// Told when the process that writes is dead.
    death: Notify,
}

#[derive(Default)]
struct State {
    things: BTreeMap<String, Thing>,
    made: usize,
    log: Vec<String>,
    failing: BTreeSet<String>,
    gates: BTreeMap<String, Arc<Semaphore>>,
    /// How many moments the writing process has left: each write has one before and one after it.
    moments: Option<usize>,
}

/// What is there, by its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Thing {
    pub kind: &'static str,
    pub name: String,
    pub size: u32,
    pub parts: Vec<String>,
    pub owner: Owner,
}

impl Fake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Every call so far, as begun: `create wall a`.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    pub fn writes(&self) -> Vec<String> {
        let is_read = |call: &String| call.starts_with("read ") || call.starts_with("list ");
        self.log().into_iter().filter(|call| !is_read(call)).collect()
    }

    pub fn forget_log(&self) {
        self.state().log.clear();
    }

    pub fn things(&self) -> BTreeMap<String, Thing> {
        self.state().things.clone()
    }

    /// Puts something there behind the engine's back.
    pub fn put(&self, id: &str, kind: usize, name: &str, parts: &[&str], owner: Owner) {
        let (kind, name) = (KINDS[kind], name.to_owned());
        let parts = parts.iter().map(|&part| part.to_owned()).collect();
        self.state().things.insert(id.to_owned(), Thing { kind, name, size: 1, parts, owner });
    }

    pub fn resize(&self, id: &str, size: u32) {
        self.state().things.get_mut(id).unwrap().size = size;
    }

    pub fn fail(&self, call: &str) {
        self.state().failing.insert(call.to_owned());
    }

    pub fn heal(&self) {
        self.state().failing.clear();
    }

    /// Holds calls in flight until the gate is given permits.
    pub fn hold(&self, call: &str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.state().gates.insert(call.to_owned(), gate.clone());
        gate
    }

    /// Kills the writing process at this moment of its life; `None` revives it.
    pub fn die_at(&self, moment: Option<usize>) {
        self.state().moments = moment;
    }

    pub async fn death(&self) {
        self.death.notified().await;
    }

    async fn begin(&self, call: &str) -> Result<()> {
        let gate = {
            let mut state = self.state();
            state.log.push(call.to_owned());
            state.gates.get(call).cloned()
        };
        if let Some(gate) = gate {
            gate.acquire().await?.forget();
        }
        tokio::task::yield_now().await;
        if self.state().failing.contains(call) {
            bail!("{call} was told to fail");
        }
        Ok(())
    }

    async fn moment(&self) {
        let dead = match &mut self.state().moments {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if dead {
            self.death.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn write<T>(
        &self,
        call: &str,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        self.begin(call).await?;
        self.moment().await;
        let result = effect(&mut self.state());
        self.moment().await;
        result
    }
}

impl State {
    fn check_parts(&self, parts: &[String]) -> Result<()> {
        match parts.iter().find(|part| !self.things.contains_key(*part)) {
            Some(part) => bail!("there is no {part}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Toy<const K: usize> {
    #[serde(skip)]
    pub name: String,
    pub size: u32,
    pub parts: Vec<Value<String>>,
}

impl<const K: usize> Toy<K> {
    fn thing(&self) -> Result<Thing> {
        Ok(Thing {
            kind: KINDS[K],
            name: self.name.clone(),
            size: self.size,
            parts: self.parts.iter().map(|part| part.get().cloned()).collect::<Result<_>>()?,
            owner: Owner::Ours,
        })
    }

    fn title(&self) -> String {
        format!("{} {}", KINDS[K], self.name)
    }
}

impl<const K: usize> Resource<Fake> for Toy<K> {
    const KIND: &'static str = KINDS[K];
    type Output = String;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, _: &Fake) -> Option<String> {
        (K == FORETOLD).then(|| self.title())
    }

    async fn read(&self, cx: &Fake) -> Result<Option<Live<Self, String>>> {
        cx.begin(&format!("read {}", self.title())).await?;
        let things = cx.things().into_iter();
        let named = things.filter(|(_, thing)| thing.kind == KINDS[K] && thing.name == self.name);
        let found = named.min_by_key(|(id, thing)| (thing.owner != Owner::Ours, id.clone()));
        Ok(found.map(|(id, Thing { name, size, parts, owner, .. })| {
            let parts = parts.into_iter().map(Value::Known).collect();
            Live { props: Self { name, size, parts }, output: id.clone(), id, owner }
        }))
    }

    async fn create(&self, cx: &Fake) -> Result<String> {
        let thing = self.thing()?;
        let effect = |state: &mut State| {
            state.check_parts(&thing.parts)?;
            state.made += 1;
            let id = self.foretell(cx).unwrap_or_else(|| format!("{}-{}", KINDS[K], state.made));
            if state.things.insert(id.clone(), thing).is_some() {
                bail!("{id} exists already");
            }
            Ok(id)
        };
        cx.write(&format!("create {}", self.title()), effect).await
    }

    async fn update(&self, cx: &Fake, live: &Live<Self, String>) -> Result<String> {
        let thing = self.thing()?;
        let effect = |state: &mut State| {
            state.check_parts(&thing.parts)?;
            state.things.insert(live.id.clone(), thing);
            Ok(live.output.clone())
        };
        cx.write(&format!("update {}", self.title()), effect).await
    }

    async fn delete(cx: &Fake, id: &str) -> Result<()> {
        let name = cx.things().get(id).map_or(id.to_owned(), |thing| thing.name.clone());
        let effect = |state: &mut State| {
            let users = state.things.iter().find(|(_, thing)| thing.parts.contains(&id.to_owned()));
            if let Some((user, _)) = users {
                bail!("{user} uses {id}");
            }
            state.things.remove(id);
            Ok(())
        };
        cx.write(&format!("delete {} {name}", KINDS[K]), effect).await
    }

    async fn owned(cx: &Fake) -> Result<Vec<Owned>> {
        cx.begin(&format!("list {}", KINDS[K])).await?;
        let ours =
            cx.things().into_iter().filter(|(_, t)| t.kind == KINDS[K] && t.owner == Owner::Ours);
        Ok(ours.map(|(id, thing)| Owned { name: thing.name, id }).collect())
    }
}

pub fn kinds() -> Vec<Kind<Fake>> {
    vec![Kind::of::<Toy<0>>(&[]), Kind::of::<Toy<1>>(&["stone"]), Kind::of::<Toy<2>>(&["wall"])]
}

/// What is wanted: a kind, a name, and the earlier ones that it uses.
#[derive(Clone, Debug)]
pub struct Wish {
    pub kind: usize,
    pub name: String,
    pub size: u32,
    pub uses: Vec<usize>,
}

pub fn wish(kind: usize, name: &str, uses: &[usize]) -> Wish {
    Wish { kind, name: name.to_owned(), size: 1, uses: uses.to_vec() }
}

impl Wish {
    pub fn title(&self) -> String {
        format!("{} {}", KINDS[self.kind], self.name)
    }
}

pub fn graph(wishes: &[Wish]) -> Graph<Fake> {
    fn add<const K: usize>(
        graph: &mut Graph<Fake>,
        wish: &Wish,
        made: &[Handle<String>],
    ) -> Handle<String> {
        let Wish { name, size, uses, .. } = wish.clone();
        let parts: Vec<_> = uses.iter().map(|&used| made[used].clone()).collect();
        graph.add(move |link| Toy::<K> {
            name: name.clone(),
            size,
            parts: parts.iter().map(|part| link.to(part)).collect(),
        })
    }
    let (mut graph, mut made) = (Graph::new(), vec![]);
    for wish in wishes {
        let handle = match wish.kind {
            0 => add::<0>(&mut graph, wish, &made),
            1 => add::<1>(&mut graph, wish, &made),
            _ => add::<2>(&mut graph, wish, &made),
        };
        made.push(handle);
    }
    graph
}

/// A random graph: kinds only use lower kinds, so that there is an order in which to delete them.
pub fn random(dice: &mut Dice) -> Vec<Wish> {
    let mut wishes: Vec<Wish> = vec![];
    for index in 0..1 + dice.below(10) {
        let kind = dice.below(3);
        let lower = |&used: &usize| wishes[used].kind < kind;
        let uses = (0..index).filter(lower).filter(|_| dice.one_in(2)).collect();
        wishes.push(Wish { kind, name: format!("n{index}"), size: 1, uses });
    }
    wishes
}

pub async fn plan(fake: &Fake, wishes: &[Wish]) -> Result<Plan> {
    let kinds = kinds();
    let survey = graph(wishes).survey(fake, &kinds, &Stop::default(), Arc::new(Silent)).await?;
    Ok(survey.plan(BTreeMap::new()))
}

pub async fn deploy(fake: &Fake, wishes: &[Wish]) -> Result<Report> {
    let (kinds, stop) = (kinds(), Stop::default());
    let survey = graph(wishes).survey(fake, &kinds, &stop, Arc::new(Silent)).await?;
    Ok(survey.carry_out(fake, &stop, Arc::new(Silent)).await)
}

pub async fn destroy(fake: &Fake) -> Result<Report> {
    let (kinds, stop) = (kinds(), Stop::default());
    let survey = survey_owned(fake, &kinds, &stop, Arc::new(Silent)).await?;
    Ok(survey.carry_out(fake, &stop, Arc::new(Silent)).await)
}

/// The world in words that don't depend on numbers given on the way: each thing with the titles of
/// its parts, and everything exactly once.
pub fn world(fake: &Fake) -> Vec<(String, u32, Vec<String>)> {
    let things = fake.things();
    let title = |thing: &Thing| format!("{} {}", thing.kind, thing.name);
    let parts = |thing: &Thing| thing.parts.iter().map(|part| title(&things[part])).collect();
    let mut world: Vec<_> = things.values().map(|t| (title(t), t.size, parts(t))).collect();
    world.sort();
    world
}

/// The world as wished for.
pub fn wished(wishes: &[Wish]) -> Vec<(String, u32, Vec<String>)> {
    let parts = |wish: &Wish| wish.uses.iter().map(|&used| wishes[used].title()).collect();
    let mut world: Vec<_> = wishes.iter().map(|w| (w.title(), w.size, parts(w))).collect();
    world.sort();
    world
}
