//! Rights, where IAM holds everybody to them: the policy that `policy` prints is enough, and no
//! statement of it is too much.

use crate::account::{Account, REGION, Ran, TRUST, all_passed};
use crate::deleted_role::delete_role;
use crate::local::guarded;
use crate::wire::Wire;
use aws_sdk_lambda::types::FunctionUrlAuthType;
use deployer::{APP, ENDPOINTS};
use infra::aws::{Access, Aws, Local};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A user of an account, who may do what a policy allows.
struct User {
    account: Account,
    root: Aws,
    key: (String, String),
}

impl User {
    async fn new() -> Self {
        let account = Account::new();
        let root = connect(&account.id, "test").await;
        root.iam.create_user().user_name("somebody").send().await.unwrap();
        let made = root.iam.create_access_key().user_name("somebody").send().await.unwrap();
        let key = made.access_key.unwrap();
        Self { account, root, key: (key.access_key_id, key.secret_access_key) }
    }

    /// From now on may do this, and nothing else.
    async fn may(&self, policy: &Value) {
        // Not by the connection of before, which may have been closed meanwhile.
        let root = connect(&self.account.id, "test").await;
        let put = root.iam.put_user_policy().user_name("somebody").policy_name("all");
        put.policy_document(policy.to_string()).send().await.unwrap();
    }

    fn run(&self, line: &str) -> Ran {
        let (id, secret) = &self.key;
        let mut command = self.account.command(&guarded().endpoint, line);
        Ran::of(command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret))
    }

    /// The same, with a witness.
    fn run_heard(&self, line: &str) -> (Ran, Wire) {
        let (wire, (id, secret)) = (Wire::to(&guarded().endpoint), &self.key);
        let mut command = self.account.command(&wire.endpoint, line);
        command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        (Ran::of(&mut command), wire)
    }

    /// The same, by the account's root, whom nothing is denied.
    fn run_as_root(&self, line: &str) -> Ran {
        Ran::of(&mut self.account.command(&guarded().endpoint, line))
    }

    /// The statements of all policies that are printed, as one policy.
    fn policy(&self, mode: &str) -> Value {
        let printed = self.run_as_root(&format!("policy --mode {mode}")).ends(0).json();
        let statements = printed.as_object().unwrap().values().flat_map(|policy| {
            assert_eq!(policy["Version"], "2012-10-17");
            policy["Statement"].as_array().unwrap().clone()
        });
        json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
    }

    /// For each statement, what one of these says when it is missing; between two, root runs `before`.
    async fn lacks_each_statement(&self, mode: &str, before: &str, lines: &[&str]) {
        for index in 0..self.policy(mode)["Statement"].as_array().unwrap().len() {
            // What is set up once for an account is needed in a new one only.
            let sid = self.policy(mode)["Statement"][index]["Sid"].to_string();
            // The first is only for asking beforehand, the second for `--remove-foreign`.
            if sid.contains("OwnRights") || sid.contains("Mappings") {
                continue;
            }
            let once = ["ApiAccount", "LogRole", "ServiceLinkedRole"];
            let once = once.iter().any(|of_account| sid.contains(of_account));
            let another = if once { Some(Self::new().await) } else { None };
            let user = another.as_ref().unwrap_or(self);
            let mut less = user.policy(mode);
            let lacking = less["Statement"].as_array_mut().unwrap().remove(index);
            user.run_as_root(before).ends(0);
            user.may(&less).await;
            let failed = lines.iter().map(|line| user.run(line)).find(|ran| ran.code != 0);
            let failed = failed.unwrap_or_else(|| panic!("nobody needs {lacking:#}"));
            let actions = lacking["Action"].as_array().unwrap().iter().map(|a| a.as_str().unwrap());
            let named: Vec<_> = actions.filter(|action| failed.err.contains(*action)).collect();
            assert!(!named.is_empty(), "{lacking:#} is not named in\n{}", failed.err);
            // Before anything was changed; but an account may have its service-linked role already, so the lack
            // of that permission is only said.
            if sid.contains("ServiceLinkedRole") {
                failed.says("IAM may deny these requests during the run:\n  iam:CreateServiceLinkedRole on ");
            } else {
                assert!(mode == "read" || failed.code == 6, "{lacking:#}: {failed:?}");
            }
        }
    }
}

async fn connect(access_key: &str, secret_key: &str) -> Aws {
    let endpoint = guarded().endpoint.clone();
    let local = Local { endpoint, access_key: access_key.into(), secret_key: secret_key.into() };
    let region = Some(REGION.to_owned());
    Aws::connect(&Access { local: Some(local), region, ..Access::default() }, &APP, "dev")
        .await
        .unwrap()
}

