//! The local cloud refuses bucket policies that S3 refuses.

use crate::account::Account;
use serde_json::{Value, json};

/// What the policy is, what is put at a JSON pointer of a good one, and S3's words.
type Malformed = (&'static str, Value, &'static str);

#[tokio::test]
async fn malformed_bucket_policy_is_refused() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let bucket = aws.env.bucket();
    let get = || aws.s3.get_bucket_policy().bucket(&bucket).send();
    let good = get().await.unwrap().policy.unwrap();
    let put = async |policy: String| {
        let sent = aws.s3.put_bucket_policy().bucket(&bucket).policy(policy).send().await;
        sent.map_err(|error| {
            let error = error.into_service_error();
            let (code, message) = (error.meta().code(), error.meta().message());
            format!("{}: {}", code.unwrap(), message.unwrap())
        })
    };
    let refused = async |policy: String, message: &str| {
        assert_eq!(put(policy).await.unwrap_err(), format!("MalformedPolicy: {message}"));
    };

    refused("[]".to_owned(), "Policies must be valid JSON and the first byte must be '{'").await;
    let malformed: [Malformed; 13] = [
        ("/Version", json!("2026-01-01"), "The policy must contain a valid version string"),
        ("/Statement", json!([]), "Could not parse the policy: Statement is empty!"),
        ("/Statement/0/Grant", json!("x"), "Unknown field Grant"),
        ("/Statement/0/Effect", json!("deny"), "Invalid effect: deny"),
        ("/Statement/0/Principal", json!("somebody"), "Invalid principal in policy"),
        ("/Statement/0/Principal", json!({ "AWS": "user" }), "Invalid principal in policy"),
        ("/Statement/0/Action", json!("ssm:GetParameter"), "Policy has invalid action"),
        ("/Statement/0/Resource", json!("*"), "Policy has invalid resource"),
        ("/Statement/0/Resource", json!("arn:aws:s3:::another"), "Policy has invalid resource"),
        ("/Statement/0/Condition", json!({ "Boole": {} }), "Invalid Condition type : Boole"),
        (
            "/Statement/0/Condition",
            json!({ "Bool": { "SecureTransport": "false" } }),
            "Policy has an invalid condition key",
        ),
        ("/Statement/0/Principal", Value::Null, "Missing required field Principal"),
        ("/Statement/0/Resource", Value::Null, "Missing required field Resource"),
    ];
    for (at, value, message) in malformed {
        let mut policy: Value = serde_json::from_str(&good).unwrap();
        let (parent, field) = at.rsplit_once('/').unwrap();
        let parent = policy.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        // Null stands for a field that is missing.
        if value.is_null() {
            parent.remove(field);
        } else {
            parent.insert(field.to_owned(), value);
        }
        refused(policy.to_string(), message).await;
    }
    // The policy stays as it was, and the right one is taken.
    assert_eq!(get().await.unwrap().policy.unwrap(), good);
    put(good).await.unwrap();
}
