//! Answers that mean something else than their status says at first sight.

use crate::account::Account;
use crate::world::fault::{Always, Fault, Verdict};
use crate::world::{Request, Response, World, is_write, refuse};
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging};
use std::collections::BTreeMap;
use std::time::Duration;

/// A bucket without default encryption, until it is given one (S3 API Reference, GetBucketEncryption).
struct Unencrypted {
    bucket_is_encrypted: bool,
}

impl Fault for Unencrypted {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        self.bucket_is_encrypted |= request.name == "s3:PutBucketEncryption";
        if request.name != "s3:GetBucketEncryption" || self.bucket_is_encrypted {
            return Verdict::Pass;
        }
        let code = "ServerSideEncryptionConfigurationNotFoundError";
        let text = "The server side encryption configuration was not found";
        Verdict::Answer(refuse("s3", 404, code, text))
    }
}

#[test]
fn bucket_without_default_encryption_gets_it() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    world.add(Unencrypted { bucket_is_encrypted: false });
    let plan = world.run(&account, "plan --detailed-exitcode").ends(2);
    plan.says("encryption").says("→ AES256");
    world.run(&account, "deploy --yes").ends(0);
    world.run(&account, "plan --detailed-exitcode").ends(0);
}

/// Answers in AWS's place, as a proxy or a captive portal does.
struct Portal;

impl Fault for Portal {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if request.service == "sts" {
            return Verdict::Pass;
        }
        let headers = BTreeMap::from([("content-type".to_owned(), "text/html".to_owned())]);
        let body = b"<html>this page does not exist</html>".to_vec();
        Verdict::Answer(Response { status: 404, headers, body })
    }
}

#[test]
fn not_found_from_a_portal_is_not_taken_for_an_empty_account() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    world.add(Portal);
    for line in ["plan", "deploy --yes", "destroy --yes"] {
        let ran = world.run(&account, line).ends(6);
        ran.says("it isn't AWS that answered").says("nothing was changed");
        assert!(!world.requests().iter().any(|name| is_write(name)), "{:?}", world.requests());
    }
}

#[test]
fn not_implemented_is_told_at_once() {
    let account = Account::new();
    let message = "A header you provided implies functionality that is not implemented";
    let world = World::of(&account).with(Always {
        ops: "s3:PutBucketPolicy",
        status: 501,
        code: "NotImplemented",
        message,
        after: 0,
    });
    world.run(&account, "deploy --yes").says(message).says("next: ");
    assert!(world.age() < Duration::from_secs(30), "{:?}", world.age());
}

/// SSM API Reference, ListTagsForResource (InvalidResourceId), and "Managing parameter tiers" (4 KB).
#[tokio::test]
async fn ssm_refuses_missing_parameters_tags_and_values_over_4_kb() {
    let account = Account::new();
    let aws = account.aws().await;
    let kind = ResourceTypeForTagging::Parameter;
    let name = aws.env.parameter("motto");
    let tags = aws.ssm.list_tags_for_resource().resource_type(kind).resource_id(&name);
    let refused = tags.clone().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidResourceId"));

    let put = |value: String| {
        let put = aws.ssm.put_parameter().name(&name).value(value).r#type(ParameterType::String);
        put.overwrite(true).send()
    };
    let refused = put("x".repeat(4_097)).await.unwrap_err();
    assert_eq!(refused.code(), Some("ValidationException"));
    assert!(refused.message().unwrap().contains("maximum parameter value of 4096 characters"));
    put("x".repeat(4_096)).await.unwrap();
    assert_eq!(tags.send().await.unwrap().tag_list(), []);
}
