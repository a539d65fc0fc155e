//! Endpoints of single services, and other partitions.

use crate::server::{CONNECTED, Server};
use crate::shell::{SOMEBODY, Shell};

#[test]
fn what_is_no_endpoint_is_told_with_its_variable() {
    let sts = Server::sts();
    for (name, service, value) in [
        ("AWS_ENDPOINT_URL_S3", "S3", "localhost:4566"),
        ("AWS_ENDPOINT_URL_API_GATEWAY", "API Gateway", "http://"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "CloudWatch Logs", "ftp://x"),
    ] {
        let shell = Shell::new(&SOMEBODY).with("AWS_ENDPOINT_URL", &sts.url());
        let ran = shell.with(name, value).run(CONNECTED);
        ran.refused(&[&format!("the endpoint of {service} is no "), value, name]);
    }
    let ran = Shell::new(&SOMEBODY).with("AWS_ENDPOINT_URL", "localhost").run(CONNECTED);
    ran.refused(&["is no http:// or https:// URL: \"localhost\"", "AWS_ENDPOINT_URL"]);
    let shell = Shell::new(&SOMEBODY);
    shell.file(".aws/config", "[default]\nendpoint_url =\n");
    shell.run(CONNECTED).refused(&["URL: \"\"", "the profile's endpoint_url"]);
}

#[test]
fn names_are_those_of_the_callers_partition() {
    let fault = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/faults/caller-in-aws-eusc.json");
    let fault: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(fault).unwrap()).unwrap();
    let sts = Server::new(200, fault[0]["body"].as_str().unwrap());
    let shell = Shell::new(&SOMEBODY).with("AWS_ENDPOINT_URL", &sts.url());
    let ran = shell.run("policy --mode read --region eusc-de-east-1").ends(0);
    let bucket = "arn:aws-eusc:s3:::ops-api-dev-000000000000-eusc-de-east-1";
    assert!(ran.out.contains(bucket) && !ran.out.contains("arn:aws:s3"), "{}", ran.out);
}
