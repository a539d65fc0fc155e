//! The table, and the policies that follow from it.

use super::*;
use crate::fixture::env;

const MODES: [Mode; 3] = [Mode::Deploy, Mode::Destroy, Mode::Read];

#[test]
fn the_table_names_each_operation_once_and_in_order() {
    let names: Vec<_> = TABLE.iter().map(|operation| operation.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

/// Environments whose names are as long as AWS takes them: the bucket's name holds app, stage, account and region and
/// has 63 characters, so a long region means short other names and the other way round.
fn longest_names() -> Vec<Env> {
    let regions = [("us-isof-south-1", "aws-iso-f"), ("us-gov-west-1", "aws-us-gov")];
    let regions = regions.into_iter().chain([("ap-southeast-2", "aws"), ("sa-east-1", "aws")]);
    let with = |(region, partition): (&str, &str)| {
        let mut env = Env {
            region: region.into(),
            partition: partition.into(),
            ..env("abcdefghijklmnopqrst")
        };
        env.app = "a".repeat(63 - env.bucket().len() + env.app.len());
        env.check(["f"]).unwrap();
        env
    };
    regions.map(with).collect()
}

/// A managed policy has at most 6,144 characters without white space, and a role at most 10 of them attached, unless
/// the account's quota was raised (IAM and AWS STS quotas). A policy's name has at most 128 characters, and so has
/// the boundary's (CreatePolicy).
#[test]
fn policies_fit_the_managed_policy_limits_for_the_longest_names() {
    let boundary = "b".repeat(128);
    for env in longest_names() {
        for boundary in [None, Some(boundary.as_str())] {
            for mode in [Mode::Deploy, Mode::Destroy, Mode::Read, Mode::All, Mode::CiRole] {
                let policies = policies(&env, mode, boundary);
                assert!(policies.len() <= 3, "{mode:?}: {} policies", policies.len());
                for (name, document) in policies {
                    let length = document.to_string().len();
                    assert!(length <= 6144, "{mode:?} {name}: {length} characters");
                    assert!(env.ci_policy(name).len() <= 128, "{}", env.ci_policy(name));
                }
            }
        }
    }
}

/// The statements of all policies as one.
fn policy_within(env: &Env, mode: Mode, boundary: Option<&str>) -> Value {
    let policies = policies(env, mode, boundary).into_values();
    let statements =
        policies.flat_map(|document| document["Statement"].as_array().unwrap().clone());
    json!({ "Statement": statements.collect::<Vec<_>>() })
}

/// By what they are about; those about everything are left out, for each service has its own.
fn statements(policy: &Value) -> BTreeMap<&str, &Value> {
    let list = policy["Statement"].as_array().unwrap().iter();
    let list = list.map(|statement| (statement["Sid"].as_str().unwrap(), statement));
    list.filter(|(sid, _)| *sid != "All").collect()
}

fn policy(env: &Env, mode: Mode) -> Value {
    policy_within(env, mode, None)
}

#[test]
fn the_policy_of_ci_is_all_that_the_others_are() {
    let all = policy(&env("dev"), Mode::All);
    let all = statements(&all);
    for mode in MODES {
        for (sid, statement) in statements(&policy(&env("dev"), mode)) {
            let (have, need) = (&all[sid]["Action"], &statement["Action"]);
            let have = strings(have).unwrap();
            assert!(strings(need).unwrap().iter().all(|action| have.contains(action)), "{sid}");
        }
    }
}

/// Else whoever deploys could give himself any right.
#[test]
fn nobody_who_deploys_may_write_the_role_that_deploys() {
    let env = env("dev");
    let role = env.iam_arn(&format!("role{}{}", env.ci_role_path(), env.ci_role()));
    let own = [role, env.ci_policy_arn(&env.ci_policy("iam"))];
    for (sid, statement) in statements(&policy(&env, Mode::All)) {
        let may = strings(&statement["Action"]).unwrap();
        for resource in strings(&statement["Resource"]).unwrap() {
            let covers = resource
                .strip_suffix('*')
                .is_some_and(|start| own.iter().any(|own| own.starts_with(start)));
            let reads = ["Get", "List", "Simulate", "Describe"];
            let reads = may.iter().all(|action| {
                let verb = action.split_once(':').unwrap().1;
                reads.iter().any(|read| verb.starts_with(read))
            });
            assert!(!covers || reads, "{sid}");
        }
    }
}

#[test]
fn with_a_boundary_roles_are_made_and_given_rights_under_it_alone() {
    let bounded = policy_within(&env("dev"), Mode::Deploy, Some("team"));
    let statements = statements(&bounded);
    let free = ["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"];
    assert!(!strings(&statements["Roles"]["Action"]).unwrap().iter().any(|a| free.contains(a)));
    let under = &statements["BoundedRoles"];
    assert!(strings(&under["Action"]).unwrap().iter().all(|action| free.contains(action)));
    assert_eq!(strings(&under["Action"]).unwrap().len(), free.len());
    let arn = "arn:aws:iam::123456789012:policy/team";
    assert_eq!(under["Condition"]["StringEquals"]["iam:PermissionsBoundary"], arn);
    // Which would take it off again.
    assert!(!bounded.to_string().contains("DeleteRolePermissionsBoundary"));
    let without = policy_within(&env("dev"), Mode::Deploy, None).to_string();
    assert!(!without.contains("Boundary"), "{without}");
}

#[test]
fn the_policy_for_making_cis_role() {
    insta::assert_snapshot!(format!("{:#}", json!(policies(&env("dev"), Mode::CiRole, None))));
}

#[test]
fn whoever_may_only_read_may_change_nothing() {
    for (on, actions) in needed(Mode::Read, None) {
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
    insta::assert_snapshot!(format!("{:#}", json!(policies(&env("dev"), Mode::Deploy, None))));
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
                "lambda:ListEventSourceMappings",
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