#[tokio::test]
async fn each_policy_is_enough_for_what_it_is_for() {
    let user = User::new().await;
    user.run("deploy --yes").ends(6).says("lack the right");
    user.run("doctor").says("unknown: these credentials lack the right lambda:GetAccountSettings");

    user.may(&user.policy("deploy")).await;
    user.run("deploy --yes").ends(0).says(&all_passed());
    user.account.packages.change_code("root");
    user.account.packages.change_commit("0123456789a");
    user.run("deploy --yes").ends(0).says("release 2 is live");
    user.run("rollback --yes").ends(0).says("release 3 is live");

    user.may(&user.policy("read")).await;
    for line in ["plan", "status", "releases", "outputs", "smoke-test", "key show"] {
        user.run(line).ends(0);
    }
    let doctor = user.run("doctor").says("1 of 600");
    assert!(!doctor.out.contains("unknown"), "{doctor:?}");

    user.may(&user.policy("destroy")).await;
    user.run("destroy --yes").ends(0).says("remaining 0");
}

#[tokio::test]
async fn deploy_policy_is_enough_to_remove_foreign_access() {
    let user = User::new().await;
    user.may(&user.policy("deploy")).await;
    user.run("deploy --yes").ends(0);
    let (lambda, name) = (&user.root.lambda, user.root.env.function("health"));
    let url = lambda.create_function_url_config().function_name(&name);
    url.auth_type(FunctionUrlAuthType::None).send().await.unwrap();
    let queue = format!("arn:aws:sqs:{REGION}:{}:jobs", user.account.id);
    let mapping = lambda.create_event_source_mapping().function_name(&name).enabled(false);
    mapping.event_source_arn(queue).send().await.unwrap();

    user.may(&without(&user.policy("deploy"), &["Mappings"])).await;
    let (ran, wire) = user.run_heard("deploy --yes --remove-foreign");
    ran.ends(6).says("lambda:DeleteEventSourceMapping on ");
    wire.assert_no_writes();
    user.may(&user.policy("deploy")).await;
    user.run("deploy --yes --remove-foreign").ends(0);
    user.run("plan --detailed-exitcode").ends(0);
}

/// Also where a run that was killed has left the role behind that stands in for it.
#[tokio::test]
async fn deploy_policy_is_enough_to_recreate_a_deleted_role() {
    let user = User::new().await;
    user.may(&user.policy("deploy")).await;
    user.run("deploy --yes").ends(0);
    delete_role(&user.root, "health").await;
    let env = &user.root.env;
    let left = user.root.iam.create_role().role_name(env.stand_in_role("health"));
    let tag = |(k, v)| aws_sdk_iam::types::Tag::builder().key(k).value(v).build().unwrap();
    let left = left.path(env.role_path()).set_tags(Some(env.tags().into_iter().map(tag).collect()));
    left.assume_role_policy_document(TRUST).send().await.unwrap();
    user.run("deploy --yes").ends(0).says("release 2 is live");
    let roles = user.root.iam.list_roles().path_prefix(env.role_path()).send().await.unwrap();
    assert_eq!(roles.roles().len(), ENDPOINTS.len(), "{roles:?}");
}

#[tokio::test]
async fn who_may_read_can_change_nothing() {
    let user = User::new().await;
    user.run_as_root("deploy --yes").ends(0);
    user.may(&user.policy("read")).await;
    user.account.packages.change_commit("0123456789a");
    for line in ["deploy --yes", "destroy --yes", "rollback --yes"] {
        assert_ne!(user.run(line).code, 0, "{line}");
    }
    user.run("key rotate --yes").ends(6).says("taking the lease").says("nothing was changed");
    user.account.packages.change_commit(&user.account.packages.commit());
    user.run_as_root("releases").ends(0).says("   1 live");
}

#[tokio::test]
async fn a_deploy_needs_each_statement_and_says_which_is_missing() {
    let user = User::new().await;
    user.lacks_each_statement("deploy", "destroy --yes", &["deploy --yes"]).await;
}

#[tokio::test]
async fn a_destroy_needs_each_statement_and_says_which_is_missing() {
    let user = User::new().await;
    user.lacks_each_statement("destroy", "deploy --yes", &["destroy --yes"]).await;
}

