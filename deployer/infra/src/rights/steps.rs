//! Which operations a plan's steps come down to, and so which rights a run of it needs.

use super::{On, TABLE, within};
use crate::engine::{Action, Plan, Step};
use crate::resources::is_foreign;
use std::collections::BTreeSet;

/// Actions of IAM, with what they are about.
pub type Needs = BTreeSet<(&'static str, On)>;

/// What else every run asks for that changes something: the lease and the records of releases.
const ANY: &[&str] = &["s3:GetObject", "s3:PutObject"];

/// What removing access comes down to that the stack didn't create.
const REMOVE_FOREIGN: &[&str] = &[
    "apigateway:DeleteStage",
    "lambda:DeleteEventSourceMapping",
    "lambda:DeleteFunctionUrlConfig",
    "lambda:RemovePermission",
];

/// What changing a thing may come down to. What only reads is not in here: it was asked for before.
fn operations(kind: &str, action: Action) -> &'static [&'static str] {
    use Action::{Create, Delete, Keep, Update};
    match (kind, action) {
        (_, Keep) => &[],
        ("bucket", Create) => {
            &["s3:CreateBucket", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock"]
        }
        ("bucket", Update) => &[
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutEncryptionConfiguration",
        ],
        ("bucket", Delete) => &["s3:DeleteBucket", "s3:DeleteObject", "s3:ListBucketVersions"],
        ("log group", Create) => &["logs:CreateLogGroup", "logs:PutRetentionPolicy"],
        ("log group", Update) => &["logs:PutRetentionPolicy", "logs:TagResource"],
        ("log group", Delete) => &["logs:DeleteLogGroup"],
        ("parameter", Create | Update) => &["ssm:PutParameter"],
        ("parameter", Delete) => &["ssm:DeleteParameter"],
        ("role", Create) => &["iam:CreateRole", "iam:PutRolePolicy"],
        ("role", Update) => &[
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
            "iam:UpdateAssumeRolePolicy",
        ],
        ("role", Delete) => &["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy"],
        ("artifact", Create | Update) => &["s3:PutObject"],
        ("artifact", Delete) => &["s3:DeleteObject"],
        ("function", Create) => &[
            "lambda:CreateAlias",
            "lambda:CreateFunction",
            "lambda:PublishVersion",
            "lambda:PutFunctionConcurrency",
        ],
        // With a role to stand in for a moment, where its own was deleted.
        ("function", Update) => &[
            "iam:CreateRole",
            "iam:DeleteRole",
            "lambda:CreateAlias",
            "lambda:DeleteFunctionConcurrency",
            "lambda:PublishVersion",
            "lambda:PutFunctionConcurrency",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ],
        ("function", Delete) => &["lambda:DeleteFunction"],
        ("rest api", Create) => &["apigateway:CreateRestApi", "apigateway:PutRestApi"],
        ("rest api", Update) => &["apigateway:PutRestApi"],
        ("rest api", Delete) => &["apigateway:DeleteRestApi", "apigateway:UpdateStage"],
        ("permission", Create) => &["lambda:AddPermission"],
        ("permission", Update) => &["lambda:AddPermission", "lambda:RemovePermission"],
        ("permission", Delete) => &["lambda:RemovePermission"],
        ("api gateway account", _) => {
            &["apigateway:UpdateAccount", "iam:AttachRolePolicy", "iam:CreateRole"]
        }
        // Proven first; and what no kept release needs goes last.
        ("stage", Create) => &[
            "apigateway:CreateDeployment",
            "apigateway:CreateStage",
            "apigateway:DeleteDeployment",
            "apigateway:UpdateStage",
            "lambda:InvokeFunction",
            "lambda:UpdateAlias",
        ],
        ("stage", Update) => &[
            "apigateway:CreateDeployment",
            "apigateway:DeleteDeployment",
            "apigateway:TestInvokeMethod",
            "apigateway:UpdateStage",
            "lambda:AddPermission",
            "lambda:DeleteFunction",
            "lambda:InvokeFunction",
            "lambda:RemovePermission",
            "lambda:UpdateAlias",
            "s3:DeleteObject",
        ],
        ("alarm", Create | Update) => &["cloudwatch:PutMetricAlarm"],
        ("alarm", Delete) => &["cloudwatch:DeleteAlarms"],
        ("dashboard", Create | Update) => &["cloudwatch:PutDashboard"],
        ("dashboard", Delete) => &["cloudwatch:DeleteDashboards"],
        ("api key", Create) => &["apigateway:CreateApiKey"],
        ("api key", Update) => &["apigateway:TagResource", "apigateway:UpdateApiKey"],
        ("api key", Delete) => &["apigateway:DeleteApiKey"],
        ("usage plan", Create) => &["apigateway:CreateUsagePlan", "apigateway:CreateUsagePlanKey"],
        ("usage plan", Update) => &[
            "apigateway:CreateUsagePlanKey",
            "apigateway:DeleteUsagePlanKey",
            "apigateway:UpdateUsagePlan",
        ],
        ("usage plan", Delete) => &["apigateway:DeleteUsagePlan", "apigateway:UpdateUsagePlan"],
        _ => &[],
    }
}

/// What a run of this plan needs beyond what reading it took.
pub fn needs(plan: &Plan, boundary: Option<&str>) -> Needs {
    if plan.is_empty() {
        return Needs::new();
    }
    let any = ANY.iter().flat_map(|operation| of("", operation, boundary));
    plan.steps.iter().flat_map(|step| of_step(step, boundary)).chain(any).collect()
}

fn of_step<'a>(
    step: &'a Step,
    boundary: Option<&'a str>,
) -> impl Iterator<Item = (&'static str, On)> {
    let removes = step.changes.iter().any(|change| is_foreign(&change.path));
    let foreign = if removes { REMOVE_FOREIGN } else { &[] };
    let operations = operations(&step.kind, step.action).iter().chain(foreign);
    operations.flat_map(move |operation| of(&step.kind, operation, boundary))
}

/// The role as which API Gateway writes logs is a role too, and another's business.
fn of(
    kind: &str,
    operation: &str,
    boundary: Option<&str>,
) -> impl Iterator<Item = (&'static str, On)> {
    let of_logs = kind == "api gateway account";
    let row = TABLE.iter().find(|row| row.name == operation);
    row.into_iter().flat_map(|row| row.needs).filter_map(move |(action, on)| {
        let on = within(boundary, action, *on)?;
        let ours = match on {
            On::LogRole | On::LogRolePolicy | On::LogRolePassed | On::ApiAccount => of_logs,
            _ => !of_logs,
        };
        ours.then_some((*action, on))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::*;
    use crate::resources::kinds;

    /// Else a right would be missing that nobody asked for before the first write.
    #[test]
    fn every_operation_that_changes_something_is_some_steps() {
        let mut known: BTreeSet<&str> = ANY.iter().chain(REMOVE_FOREIGN).copied().collect();
        for kind in kinds() {
            for action in [Action::Create, Action::Update, Action::Delete] {
                known.extend(operations(kind.name, action));
            }
        }
        let mut strange = known.clone();
        let changes = |mode: Mode| TABLE.iter().filter(move |row| row.modes.contains(&mode));
        for row in changes(Mode::Deploy).chain(changes(Mode::Destroy)) {
            let (_, verb) = row.name.split_once(':').unwrap();
            let reads = ["Get", "List", "Describe", "Simulate"];
            let reads = reads.iter().any(|read| verb.starts_with(read));
            assert!(reads || known.contains(row.name), "{}", row.name);
            strange.remove(row.name);
        }
        assert!(strange.is_empty(), "{strange:?} are in no table");
    }
}
