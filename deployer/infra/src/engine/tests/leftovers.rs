//! What is ours and nobody declares any longer, and destroying it all.

use super::Dice;
use super::fake::*;
use crate::engine::*;

const STONE: usize = 0;
const WALL: usize = 1;
const HOUSE: usize = 2;

/// The world refuses to delete what is in use: the wall can only go once the house has moved on.
#[tokio::test]
async fn a_leftover_goes_after_its_users_have_moved_on() {
    let fake = Fake::default();
    deploy(&fake, &[wish(WALL, "old", &[]), wish(HOUSE, "h", &[0])]).await.unwrap();
    fake.forget_log();
    let report = deploy(&fake, &[wish(WALL, "new", &[]), wish(HOUSE, "h", &[0])]).await.unwrap();
    assert!(report.complete(), "{report:?}");
    assert_eq!(fake.writes(), ["create wall new", "update house h", "delete wall old"]);
}

#[tokio::test]
async fn a_leftover_stays_when_a_user_of_its_kind_failed() {
    let fake = Fake::default();
    deploy(&fake, &[wish(WALL, "old", &[]), wish(HOUSE, "h", &[0])]).await.unwrap();
    fake.put("house-9", HOUSE, "also-old", &[], Owner::Ours);
    fake.fail("update house h");
    fake.forget_log();
    let report = deploy(&fake, &[wish(WALL, "new", &[]), wish(HOUSE, "h", &[0])]).await.unwrap();
    let [(step, cause)] = &report.skipped[..] else { panic!("{report:?}") };
    assert_eq!((step.title().as_str(), cause.as_str()), ("wall old", "house h"));
    assert!(!fake.writes().contains(&"delete wall old".to_owned()));
    // Nothing that failed could use a house.
    assert!(fake.writes().contains(&"delete house also-old".to_owned()));
}

/// A lost answer may leave two of one name: the declared one is kept by its id, the other goes.
#[tokio::test]
async fn a_second_of_the_same_name_is_deleted() {
    let fake = Fake::default();
    let wishes = [wish(WALL, "w", &[]), wish(HOUSE, "h", &[0])];
    deploy(&fake, &wishes).await.unwrap();
    let kept = fake.things();
    fake.put("wall-9", WALL, "w", &[], Owner::Ours);
    let planned = plan(&fake, &wishes).await.unwrap();
    assert_eq!(planned.count(Action::Delete), 1);
    assert_eq!(planned.steps.last().unwrap().id.as_deref(), Some("wall-9"));
    assert!(deploy(&fake, &wishes).await.unwrap().complete());
    assert_eq!(fake.things(), kept);
}

#[tokio::test]
async fn what_others_own_is_never_a_leftover() {
    let fake = Fake::default();
    fake.put("wall-9", WALL, "theirs", &[], Owner::Other("theirs".to_owned()));
    assert!(plan(&fake, &[]).await.unwrap().is_empty());
    assert!(destroy(&fake).await.unwrap().done.is_empty());
    assert_eq!(fake.things().len(), 1);
}

/// Whatever is there, declared, forgotten or doubled: users go first, and nothing stays.
#[tokio::test]
async fn destroying_deletes_everything_users_first() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let fake = Fake::default();
        deploy(&fake, &random(&mut dice)).await.unwrap();
        fake.forget_log();
        let report = destroy(&fake).await.unwrap();
        assert!(report.complete(), "seed {seed}: {report:?}");
        assert!(fake.things().is_empty(), "seed {seed}");
        let kind_of = |call: &String| KINDS.iter().position(|kind| call.contains(*kind)).unwrap();
        let kinds: Vec<usize> = fake.writes().iter().map(kind_of).collect();
        assert!(kinds.is_sorted_by(|a, b| a >= b), "seed {seed}: {:?}", fake.writes());
    }
}

/// Before its users' deletion has failed or not, a used thing is not touched.
#[tokio::test]
async fn destroying_skips_what_is_still_in_use() {
    let fake = Fake::default();
    let wishes = [wish(STONE, "s", &[]), wish(WALL, "w", &[]), wish(HOUSE, "h", &[1])];
    deploy(&fake, &wishes).await.unwrap();
    fake.fail("delete house h");
    let report = destroy(&fake).await.unwrap();
    let titles = |steps: &[Step]| steps.iter().map(Step::title).collect::<Vec<_>>();
    assert_eq!(report.failed[0].0.title(), "house h");
    let skipped: Vec<Step> = report.skipped.iter().map(|(step, _)| step.clone()).collect();
    assert_eq!(
        (titles(&report.done), titles(&skipped)),
        (vec![], vec!["stone s".into(), "wall w".into()])
    );
    fake.heal();
    assert!(destroy(&fake).await.unwrap().complete());
    assert!(fake.things().is_empty());
}
