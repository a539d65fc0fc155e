//! Carrying plans out: order, failures, stopping, dying, and running again.

use super::Dice;
use super::fake::*;
use crate::engine::*;
use futures_util::future::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};

/// The world's laws refuse what comes before what it uses, and leaves no room for a wrong id.
#[tokio::test]
async fn any_graph_becomes_any_other_and_then_there_is_nothing_to_do() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let fake = Fake::default();
        for _ in 0..3 {
            let wishes = random(&mut dice);
            let report = deploy(&fake, &wishes).await.unwrap();
            assert!(report.complete(), "seed {seed}: {report:?}");
            assert_eq!(world(&fake), wished(&wishes), "seed {seed}");
            fake.forget_log();
            let again = deploy(&fake, &wishes).await.unwrap();
            assert!(again.complete() && again.done.is_empty(), "seed {seed}: {again:?}");
            assert_eq!(fake.writes(), [""; 0], "seed {seed}");
        }
    }
}

/// The house is planned without knowing the wall, and made with the wall that this run made.
#[tokio::test]
async fn a_resource_is_made_with_what_its_neighbours_became() {
    let fake = Fake::default();
    fake.put("wall-77", 1, "other", &[], Owner::Other("theirs".to_owned()));
    deploy(&fake, &[wish(1, "w", &[]), wish(2, "h", &[0])]).await.unwrap();
    let things = fake.things();
    let id = |name: &str| things.iter().find(|(_, thing)| thing.name == name).unwrap().0;
    assert_eq!(things[id("h")].parts, [id("w").as_str()]);
}

/// Of a report's lists: the titles in each, sorted.
fn lists(report: &Report) -> [Vec<String>; 4] {
    let Report { done, failed, skipped, stopped } = report;
    [
        done.iter().map(Step::title).collect(),
        failed.iter().map(|(step, _)| step.title()).collect(),
        skipped.iter().map(|(step, _)| step.title()).collect(),
        stopped.iter().map(Step::title).collect(),
    ]
    .map(|mut titles: Vec<String>| {
        titles.sort();
        titles
    })
}

#[tokio::test]
async fn every_step_is_in_exactly_one_list_and_running_again_finishes() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let (fake, before, wishes) = (Fake::default(), random(&mut dice), random(&mut dice));
        deploy(&fake, &before).await.unwrap();
        let planned = plan(&fake, &wishes).await.unwrap();
        for step in planned.steps.iter().filter(|_| dice.one_in(3)) {
            let verb = format!("{:?}", step.action).to_lowercase();
            fake.fail(&format!("{verb} {}", step.title()));
        }
        fake.forget_log();
        let report = deploy(&fake, &wishes).await.unwrap();
        let lists = lists(&report);
        let mut all: Vec<String> = lists.concat();
        let mut expected: Vec<String> = planned
            .steps
            .iter()
            .filter(|step| step.action != Action::Keep)
            .map(Step::title)
            .collect();
        all.sort();
        expected.sort();
        assert_eq!(all, expected, "seed {seed}");
        let [done, failed, skipped, stopped] = &lists;
        assert!(stopped.is_empty());
        // Begun is what was done or failed; what was skipped was never tried.
        let mut begun: Vec<String> =
            fake.writes().iter().map(|call| call.split_once(' ').unwrap().1.to_owned()).collect();
        begun.sort();
        let mut tried = [done.clone(), failed.clone()].concat();
        tried.sort();
        assert_eq!(begun, tried, "seed {seed}");
        assert_eq!(report.complete(), failed.is_empty() && skipped.is_empty(), "seed {seed}");
        for (step, error) in &report.failed {
            let doing =
                format!("{:?}", step.action).to_lowercase().trim_end_matches('e').to_owned();
            let said = format!("{error:#}");
            assert!(said.starts_with(&format!("{doing}ing {}: ", step.title())), "{said}");
            assert!(said.ends_with("was told to fail"), "seed {seed}: {said}");
        }
        for (step, cause) in &report.skipped {
            let broken = failed.contains(cause) || skipped.contains(cause);
            assert!(broken, "seed {seed}: {} was skipped for {cause}", step.title());
        }
        fake.heal();
        assert!(deploy(&fake, &wishes).await.unwrap().complete(), "seed {seed}");
        assert_eq!(world(&fake), wished(&wishes), "seed {seed}");
    }
}

