//! Plans as values: saved, read again, compared.

use super::fake::{Fake, plan, wish};
use crate::engine::{Action, Plan};

/// A plan with a step of each action.
async fn example() -> Plan {
    let fake = Fake::default();
    fake.put("stone a", 0, "a", &[], crate::engine::Owner::Ours);
    fake.put("wall-1", 1, "b", &[], crate::engine::Owner::Ours);
    fake.put("wall-2", 1, "old", &[], crate::engine::Owner::Ours);
    plan(&fake, &[wish(0, "a", &[]), wish(1, "b", &[0]), wish(2, "c", &[1])]).await.unwrap()
}

#[tokio::test]
async fn a_plan_survives_being_saved() {
    let plan = example().await;
    for action in [Action::Create, Action::Update, Action::Delete, Action::Keep] {
        assert_eq!(plan.count(action), 1, "{action:?}");
    }
    let saved = serde_json::to_string(&plan).unwrap();
    assert_eq!(Plan::parse(&saved).unwrap(), plan);
    assert!(!plan.is_empty());
}

#[tokio::test]
async fn a_plan_that_cannot_be_honoured_is_refused() {
    let saved = serde_json::to_value(example().await).unwrap();
    let changed = |path: &str, to: serde_json::Value| {
        let mut plan = saved.clone();
        *plan.pointer_mut(path).unwrap() = to;
        plan.to_string()
    };
    for (text, says) in [
        (String::new(), "EOF"),
        ("not a plan".to_owned(), "expected"),
        ("[]".to_owned(), "invalid length"),
        ("{}".to_owned(), "missing field `format_version`"),
        (r#"{"format_version": 1}"#.to_owned(), "missing field"),
        (changed("/format_version", 2.into()), "its format is version 2, this deployer reads 1"),
        // Of a later version nothing but its number is understood.
        (r#"{"format_version": 7, "steps": "elsewhere"}"#.to_owned(), "version 7"),
        (changed("/format_version", "1".into()), "invalid type"),
        (changed("/steps/0/action", "explode".into()), "unknown variant `explode`"),
        (saved.to_string().replace("\"steps\"", "\"stairs\""), "missing field `steps`"),
        (saved.to_string()[..60].to_owned(), "EOF"),
    ] {
        let error = Plan::parse(&text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[tokio::test]
async fn plans_disagree_in_every_step_that_only_one_has() {
    let plan = example().await;
    assert_eq!(plan.disagreements(&plan.clone()), [""; 0]);
    type Edit = fn(&mut Plan);
    let edits: [(Edit, &[&str]); 6] = [
        (|plan| plan.steps.truncate(3), &["wall old"]),
        (|plan| plan.steps[0].action = Action::Update, &["stone a"]),
        (|plan| plan.steps[1].changes.clear(), &["wall b"]),
        (|plan| plan.steps[1].id = Some("wall-9".to_owned()), &["wall b"]),
        (|plan| plan.steps[2].name = "d".to_owned(), &["house c", "house d"]),
        (|plan| plan.steps.reverse(), &[]),
    ];
    for (index, (edit, titles)) in edits.into_iter().enumerate() {
        let mut other = plan.clone();
        edit(&mut other);
        assert_eq!(plan.disagreements(&other), titles, "edit {index}");
        assert_eq!(other.disagreements(&plan), titles, "edit {index}, the other way round");
    }
}