#[tokio::test]
async fn a_reader_needs_each_statement_and_is_told_which_is_missing() {
    let user = User::new().await;
    user.run_as_root("deploy --yes").ends(0);
    user.lacks_each_statement("read", "policy", &["plan", "releases", "key show"]).await;
}

/// Without its statements of these names.
fn without(policy: &Value, sids: &[&str]) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    let before = statements.len();
    statements.retain(|statement| !sids.contains(&statement["Sid"].as_str().unwrap()));
    assert_eq!(before - statements.len(), sids.len());
    policy
}

#[tokio::test]
async fn all_missing_rights_are_said_at_once_before_anything_is_changed() {
    let user = User::new().await;
    let sids = ["LambdaRoles", "NewApi", "Alarms", "Objects"];
    user.may(&without(&user.policy("deploy"), &sids)).await;
    let (ran, wire) = user.run_heard("deploy --yes");
    let ran = ran.ends(6).says("nothing was changed").says("user/somebody lacks the rights");
    let arn = format!("arn:aws:iam::{}:role/ops-api/dev/ops-api-dev-", user.account.id);
    let first = ENDPOINTS.iter().map(|endpoint| endpoint.function).min().unwrap();
    let others = ENDPOINTS.len() - 1;
    ran.says(&format!("iam:PassRole on {arn}{first}-ap-southeast-2 and {others} more"))
        .says("apigateway:POST on arn:aws:apigateway:ap-southeast-2::/apikeys and 2 more")
        .says("cloudwatch:PutMetricAlarm on ")
        .says("s3:PutObject on ")
        .says("cargo xtask policy prints policies that are enough");
    wire.assert_no_writes();

    // Also where reading fails already.
    let sids = [&sids[..], &["Roles"]].concat();
    user.may(&without(&user.policy("deploy"), &sids)).await;
    let (ran, wire) = user.run_heard("deploy --yes");
    let ran = ran.ends(6).says("these credentials lack the right iam:GetRole");
    ran.says("iam:CreateRole on ").says("iam:PassRole on ").says("s3:PutObject on ");
    wire.assert_no_writes();

    user.run_as_root("deploy --yes").ends(0);
    user.may(&without(&user.policy("destroy"), &["OurApi", "Functions"])).await;
    let (ran, wire) = user.run_heard("destroy --yes");
    ran.ends(6).says("apigateway:DELETE on ").says("lambda:DeleteFunction on ");
    wire.assert_no_writes();

    user.may(&without(&user.policy("deploy"), &["Alarms", "Parameters"])).await;
    let (ran, wire) = user.run_heard("rollback --yes");
    assert_ne!(ran.code, 0);
    wire.assert_no_writes();
}

#[tokio::test]
async fn what_a_plan_does_not_need_is_not_missed() {
    let user = User::new().await;
    user.run_as_root("deploy --yes").ends(0);
    user.may(&without(&user.policy("deploy"), &["NewApi", "LogRolePolicy", "LogRolePassed"])).await;
    user.account.packages.change_code("root");
    user.run("deploy --yes").ends(0).says("release 2 is live");
}

#[tokio::test]
async fn who_may_not_ask_is_told_and_goes_on() {
    let user = User::new().await;
    let blind = without(&user.policy("deploy"), &["OwnRights"]);
    user.may(&blind).await;
    let untold = "rights were not looked at beforehand: these credentials may not ask IAM";
    let ran = user.run("deploy --yes").ends(0).says(untold);
    assert_eq!(ran.err.matches("not looked at").count(), 1);
    user.run("doctor").says("could not ask: these credentials may not ask IAM");
    // Nothing to do, nothing to say.
    assert!(!user.run("deploy --yes").ends(0).err.contains("not looked at"));
    user.run_as_root("destroy --yes").ends(0);

    user.may(&without(&blind, &["NewApi"])).await;
    user.run("deploy --yes").ends(3).says(untold).says("apigateway:CreateRestApi");
    // Nothing to wait for: what was refused is on no list.
    let ran = user.run_as_root("destroy --yes").ends(0);
    assert!(!ran.err.contains("waiting for AWS to list"), "{ran:?}");

    // Who insists isn't held up, and IAM isn't asked.
    user.may(&without(&user.policy("deploy"), &["NewApi"])).await;
    let (ran, wire) = user.run_heard("deploy --yes --no-rights-check");
    ran.ends(3);
    assert!(!format!("{:?}", wire.requests()).contains("Simulate"));
    // Neither is it where nothing is denied.
    let root = Wire::to(&guarded().endpoint);
    Ran::of(&mut user.account.command(&root.endpoint, "deploy --yes")).ends(0);
    assert!(!format!("{:?}", root.requests()).contains("Simulate"));
}

