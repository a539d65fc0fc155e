//! The role as which CI deploys, where IAM holds everybody to their rights.

use crate::account::{Account, REGION, Ran, TRUST};
use crate::local::guarded;
use crate::world::World;
use aws_sdk_iam::config::Credentials;
use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::{PolicyScopeType, Tag};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use deployer::APP;
use infra::aws::{Access, Aws, Local};
use serde_json::json;

const EVERYTHING: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;

const MAIN: &str = "repo:me/api:ref:refs/heads/main";

async fn root(account: &Account) -> Aws {
    let (endpoint, access_key) = (guarded().endpoint.clone(), account.id.clone());
    let local = Some(Local { endpoint, access_key, secret_key: "test".to_owned() });
    let region = Some(REGION.to_owned());
    Aws::connect(&Access { local, region, ..Access::default() }, &APP, "dev").await.unwrap()
}

fn run(account: &Account, line: &str) -> Ran {
    Ran::of(&mut account.command(&guarded().endpoint, line))
}

/// What a job of GitHub's would show. Nobody here looks at signatures.
fn token(subject: &str, audience: &str) -> String {
    let issuer = "https://token.actions.githubusercontent.com";
    let claims = json!({ "iss": issuer, "aud": audience, "sub": subject }).to_string();
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims), part("signature"))
}

