//! Ways to AWS other than the direct one to one endpoint.

use crate::account::{Account, Ran};
use crate::wire::Wire;

/// The calls of AWS and those of the deployed API.
fn assert_heard_both(wire: &Wire) {
    let requests = wire.requests();
    for part in ["GetCallerIdentity", "/_aws/execute-api/"] {
        assert!(
            requests.iter().any(|request| request.to_string().contains(part)),
            "{part}: {requests:?}"
        );
    }
}

#[test]
fn aws_and_the_deployed_api_are_called_through_the_proxy() {
    let account = Account::deployed();
    let wire = Wire::to(&account.cloud().endpoint);
    let mut command = account.command("http://cloud.test:4566", "smoke-test");
    Ran::of(command.env("HTTP_PROXY", &wire.endpoint)).ends(0);
    assert_heard_both(&wire);
}

/// No request is sent to a real `execute-api` address, least of all one with the key.
#[test]
fn each_service_may_have_an_endpoint_of_its_own() {
    let account = Account::deployed();
    let (wire, nothing) = (Wire::to(&account.cloud().endpoint), Wire::to("127.0.0.1:9"));
    let services =
        ["API_GATEWAY", "CLOUDWATCH", "CLOUDWATCH_LOGS", "IAM", "LAMBDA", "S3", "SSM", "STS"];
    let mut command = account.command("", "smoke-test");
    command.env_remove("AWS_ENDPOINT_URL").env("HTTPS_PROXY", &nothing.endpoint);
    for service in services {
        command.env(format!("AWS_ENDPOINT_URL_{service}"), &wire.endpoint);
    }
    let ran = Ran::of(&mut command).ends(0);
    assert!(ran.err.contains(&format!("{}, not AWS", wire.endpoint)), "{}", ran.err);
    assert_heard_both(&wire);
    assert!(nothing.requests().is_empty(), "{:?}", nothing.requests());
    // Of a stage by that name in AWS there is nothing here, and path style is S3's own matter.
    command.env("AWS_ENDPOINT_URL_S3", &account.cloud().endpoint);
    let ran = Ran::of(&mut command).ends(0);
    let named = format!("S3 at {}, ", account.cloud().endpoint);
    assert!(ran.err.contains(&named) && ran.err.contains("API Gateway at "), "{}", ran.err);
}