/// Without this action, wherever the policy has it.
fn without_action(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|allowed| allowed != action);
    }
    policy
}

/// Lambda answers GetFunction without tags then, which must not look like a function without tags.
#[tokio::test]
async fn missing_list_tags_permission_is_an_error_that_names_it() {
    let user = User::new().await;
    user.run_as_root("deploy --yes").ends(0);
    for (mode, line) in [("deploy", "deploy --yes"), ("destroy", "destroy --yes"), ("read", "plan")]
    {
        user.may(&without_action(&user.policy(mode), "lambda:ListTags")).await;
        let (ran, wire) = user.run_heard(line);
        assert_ne!(ran.code, 0, "{line}: {ran:?}");
        let ran = ran.says("these credentials lack the right lambda:ListTags on arn:aws:lambda:");
        assert!(!ran.err.contains("is not ours"), "{ran:?}");
        wire.assert_no_writes();
    }
}

/// As for IAM a policy of the organisation counts for the simulation too, but not with all that a request carries.
#[tokio::test]
async fn denial_by_the_organization_is_a_warning() {
    let user = User::new().await;
    user.may(&user.policy("deploy")).await;
    let unless_address = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": "cloudwatch:PutMetricAlarm", "Resource": "*",
          "Condition": { "Null": { "aws:SourceIp": "true" } } },
    ] });
    let made = user.root.iam.create_policy().policy_name("scp").path("/organization/");
    made.policy_document(unless_address.to_string()).send().await.unwrap();
    let ran = user.run("deploy --yes").ends(0).says(&all_passed());
    ran.says("IAM may deny these requests during the run:\n  cloudwatch:PutMetricAlarm on ")
        .says("(the organisation's policies don't seem to allow it)");
}

/// IAM judges conditions on the principal and the region only if it is told these.
#[tokio::test]
async fn conditions_on_principal_and_region_are_judged_beforehand() {
    let user = User::new().await;
    for (key, good, bad) in [
        ("aws:PrincipalArn", "arn:aws:iam::*:user/somebody", "arn:aws:iam::*:user/another"),
        ("aws:PrincipalType", "User", "AssumedRole"),
        ("aws:RequestedRegion", "us-east-1", REGION),
    ] {
        for (value, code) in [(bad, 6), (good, 0)] {
            let mut policy = user.policy("deploy");
            let roles = policy["Statement"].as_array_mut().unwrap();
            let roles = roles.iter_mut().find(|statement| statement["Sid"] == "Roles").unwrap();
            // Reading them is needed earlier.
            let (reads, writes): (Vec<Value>, Vec<Value>) =
                (roles["Action"].as_array().unwrap()).iter().cloned().partition(|a| {
                    a.as_str().unwrap().contains(":Get") || a.as_str().unwrap().contains(":List")
                });
            let mut reading = roles.clone();
            reading["Action"] = json!(reads);
            reading["Sid"] = json!("ReadRoles");
            roles["Action"] = json!(writes);
            roles["Condition"] = json!({ "StringLike": { key: value } });
            policy["Statement"].as_array_mut().unwrap().push(reading);
            user.may(&policy).await;
            let (ran, wire) = user.run_heard("deploy --yes");
            assert_eq!(ran.code, code, "{key} {value}: {ran:?}");
            if code == 6 {
                wire.assert_no_writes();
            }
        }
        user.run_as_root("destroy --yes").ends(0);
    }
}

#[tokio::test]
async fn a_permissions_boundary_is_told_from_a_policy() {
    let user = User::new().await;
    user.may(&user.policy("deploy")).await;
    let root = connect(&user.account.id, "test").await;
    let boundary = without(&user.policy("deploy"), &["Alarms"]).to_string();
    let made = root.iam.create_policy().policy_name("boundary").policy_document(boundary);
    let arn = made.send().await.unwrap().policy.unwrap().arn.unwrap();
    let put = root.iam.put_user_permissions_boundary().user_name("somebody");
    put.permissions_boundary(arn).send().await.unwrap();
    let (ran, wire) = user.run_heard("deploy --yes");
    ran.ends(6).says("PutMetricAlarm on ").says("(the permissions boundary doesn't allow it)");
    wire.assert_no_writes();
}

