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

/// A managed policy may have 6,144 characters, a role's own policies 10,240 together, both without white
/// space (IAM and AWS STS quotas). The longest names, and a boundary, which makes another statement.
#[test]
fn every_policy_fits_where_it_is_put() {
    let env = env("abcdefghijklmnopqrstuvwxyz");
    for boundary in [None, Some("a-boundary-of-a-long-name")] {
        for mode in [Mode::Deploy, Mode::Destroy, Mode::Read, Mode::CiRole] {
            let length = policy_within(&env, mode, boundary).to_string().len();
            assert!(length <= 6144, "{mode:?}: {length}");
        }
        let length = policy_within(&env, Mode::All, boundary).to_string().len();
        assert!(length <= 10240, "{length}");
    }
}

fn statements(policy: &Value) -> BTreeMap<&str, &Value> {
    let list = policy["Statement"].as_array().unwrap().iter();
    list.map(|statement| (statement["Sid"].as_str().unwrap(), statement)).collect()
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
    for (sid, statement) in statements(&policy(&env, Mode::All)) {
        let may = strings(&statement["Action"]).unwrap();
        for resource in strings(&statement["Resource"]).unwrap() {
            let covers = resource.strip_suffix('*').is_some_and(|start| role.starts_with(start));
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
    insta::assert_snapshot!(format!("{:#}", policy(&env("dev"), Mode::CiRole)));
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