/// A session of the role: access key, secret and token.
async fn assume(aws: &Aws, role: &str, token: &str) -> Option<[(&'static str, String); 3]> {
    let config = aws_sdk_sts::config::Builder::default()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_sts::config::Region::new(REGION))
        .endpoint_url(aws.endpoint.clone().unwrap())
        .http_client(aws.iam.config().http_client().unwrap())
        .build();
    let sts = aws_sdk_sts::Client::from_conf(config);
    let assume = sts.assume_role_with_web_identity().role_arn(role).role_session_name("ci");
    let session = assume.web_identity_token(token).send().await.ok()?.credentials.unwrap();
    Some([
        ("AWS_ACCESS_KEY_ID", session.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", session.secret_access_key),
        ("AWS_SESSION_TOKEN", session.session_token),
    ])
}

/// IAM as that session asks it.
fn iam_of(aws: &Aws, session: &[(&'static str, String); 3]) -> aws_sdk_iam::Client {
    let [(_, id), (_, secret), (_, token)] = session.clone();
    let credentials = Credentials::new(id, secret, Some(token), None, "test");
    let config = aws.iam.config().to_builder().credentials_provider(credentials).build();
    aws_sdk_iam::Client::from_conf(config)
}

/// Names of the managed policies that were made in the account.
async fn policies(aws: &Aws) -> Vec<String> {
    let list = aws.iam.list_policies().scope(PolicyScopeType::Local).send().await.unwrap();
    let names = list.policies.unwrap().into_iter().map(|policy| policy.policy_name.unwrap());
    names.collect()
}

/// ARNs of those that are attached to the role.
async fn attached(aws: &Aws) -> Vec<String> {
    let list = aws.iam.list_attached_role_policies().role_name(aws.env.ci_role());
    let attached = list.send().await.unwrap().attached_policies.unwrap();
    attached.into_iter().map(|policy| policy.policy_arn.unwrap()).collect()
}

/// Names of all roles, and ARNs of all providers.
async fn identities(aws: &Aws) -> (Vec<String>, usize) {
    let roles = aws.iam.list_roles().send().await.unwrap().roles;
    let providers = aws.iam.list_open_id_connect_providers().send().await.unwrap();
    let roles = roles.into_iter().map(|role| role.role_name).collect();
    (roles, providers.open_id_connect_provider_list().len())
}

#[tokio::test]
async fn a_job_of_the_branch_deploys_with_the_role_and_no_other_does() {
    let account = Account::new();
    let aws = root(&account).await;
    let ran = run(&account, "ci-role --repo me/api --branch main --yes").ends(0);
    let role = ran.out.trim().to_owned();
    assert_eq!(
        role,
        format!("arn:aws:iam::{}:role/ops-api-ci/dev/deploy-ops-api-dev-{REGION}", account.id)
    );
    ran.says(&format!("gh variable set AWS_DEPLOY_ROLE_DEV --repo me/api --body {role}"))
        .says(&format!("gh variable set AWS_REGION --repo me/api --body {REGION}"));

    for (subject, audience) in [
        ("repo:me/api:ref:refs/heads/other", "sts.amazonaws.com"),
        ("repo:me/api:pull_request", "sts.amazonaws.com"),
        ("repo:me/api:environment:main", "sts.amazonaws.com"),
        ("repo:me/other:ref:refs/heads/main", "sts.amazonaws.com"),
        (MAIN, "https://github.com/me"),
    ] {
        let let_in = assume(&aws, &role, &token(subject, audience)).await;
        assert!(let_in.is_none(), "{subject} for {audience}");
    }

    let session = assume(&aws, &role, &token(MAIN, "sts.amazonaws.com")).await.unwrap();
    let ci = |line: &str| {
        let mut command = account.command(&guarded().endpoint, line);
        Ran::of(command.envs(session.clone()))
    };
    // With all that `ci.yml` offers; and it may ask what it may.
    for line in ["plan", "deploy --yes", "releases", "smoke-test", "status"] {
        let ran = ci(line).ends(0);
        assert!(!ran.err.contains("not looked at"), "{}", ran.err);
    }
    account.packages.change_code("root");
    ci("deploy --yes").ends(0).says("release 2 is live");
    ci("rollback --yes").ends(0).says("release 3 is live");
    // But not to its own role, nor to its policies.
    assert_ne!(ci("ci-role --repo me/other --yes").code, 0);
    let as_ci = iam_of(&aws, &session);
    for arn in attached(&aws).await {
        let widened = as_ci.create_policy_version().policy_arn(&arn).set_as_default(true);
        let refused = widened.policy_document(EVERYTHING).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("AccessDenied"), "{arn}");
        assert!(as_ci.delete_policy().policy_arn(&arn).send().await.is_err());
    }
    let detach = as_ci.attach_role_policy().role_name(aws.env.ci_role());
    let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
    let refused = detach.policy_arn(administrator).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDenied"));
    ci("destroy --yes").ends(0).says("remaining 0");

    // The stage's end isn't the role's.
    run(&account, "ci-role --repo me/api --branch main --yes").ends(0).says("nothing to do");
    run(&account, "ci-role --destroy --yes").ends(0).says("5 to delete");
    run(&account, "ci-role --destroy --yes").ends(0).says("there is no role");
    assert_eq!(policies(&aws).await, Vec::<String>::new());
    let (roles, providers) = identities(&aws).await;
    let left: Vec<_> = roles.iter().filter(|name| name.starts_with("deploy-")).collect();
    assert_eq!((left.len(), providers), (0, 0), "{roles:?}");
}

#[tokio::test]
async fn the_role_is_brought_up_to_date_and_what_was_added_by_hand_goes() {
    let account = Account::new();
    let aws = root(&account).await;
    run(&account, "ci-role --repo me/api --yes").ends(0);
    let env = &aws.env;
    let put = aws.iam.put_role_policy().role_name(env.ci_role()).policy_name("more");
    put.policy_document(EVERYTHING).send().await.unwrap();
    let made = aws.iam.create_policy().policy_name("boundary").policy_document(EVERYTHING);
    let boundary = made.send().await.unwrap().policy.unwrap().arn.unwrap();

    let line = format!(
        "ci-role --repo me@12/api@345 --environment prod --permissions-boundary {boundary} --yes"
    );
    let ran = run(&account, &line).ends(0).says("1 to update").says("policies.more");
    ran.says("boundary").says("repo:me@12/api@345:environment:prod");
    let role = || aws.iam.get_role().role_name(env.ci_role());
    let is = role().send().await.unwrap().role.unwrap();
    let set = is.permissions_boundary.unwrap().permissions_boundary_arn;
    assert_eq!(set.as_ref(), Some(&boundary));
    let inline = aws.iam.list_role_policies().role_name(env.ci_role()).send().await.unwrap();
    assert_eq!(inline.policy_names, Vec::<String>::new());
    assert_eq!(attached(&aws).await.len(), 3);

    // One that is set stays, whoever set it.
    run(&account, "ci-role --repo me@12/api@345 --environment prod --yes")
        .ends(0)
        .says("nothing to do");
    assert!(role().send().await.unwrap().role.unwrap().permissions_boundary.is_some());
    run(&account, "ci-role --destroy --yes").ends(0);
}

#[tokio::test]
async fn a_foreign_role_is_refused_and_an_account_keeps_what_others_need() {
    let account = Account::new();
    let aws = root(&account).await;
    let theirs = aws.iam.create_role().role_name(aws.env.ci_role());
    theirs.assume_role_policy_document(TRUST).send().await.unwrap();
    for line in ["ci-role --repo me/api --yes", "ci-role --destroy --yes"] {
        run(&account, line).ends(6).says("exists and is not ours: it has no tags");
    }
    assert_eq!(identities(&aws).await.1, 0, "nothing else was made either");
    aws.iam.delete_role().role_name(aws.env.ci_role()).send().await.unwrap();

    // Another stage's role needs GitHub too.
    run(&account, "ci-role --repo me/api --yes").ends(0).says("5 to create");
    run(&account, "--stage prod ci-role --repo me/api --yes").ends(0).says("4 to create");
    run(&account, "ci-role --destroy --yes").ends(0).says("4 to delete");
    run(&account, "--stage prod ci-role --destroy --yes").ends(0).says("5 to delete");
    assert_eq!(identities(&aws).await.1, 0);

    // And if the account's owner made it known, it is the owner's.
    let make = |audience: &str| {
        let make = aws.iam.create_open_id_connect_provider();
        let make = make.url("https://token.actions.githubusercontent.com");
        make.client_id_list(audience)
            .tags(Tag::builder().key("team").value("blue").build().unwrap())
    };
    let arn = make("another").send().await.unwrap().open_id_connect_provider_arn.unwrap();
    run(&account, "ci-role --repo me/api --yes")
        .ends(6)
        .says("takes no tokens for sts.amazonaws.com");
    let gone = aws.iam.delete_open_id_connect_provider().open_id_connect_provider_arn(arn);
    gone.send().await.unwrap();
    make("sts.amazonaws.com").send().await.unwrap();
    run(&account, "ci-role --repo me/api --yes").ends(0).says("4 to create");
    run(&account, "ci-role --destroy --yes").ends(0).says("4 to delete");
    assert_eq!(identities(&aws).await.1, 1);
}

#[tokio::test]
async fn the_policy_for_making_the_role_is_enough() {
    let account = Account::new();
    let aws = root(&account).await;
    aws.iam.create_user().user_name("admin").send().await.unwrap();
    let key = aws.iam.create_access_key().user_name("admin").send().await.unwrap();
    let key = key.access_key.unwrap();
    let printed = run(&account, "policy --mode ci-role").ends(0).json();
    for (name, document) in printed.as_object().unwrap() {
        let put = aws.iam.put_user_policy().user_name("admin").policy_name(name);
        put.policy_document(document.to_string()).send().await.unwrap();
    }
    let admin = |line: &str| {
        let mut command = account.command(&guarded().endpoint, line);
        command.env("AWS_ACCESS_KEY_ID", &key.access_key_id);
        Ran::of(command.env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key))
    };
    admin("ci-role --repo me/api --yes").ends(0).says("5 to create");
    admin("ci-role --repo me/api --branch next --yes").ends(0).says("1 to update");
    change_policy(&aws, "iam", 4).await;
    admin("ci-role --repo me/api --branch next --yes").ends(0).says("1 to update");
    admin("ci-role --destroy --yes").ends(0).says("5 to delete");
    assert_eq!(policies(&aws).await, Vec::<String>::new());
}

/// Gives a policy of the role so many further versions, of which the last counts.
async fn change_policy(aws: &Aws, name: &str, versions: usize) {
    let arn = aws.env.ci_policy_arn(&aws.env.ci_policy(name));
    for _ in 0..versions {
        let version = aws.iam.create_policy_version().policy_arn(&arn).set_as_default(true);
        version.policy_document(EVERYTHING).send().await.unwrap();
    }
}

/// A managed policy has at most five versions.
#[tokio::test]
async fn oldest_policy_version_makes_room_for_a_new_one() {
    let account = Account::new();
    let aws = root(&account).await;
    run(&account, "ci-role --repo me/api --yes").ends(0);
    change_policy(&aws, "api", 4).await;
    run(&account, "ci-role --repo me/api --yes").ends(0).says("1 to update");
    let arn = aws.env.ci_policy_arn(&aws.env.ci_policy("api"));
    let versions = aws.iam.list_policy_versions().policy_arn(&arn).send().await.unwrap();
    let versions: Vec<_> = versions.versions.unwrap().into_iter().collect();
    let mut names: Vec<_> = versions.iter().map(|v| v.version_id.clone().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["v2", "v3", "v4", "v5", "v6"]);
    let default = versions.iter().find(|version| version.is_default_version).unwrap();
    assert_eq!(default.version_id.as_deref(), Some("v6"));
    run(&account, "ci-role --repo me/api --yes").ends(0).says("nothing to do");
    run(&account, "ci-role --destroy --yes").ends(0);
    assert_eq!(policies(&aws).await, Vec::<String>::new());
}

/// As earlier versions of this program made it: with one inline policy. It goes when the managed ones are attached.
#[tokio::test]
async fn inline_policy_of_an_older_role_is_removed_after_the_managed_ones_are_attached() {
    let account = Account::new();
    let aws = account.aws().await;
    account.run("ci-role --repo me/api --yes").ends(0);
    let role = || aws.env.ci_role();
    for arn in attached(&aws).await {
        let detach = aws.iam.detach_role_policy().role_name(role()).policy_arn(&arn);
        detach.send().await.unwrap();
        aws.iam.delete_policy().policy_arn(&arn).send().await.unwrap();
    }
    let put = aws.iam.put_role_policy().role_name(role()).policy_name("deploy");
    put.policy_document(EVERYTHING).send().await.unwrap();

    let world = World::of(&account);
    world.run(&account, "ci-role --repo me/api --yes").ends(0).says("3 to create, 1 to update");
    let writes: Vec<_> =
        world.requests().into_iter().filter(|name| crate::world::is_write(name)).collect();
    let mut wanted = vec!["iam:CreatePolicy"; 3];
    wanted.extend(["iam:AttachRolePolicy"; 3]);
    wanted.push("iam:DeleteRolePolicy");
    assert_eq!(writes, wanted);
    assert_eq!(attached(&aws).await.len(), 3);
    account.run("ci-role --destroy --yes").ends(0);
}

/// Whether GitHub writes its numbers into a token depends on when a repository was made, renamed or transferred.
#[tokio::test]
async fn both_forms_of_a_subject_are_accepted_where_ids_are_given() {
    let account = Account::new();
    let aws = root(&account).await;
    let role = run(&account, "ci-role --repo me@12/api@345 --yes").ends(0).out.trim().to_owned();
    for (subject, accepted) in [
        ("repo:me@12/api@345:ref:refs/heads/main", true),
        (MAIN, true),
        ("repo:me@13/api@345:ref:refs/heads/main", false),
        ("repo:me@12/api@345:ref:refs/heads/other", false),
    ] {
        let session = assume(&aws, &role, &token(subject, "sts.amazonaws.com")).await;
        assert_eq!(session.is_some(), accepted, "{subject}");
    }
    run(&account, "ci-role --destroy --yes").ends(0);
}