/// Of the operations that a run sends, each is among what its plan is said to need.
#[tokio::test]
async fn a_plan_needs_what_its_run_asks_for() {
    use infra::rights::{On, TABLE, needs};
    let user = User::new().await;
    let sent = |plan: &str, line: &str| {
        let plan = user.run_as_root(plan).json();
        let needs = needs(&serde_json::from_value(plan).unwrap(), None);
        let ran = user.run_as_root(&format!("{line} -vv")).ends(0);
        let words = ran.err.split_whitespace();
        let rows = TABLE.iter().filter(|row| words.clone().any(|word| word == row.name));
        let writes: Vec<_> = rows.filter(|row| crate::world::is_write(row.name)).collect();
        assert!(writes.len() > 5, "{}", ran.err);
        for row in writes {
            for (action, on) in row.needs {
                // Without a boundary they are roles like others.
                let on = if *on == On::BoundedRoles { On::Roles } else { *on };
                assert!(needs.contains(&(*action, on)), "{} is not among {needs:?}", row.name);
            }
        }
    };
    sent("plan --json", "deploy --yes");
    user.account.packages.change_code("root");
    user.account.packages.change_commit("0123456789a");
    sent("plan --json", "deploy --yes");
}

#[tokio::test]
async fn status_tells_the_rest_where_it_may_not_read_logs() {
    let user = User::new().await;
    user.run_as_root("deploy --yes").ends(0);
    let mut less = user.policy("read");
    for statement in less["Statement"].as_array_mut().unwrap() {
        let actions = statement["Action"].as_array_mut().unwrap();
        actions.retain(|action| action != "logs:FilterLogEvents");
    }
    user.may(&less).await;
    let ran = user.run("status").ends(0).says("0 throttled, - cold starts; p50 ");
    ran.says("cold     unknown: ").says("logs:FilterLogEvents").says("drift    none");
    assert_eq!(user.run("status --json").ends(0).json()["health"]["cold_starts"], Value::Null);
}

#[tokio::test]
async fn a_stage_cannot_touch_another() {
    let user = User::new().await;
    user.run_as_root("deploy --yes --stage prod").ends(0);
    user.may(&user.policy("destroy")).await;
    assert_ne!(user.run("destroy --yes --stage prod").code, 0);
    // Even the API, of which names tell nothing.
    let apis = user.root.apigateway.get_rest_apis().send().await.unwrap().items.unwrap();
    let somebody = connect(&user.key.0, &user.key.1).await;
    let delete = somebody.apigateway.delete_rest_api().rest_api_id(apis[0].id().unwrap());
    assert!(format!("{:?}", delete.send().await).contains("apigateway:DELETE"));
    user.run_as_root("smoke-test --stage prod").ends(0);
}

#[tokio::test]
async fn a_function_may_write_to_its_own_log_and_do_nothing_else() {
    use aws_sdk_cloudwatchlogs::types::InputLogEvent;
    let user = User::new().await;
    user.run_as_root("deploy --yes").ends(0);
    let env = &user.root.env;
    let (role, policy) = (env.role("health"), "write-logs");
    let get = user.root.iam.get_role_policy().role_name(role).policy_name(policy);
    let document = get.send().await.unwrap().policy_document;
    let document = percent_encoding::percent_decode_str(&document).decode_utf8().unwrap();
    user.may(&serde_json::from_str(&document).unwrap()).await;

    let function = connect(&user.key.0, &user.key.1).await;
    let write = async |group: &str| {
        let (logs, root) = (&function.logs, &user.root.logs);
        let stream = || logs.create_log_stream().log_group_name(group).log_stream_name("one");
        let made = stream().send().await;
        let by_root = root.create_log_stream().log_group_name(group).log_stream_name("two");
        by_root.send().await.unwrap();
        let event = InputLogEvent::builder().timestamp(env_time()).message("hello").build();
        let put = logs.put_log_events().log_group_name(group).log_stream_name("two");
        (made.is_ok(), put.log_events(event.unwrap()).send().await.is_ok())
    };
    assert_eq!(write(&env.log_group("health")).await, (true, true));
    assert_eq!(write(&env.log_group("root")).await, (false, false));

    let denied = BTreeSet::from([
        function.s3.list_objects_v2().bucket(env.bucket()).send().await.is_err(),
        function.ssm.get_parameter().name(env.parameter("api-key")).send().await.is_err(),
        function.lambda.get_function().function_name(env.function("root")).send().await.is_err(),
        function.iam.list_roles().send().await.is_err(),
        function
            .logs
            .delete_log_group()
            .log_group_name(env.log_group("health"))
            .send()
            .await
            .is_err(),
    ]);
    assert_eq!(denied, BTreeSet::from([true]));
}

/// Milliseconds since 1970.
fn env_time() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
