//! What opens is asked for on its own.

use crate::account::Account;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use serde_json::{Value, json};

/// Somebody has closed the bucket further than the stack does.
async fn harden(account: &Account) {
    let aws = account.aws().await;
    let bucket = aws.env.bucket();
    let policy = aws.s3.get_bucket_policy().bucket(&bucket).send().await.unwrap().policy.unwrap();
    let mut policy: Value = serde_json::from_str(&policy).unwrap();
    policy["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObjectAcl",
        "Resource": format!("{}/*", aws.env.bucket_arn()),
    }));
    let put = aws.s3.put_bucket_policy().bucket(bucket).policy(policy.to_string());
    put.send().await.unwrap();
}

#[tokio::test]
async fn yes_alone_opens_nothing() {
    let account = Account::deployed();
    harden(&account).await;
    account.run("plan").ends(0).says("! widens: allows s3:PutObjectAcl, no longer denied");
    let widens = account.run("plan --json").ends(0).json()["widens"].clone();
    assert_eq!(widens[0]["path"], "policy.Statement");

    let (ran, wire) = account.run_heard("deploy --yes");
    let ran = ran.ends(6).says("policy.Statement allows s3:PutObjectAcl, no longer denied");
    ran.says("next: add --allow-widening");
    wire.assert_no_writes();

    // A plan that is saved remains as it is, and agrees to nothing either.
    let file = account.packages.path().join("plan.json");
    account.run(&format!("plan --out {}", file.display())).ends(0);
    account.run(&format!("deploy {} --yes", file.display())).ends(6);
    account.run(&format!("deploy {} --yes --allow-widening", file.display())).ends(0);
    account.assert_as_wanted();
    assert_eq!(account.run("plan --json").json()["widens"], json!([]));
}

/// Changes the `Sid` of the bucket policy's statement.
#[tokio::test]
async fn another_id_of_a_statement_opens_nothing() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let bucket = aws.env.bucket();
    let policy = aws.s3.get_bucket_policy().bucket(&bucket).send().await.unwrap().policy.unwrap();
    let policy = policy.replace("TlsOnly", "AllowSSLRequestsOnly");
    aws.s3.put_bucket_policy().bucket(bucket).policy(policy).send().await.unwrap();
    assert_eq!(account.run("plan --json").ends(0).json()["widens"], json!([]));
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
}

#[tokio::test]
async fn disabled_key_stays_disabled_without_leave() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let keys = aws.apigateway.get_api_keys().send().await.unwrap();
    let off = PatchOperation::builder().op(Op::Replace).path("/enabled").value("false").build();
    let key = keys.items()[0].id().unwrap();
    aws.apigateway.update_api_key().api_key(key).patch_operations(off).send().await.unwrap();
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(6).says("enabled allows calls with a key that was disabled");
    wire.assert_no_writes();
    account.run("deploy --yes --allow-widening").ends(0);
    account.assert_as_wanted();
}

#[tokio::test]
async fn function_that_was_turned_off_stays_off_without_leave() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let off = aws.lambda.put_function_concurrency().function_name(aws.env.function("root"));
    off.reserved_concurrent_executions(0).send().await.unwrap();
    account.run("deploy --yes").ends(6).says("calls of a function that was turned off");
    account.run("deploy --yes --allow-widening").ends(0);
    account.assert_as_wanted();
}

#[test]
fn a_first_deploy_opens_nothing() {
    let account = Account::new();
    assert_eq!(account.run("plan --json").ends(0).json()["widens"], json!([]));
    account.run("deploy --yes").ends(0);
}