#[tokio::test]
async fn a_failure_skips_its_dependants_and_everything_else_is_done() {
    let fake = Fake::default();
    fake.fail("create wall w");
    let wishes = [
        wish(0, "s", &[]),
        wish(1, "w", &[0]),
        wish(2, "on-w", &[1]),
        wish(1, "other", &[0]),
        wish(2, "on-other", &[3]),
    ];
    let report = deploy(&fake, &wishes).await.unwrap();
    let [done, failed, skipped, stopped] = lists(&report);
    assert_eq!(done, ["house on-other", "stone s", "wall other"]);
    assert_eq!(failed, ["wall w"]);
    assert_eq!(skipped, ["house on-w"]);
    assert_eq!(report.skipped[0].1, "wall w");
    assert!(stopped.is_empty() && !report.complete());
    assert_eq!(
        format!("{:#}", report.failed[0].1),
        "creating wall w: create wall w was told to fail"
    );
}

#[tokio::test]
async fn after_stop_what_is_in_flight_finishes_and_the_rest_is_listed() {
    let (fake, kinds, stop) = (Fake::default(), kinds(), Stop::default());
    fake.put("wall-9", 1, "old", &[], Owner::Ours);
    let gate = fake.hold("create stone s");
    let wishes = [wish(0, "s", &[]), wish(1, "w", &[0]), wish(2, "h", &[1])];
    let survey = graph(&wishes).survey(&fake, &kinds, &stop, Arc::new(Silent)).await.unwrap();
    let mut applying = pin!(survey.carry_out(&fake, &stop, Arc::new(Silent)));
    while !fake.log().contains(&"create stone s".to_owned()) {
        assert!(applying.as_mut().now_or_never().is_none());
    }
    stop.ask();
    gate.add_permits(1);
    let report = applying.await;
    let [done, failed, skipped, stopped] = lists(&report);
    assert_eq!(done, ["stone s"]);
    assert!(failed.is_empty() && skipped.is_empty() && !report.complete());
    assert_eq!(stopped, ["house h", "wall old", "wall w"]);
    assert!(deploy(&fake, &wishes).await.unwrap().complete());
    assert_eq!(world(&fake), wished(&wishes));
}

/// Killed before and after every write there is, and run once more.
#[tokio::test]
async fn whenever_it_is_killed_running_again_finishes() {
    for seed in 0..25 {
        let mut dice = Dice::new(seed);
        let (before, wishes) = (random(&mut dice), random(&mut dice));
        for moment in 0.. {
            let fake = Fake::default();
            deploy(&fake, &before).await.unwrap();
            fake.die_at(Some(moment));
            let died = tokio::select! {
                _ = deploy(&fake, &wishes) => false,
                () = fake.death() => true,
            };
            fake.die_at(None);
            let report = deploy(&fake, &wishes).await.unwrap();
            assert!(report.complete(), "seed {seed}, killed at {moment}: {report:?}");
            assert_eq!(world(&fake), wished(&wishes), "seed {seed}, killed at {moment}");
            if !died {
                assert!(moment % 2 == 0, "every write has two moments");
                break;
            }
        }
    }
}

#[derive(Default)]
struct Ears(Mutex<BTreeMap<usize, Vec<&'static str>>>);

impl Observer for Ears {
    fn hear(&self, node: usize, event: Event) {
        let word = match event {
            Event::Started => "started",
            Event::Note(_) => "note",
            Event::Done(_) => "done",
            Event::Stopped => "stopped",
            Event::Failed(_) => "failed",
        };
        self.0.lock().unwrap().entry(node).or_default().push(word);
    }
}

/// Leftovers included: the progress display takes its titles from the plan by this number.
#[tokio::test]
async fn observers_hear_of_steps_by_their_place_in_the_plan() {
    let (fake, kinds, stop) = (Fake::default(), kinds(), Stop::default());
    fake.put("house-9", 2, "old", &[], Owner::Ours);
    fake.fail("create wall w");
    let wishes = [wish(0, "s", &[]), wish(1, "w", &[0]), wish(2, "h", &[1])];
    let survey = graph(&wishes).survey(&fake, &kinds, &stop, Arc::new(Silent)).await.unwrap();
    let (plan, ears) = (survey.plan(BTreeMap::new()), Arc::new(Ears::default()));
    survey.carry_out(&fake, &stop, ears.clone()).await;
    let heard: BTreeSet<(String, Vec<&str>)> = (ears.0.lock().unwrap().iter())
        .map(|(&node, words)| (plan.steps[node].title(), words.clone()))
        .collect();
    let expected = [
        ("house old", vec!["started", "done"]),
        ("stone s", vec!["started", "done"]),
        ("wall w", vec!["started", "failed"]),
    ];
    assert_eq!(heard, expected.map(|(title, words)| (title.to_owned(), words)).into());
}
