//! Empty variables, which are unset ones.

use crate::server::{CONNECTED, Server};
use crate::shell::{REGION, SOMEBODY, Shell};

#[test]
fn an_empty_variable_is_an_unset_one() {
    let sts = Server::sts();
    let names = [
        "ALL_PROXY",
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_STS",
        "AWS_MAX_ATTEMPTS",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_SESSION_TOKEN",
        "AWS_USE_FIPS_ENDPOINT",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_COLOR",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
    ];
    let shell = Shell::new(&SOMEBODY[..2])
        .with("AWS_DEFAULT_REGION", REGION.1)
        .with("AWS_ENDPOINT_URL", &sts.url());
    let shell = names.iter().fold(shell, |shell, name| shell.with(name, ""));
    let ran = shell.run(CONNECTED);
    assert!(ran.err.contains("\"Dev\" cannot be used in AWS names"), "{ran:?}");
    assert!(sts.heard()[0].contains("/ap-southeast-2/sts/aws4_request"), "{:?}", sts.heard());
}

#[test]
fn an_empty_stage_is_the_default() {
    let ran = Shell::new(&[("STAGE", "")]).run("graph").ends(0);
    assert!(ran.out.contains("ops-api-dev"), "{ran:?}");
}

#[test]
fn an_empty_endpoint_is_awss() {
    let proxy = Server::new(403, "");
    let shell = Shell::new(&SOMEBODY).with("AWS_ENDPOINT_URL", "");
    shell.with("HTTPS_PROXY", &proxy.url()).run(CONNECTED).refused(&["through the proxy"]);
    assert!(proxy.heard()[0].starts_with("CONNECT sts.ap-southeast-2.amazonaws.com:443 "));
}

#[test]
fn arguments_and_exit_codes_survive_that() {
    let shell = Shell::new(&[("STAGE", "")]);
    let ran = shell.run("plan --stge prod").ends(64);
    assert!(ran.err.contains("--stge"), "{ran:?}");
}
