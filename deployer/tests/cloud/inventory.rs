//! Everything that is in an account, by the services' own lists; but the role that API Gateway writes
//! logs as, and the log group that API Gateway creates when it gets that role, which belong to the account and stay.

use infra::aws::Aws;

/// A line for each thing of every service we use, sorted; ids are left out, the account's is
/// `ACCOUNT`, so that inventories can be compared.
pub async fn inventory(aws: &Aws) -> Vec<String> {
    let mut things = storage(aws).await;
    things.extend(identity(aws).await);
    things.extend(functions(aws).await);
    things.extend(gateway(aws).await);
    things.sort();
    things.iter().map(|thing| thing.replace(&aws.env.account, "ACCOUNT")).collect()
}

async fn storage(aws: &Aws) -> Vec<String> {
    let mut things = vec![];
    for bucket in aws.s3.list_buckets().send().await.unwrap().buckets() {
        let bucket = bucket.name().unwrap();
        things.push(format!("bucket {bucket}"));
        for object in aws.s3.list_objects_v2().bucket(bucket).send().await.unwrap().contents() {
            things.push(format!("object {}", object.key().unwrap()));
        }
    }
    for parameter in aws.ssm.describe_parameters().send().await.unwrap().parameters() {
        things.push(format!("parameter {}", parameter.name().unwrap()));
    }
    for group in aws.logs.describe_log_groups().send().await.unwrap().log_groups() {
        let group = group.log_group_name().unwrap();
        if group != "/aws/apigateway/welcome" {
            things.push(format!("log group {group}"));
        }
    }
    for alarm in aws.cloudwatch.describe_alarms().send().await.unwrap().metric_alarms() {
        things.push(format!("alarm {}", alarm.alarm_name().unwrap()));
    }
    for page in aws.cloudwatch.list_dashboards().send().await.unwrap().dashboard_entries() {
        things.push(format!("dashboard {}", page.dashboard_name().unwrap()));
    }
    things
}

async fn identity(aws: &Aws) -> Vec<String> {
    let mut things = vec![];
    for role in aws.iam.list_roles().send().await.unwrap().roles() {
        let role = role.role_name();
        if role == aws.env.gateway_log_role() {
            continue;
        }
        things.push(format!("role {role}"));
        let policies = aws.iam.list_role_policies().role_name(role).send().await.unwrap();
        things.extend(policies.policy_names().iter().map(|p| format!("policy {role}/{p}")));
    }
    things
}

async fn functions(aws: &Aws) -> Vec<String> {
    let mut things = vec![];
    for function in aws.lambda.list_functions().send().await.unwrap().functions() {
        let name = function.function_name().unwrap();
        things.push(format!("function {name}"));
        let versions = aws.lambda.list_versions_by_function().function_name(name).send();
        let versions = versions.await.unwrap();
        // Numbers are never used again, so what counts is the order of those that are there.
        let mut numbers: Vec<u64> =
            versions.versions().iter().filter_map(|v| v.version()?.parse().ok()).collect();
        numbers.sort_unstable();
        let rank = |version: &str| match version.parse() {
            Ok(number) => (1 + numbers.iter().filter(|&&n: &&u64| n < number).count()).to_string(),
            Err(_) => version.to_owned(),
        };
        for version in versions.versions() {
            things.push(format!("version {name}:{}", rank(version.version().unwrap())));
        }
        let aliases = aws.lambda.list_aliases().function_name(name).send().await.unwrap();
        for alias in aliases.aliases() {
            let (alias, version) = (alias.name().unwrap(), alias.function_version().unwrap());
            things.push(format!("alias {name}:{alias} -> {}", rank(version)));
        }
    }
    things
}

async fn gateway(aws: &Aws) -> Vec<String> {
    let gateway = &aws.apigateway;
    let mut things = vec![];
    for api in gateway.get_rest_apis().send().await.unwrap().items() {
        let id = api.id().unwrap();
        things.push(format!("rest api {}", api.name().unwrap()));
        let deployments = gateway.get_deployments().rest_api_id(id).send().await.unwrap();
        things.extend(deployments.items().iter().map(|_| "deployment".to_owned()));
        for stage in gateway.get_stages().rest_api_id(id).send().await.unwrap().item() {
            things.push(format!("stage {}", stage.stage_name().unwrap()));
        }
    }
    for key in gateway.get_api_keys().send().await.unwrap().items() {
        things.push(format!("api key {}", key.name().unwrap()));
    }
    for plan in gateway.get_usage_plans().send().await.unwrap().items() {
        things.push(format!("usage plan {}", plan.name().unwrap()));
        let keys = gateway.get_usage_plan_keys().usage_plan_id(plan.id().unwrap()).send();
        let keys = keys.await.unwrap();
        things.extend(keys.items().iter().map(|key| format!("plan's key {}", key.name().unwrap())));
    }
    things
}
