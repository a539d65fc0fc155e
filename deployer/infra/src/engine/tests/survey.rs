//! Reading what is there, and the plan that comes of it.

use super::Dice;
use super::fake::*;
use crate::engine::*;
use anyhow::Result;
use futures_util::future::FutureExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

const STONE: usize = 0;
const WALL: usize = 1;
const HOUSE: usize = 2;

/// Reads wait for those whose output can't be foretold, and for nobody else.
#[tokio::test]
async fn reading_waits_only_for_what_cannot_be_foretold() {
    let fake = Fake::default();
    let gates = [fake.hold("read stone s"), fake.hold("read wall w")];
    let wishes = [
        wish(STONE, "s", &[]),
        wish(WALL, "w", &[]),
        wish(HOUSE, "on-stone", &[0]),
        wish(HOUSE, "of-walls", &[1]),
    ];
    let mut reading = pin!(plan(&fake, &wishes));
    for _ in 0..20 {
        assert!(reading.as_mut().now_or_never().is_none());
    }
    let begun = fake.log();
    for call in ["read stone s", "read wall w", "read house on-stone", "list stone", "list wall"] {
        assert!(begun.contains(&call.to_owned()), "{call}: {begun:?}");
    }
    assert!(!begun.contains(&"read house of-walls".to_owned()), "{begun:?}");
    gates.iter().for_each(|gate| gate.add_permits(1));
    reading.await.unwrap();
    assert_eq!(fake.log().last().unwrap(), "read house of-walls");
}

#[tokio::test]
async fn planning_writes_nothing_and_reads_everything_once() {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let (fake, old, new) = (Fake::default(), random(&mut dice), random(&mut dice));
        deploy(&fake, &old).await.unwrap();
        fake.forget_log();
        let world = fake.things();
        plan(&fake, &new).await.unwrap();
        let mut expected: Vec<_> =
            new.iter().map(|wish| format!("read {}", wish.title())).collect();
        expected.extend(KINDS.map(|kind| format!("list {kind}")));
        let mut log = fake.log();
        log.sort();
        expected.sort();
        assert_eq!(log, expected, "seed {seed}");
        assert_eq!(fake.things(), world, "seed {seed}");
    }
}

/// Each step with its action and the changed paths.
fn steps(plan: &Plan) -> Vec<String> {
    let show = |step: &Step| {
        let paths: Vec<_> = step.changes.iter().map(|change| change.path.as_str()).collect();
        format!("{:?} {} [{}]", step.action, step.title(), paths.join(" "))
    };
    plan.steps.iter().map(show).collect()
}

#[tokio::test]
async fn each_resource_has_the_action_that_it_needs() {
    let fake = Fake::default();
    let wishes = [wish(STONE, "s", &[]), wish(WALL, "w", &[0]), wish(HOUSE, "h", &[1])];
    deploy(&fake, &wishes).await.unwrap();
    assert!(plan(&fake, &wishes).await.unwrap().is_empty());
    fake.resize("stone s", 7);
    fake.put("house-9", HOUSE, "old", &[], Owner::Ours);
    let wishes = [&wishes[..], &[wish(WALL, "new", &[0])]].concat();
    let plan = plan(&fake, &wishes).await.unwrap();
    assert_eq!(
        steps(&plan),
        [
            "Update stone s [size]",
            "Keep wall w []",
            "Keep house h []",
            "Create wall new [parts size]",
            "Delete house old []",
        ]
    );
    assert_eq!(plan.steps[0].id.as_deref(), Some("stone s"));
    assert_eq!(plan.steps[3].id, None);
    assert_eq!(plan.steps[4].id.as_deref(), Some("house-9"));
}

#[tokio::test]
async fn what_cannot_be_known_yet_says_where_it_comes_from() {
    let wishes = [wish(STONE, "s", &[]), wish(WALL, "w", &[]), wish(HOUSE, "h", &[0, 1])];
    let plan = plan(&Fake::default(), &wishes).await.unwrap();
    let parts = plan.steps[2].changes.iter().find(|change| change.path == "parts").unwrap();
    assert_eq!(parts.to, Some(json!(["stone s", "(from wall w)"])));
}

#[tokio::test]
async fn what_is_foreign_stops_everything_before_anything_is_written() {
    let fake = Fake::default();
    fake.put("wall-1", WALL, "mine", &[], Owner::Other("it is mine".to_owned()));
    fake.put("stone his", STONE, "his", &[], Owner::Other("it is his".to_owned()));
    fake.put("wall-2", WALL, "unnamed", &[], Owner::Other("nobody asked for it".to_owned()));
    let wishes = [wish(STONE, "free", &[]), wish(WALL, "mine", &[]), wish(STONE, "his", &[])];
    let error = deploy(&fake, &wishes).await.unwrap_err();
    let Foreign(foreign) = error.downcast_ref().unwrap();
    assert_eq!(
        foreign,
        &[
            "wall mine exists and is not ours: it is mine",
            "stone his exists and is not ours: it is his",
        ]
    );
    assert_eq!(fake.writes(), [""; 0]);
}

