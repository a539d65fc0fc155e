//! The table, and the policies that follow from it.

use super::*;

fn env(stage: &str) -> Env {
    Env {
        app: "ops-api".into(),
        stage: stage.into(),
        region: "ap-southeast-2".into(),
        account: "123456789012".into(),
        partition: "aws".into(),
    }
}

const MODES: [Mode; 3] = [Mode::Deploy, Mode::Destroy, Mode::Read];

#[test]
fn the_table_names_each_operation_once_and_in_order() {
    let names: Vec<_> = TABLE.iter().map(|operation| operation.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

/// A managed policy may have 6,144 characters, without white space (IAM quotas).
#[test]
fn every_policy_fits_a_managed_policy() {
    for mode in MODES {
        let length = policy(&env("abcdefghijklmnopqrstuvwxyz"), mode).to_string().len();
        assert!(length <= 6144, "{mode:?}: {length}");
    }
}

#[test]
fn whoever_may_only_read_may_change_nothing() {
    for (on, actions) in needed(Mode::Read) {
        for action in actions {
            let (_, verb) = action.split_once(':').unwrap();
            assert!(
                ["Get", "List", "Describe", "Filter", "GET"]
                    .iter()
                    .any(|read| verb.starts_with(read)),
                "{action} on {on:?}"
            );
        }
    }
}

#[test]
fn the_policy_of_a_deploy() {
    insta::assert_snapshot!(format!("{:#}", policy(&env("dev"), Mode::Deploy)));
}

#[test]
fn nothing_but_lists_metrics_and_quotas_is_allowed_on_everything() {
    for mode in MODES {
        for statement in policy(&env("dev"), mode)["Statement"].as_array().unwrap() {
            let Some(["*"]) = strings(&statement["Resource"]).as_deref() else { continue };
            let actions = strings(&statement["Action"]).unwrap();
            let reads = [
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "iam:GetAccountSummary",
                "iam:ListRoles",
                "lambda:GetAccountSettings",
                "lambda:ListFunctions",
                "logs:DescribeLogGroups",
            ];
            let more: Vec<_> = actions.iter().filter(|action| !reads.contains(*action)).collect();
            assert!(more.is_empty(), "{more:?}");
        }
    }
}

fn strings(list: &Value) -> Option<Vec<&str>> {
    list.as_array()?.iter().map(Value::as_str).collect()
}
