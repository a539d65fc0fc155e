//! What opens is asked for on its own.

use crate::account::Account;
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

#[test]
fn a_first_deploy_opens_nothing() {
    let account = Account::new();
    assert_eq!(account.run("plan --json").ends(0).json()["widens"], json!([]));
    account.run("deploy --yes").ends(0);
}