/// Of two with one name, ours counts, whatever order a cloud lists them in.
#[tokio::test]
async fn what_is_foreign_and_only_shares_the_name_is_left_alone() {
    let fake = Fake::default();
    fake.put("wall-1", WALL, "w", &[], Owner::Other("theirs".to_owned()));
    fake.put("wall-2", WALL, "w", &[], Owner::Ours);
    assert!(plan(&fake, &[wish(WALL, "w", &[])]).await.unwrap().is_empty());
}

#[tokio::test]
async fn everything_that_could_not_be_read_is_in_one_error() {
    let fake = Fake::default();
    let wishes = [wish(WALL, "a", &[]), wish(WALL, "b", &[]), wish(HOUSE, "h", &[0])];
    fake.fail("read wall a");
    let one = plan(&fake, &wishes).await.unwrap_err();
    assert_eq!(format!("{one:#}"), "reading wall a: read wall a was told to fail");
    fake.fail("read wall b");
    fake.fail("list house");
    let all = plan(&fake, &wishes).await.unwrap_err();
    let Failures(failures) = all.downcast_ref().unwrap();
    let failures: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["reading wall a", "reading wall b", "listing every house"]);
}

#[tokio::test]
async fn a_survey_that_was_stopped_has_no_plan() {
    let (fake, kinds, stop) = (Fake::default(), kinds(), Stop::default());
    stop.ask();
    let graph = graph(&[wish(STONE, "s", &[])]);
    let error = graph.survey(&fake, &kinds, &stop, Arc::new(Silent)).await.err().unwrap();
    assert!(error.is::<Interrupted>(), "{error}");
    assert_eq!(fake.log(), [""; 0]);
}

#[test]
fn using_an_output_makes_the_edge() {
    let mut graph: Graph<Fake> = Graph::new();
    let toy = |name: &str, parts| Toy::<WALL> { name: name.to_owned(), size: 1, parts };
    let one = graph.add(move |_| toy("one", vec![]));
    let two = graph.add({
        let one = one.clone();
        move |link| toy("two", vec![link.to(&one)])
    });
    graph.add(move |link| {
        link.after(&two);
        toy("three", vec![])
    });
    let edges: Vec<Vec<usize>> =
        graph.nodes().map(|node| node.uses.iter().copied().collect()).collect();
    assert_eq!(edges, [vec![], vec![0], vec![1]]);
    assert_eq!(one.output(), None);
}

/// There with another size than is wanted, and each size has an output of its own.
#[derive(serde::Serialize)]
struct Moving {
    size: u32,
    uses: Vec<Value<String>>,
}

impl Resource<Fake> for Moving {
    const KIND: &'static str = "moving";
    const MOVES: bool = true;
    type Output = String;

    fn name(&self) -> String {
        format!("of {}", self.uses.len())
    }

    async fn read(&self, _: &Fake) -> Result<Option<Live<Self, String>>> {
        let props = Self { size: 1, uses: vec!["output of 1".to_owned().into()] };
        let (output, id, owner) = ("output of 1".to_owned(), self.name(), Owner::Ours);
        Ok(Some(Live { props, output, id, owner }))
    }

    async fn create(&self, _: &Fake) -> Result<String> {
        Ok(String::new())
    }

    async fn update(&self, _: &Fake, _: &Live<Self, String>) -> Result<String> {
        Ok(format!("output of {}", self.size))
    }

    async fn delete(_: &Fake, _: &str) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_output_that_an_update_moves_is_not_known_before() {
    let used = async |size| {
        let mut graph: Graph<Fake> = Graph::new();
        let first =
            graph.add(move |_| Moving { size, uses: vec!["output of 1".to_owned().into()] });
        graph.add(move |link| Moving { size: 1, uses: vec![link.to(&first)] });
        let (fake, kinds, stop) = (Fake::default(), kinds(), Stop::default());
        let survey = graph.survey(&fake, &kinds, &stop, Arc::new(Silent)).await.unwrap();
        let plan = survey.plan(BTreeMap::new());
        plan.steps[1].changes.iter().find_map(|change| change.to.clone())
    };
    assert_eq!(used(1).await, None, "nothing is to be done, so it stays");
    assert_eq!(used(2).await, Some(json!(["(from moving of 1)"])));
}
