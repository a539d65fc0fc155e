//! The AWS tools' configuration files, region and profile.

use crate::server::{CONNECTED, Server, identity};
use crate::shell::{REGION, SOMEBODY, Shell};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// A configuration file that failed once.
fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/aws-config").join(name)
}

fn with_config(name: &str) -> Shell {
    Shell::new(&[]).with("AWS_CONFIG_FILE", case(name).to_str().unwrap())
}

#[test]
fn a_file_that_cannot_be_parsed_is_named_with_its_line() {
    with_config("unclosed.ini").run(CONNECTED).refused(&[
        "unclosed.ini on line 1: Profile definition must end with ']'",
        "[profile NAME]",
    ]);
    with_config("bom.ini")
        .run(CONNECTED)
        .refused(&["bom.ini: line 1 begins with a byte order mark"]);
    let shell = Shell::new(&SOMEBODY);
    shell.file(".aws/credentials", b"[default]\naws_access_key_id = \xe9\n");
    shell.run(CONNECTED).refused(&["reading ~/.aws/credentials: it is not UTF-8"]);
}

#[test]
fn an_empty_region_is_none_and_the_profile_is_named() {
    let file = "empty-region.ini";
    let said = ["no region is set", "profile default (", file, "next: add --region "];
    with_config(file).run(CONNECTED).refused(&said);
    let sts = Server::sts();
    let shell = with_config(file).with("AWS_ENDPOINT_URL", &sts.url());
    let ran = shell.with("AWS_DEFAULT_REGION", REGION.1).run(CONNECTED);
    assert!(ran.err.contains("\"Dev\" cannot be used in AWS names"), "{ran:?}");
    let ran = Shell::new(&[]).run(CONNECTED);
    ran.refused(&["profile default (~/.aws/config and ~/.aws/credentials)"]);
}

#[test]
fn a_mistyped_profile_is_named_and_so_are_the_others() {
    let shell = || {
        let shell = Shell::new(&[REGION]);
        shell.file(".aws/config", "[profile ops]\nregion = eu-west-1\n[profile dev]\n");
        shell
    };
    let others = "~/.aws/config and ~/.aws/credentials have only dev, ops";
    let ran = shell().with("AWS_PROFILE", "opps").run(CONNECTED);
    ran.refused(&[
        "there is no profile \"opps\", which AWS_PROFILE names",
        others,
        "correct AWS_PROFILE",
    ]);
    let ran = shell().run(&format!("{CONNECTED} --profile opps"));
    let ran = ran.refused(&["which --profile names", "aws configure --profile opps"]);
    assert!(!ran.err.contains("sso login"), "{ran:?}");
}

#[test]
fn a_role_that_asks_for_mfa_is_told_of() {
    let fault =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/faults/assume-role-denied.json");
    let fault: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(fault).unwrap()).unwrap();
    let sts = Server::new(403, fault[0]["body"].as_str().unwrap());
    let shell = || with_config("mfa.ini").with("AWS_ENDPOINT_URL", &sts.url());
    let said = [
        "profile mfa asks for MFA",
        "is not authorized to perform: sts:AssumeRole",
        "likely cause: its role wants a second factor (mfa_serial)",
        "eval \"$(aws configure export-credentials --profile mfa --format env)\", then cargo xtask status",
        "--region ap-southeast-2",
    ];
    shell().run(&format!("{CONNECTED} --profile mfa")).refused(&said);
    shell().with("AWS_PROFILE", "mfa").run(CONNECTED).refused(&said);
    assert!(sts.heard()[0].contains("Action=AssumeRole"), "{:?}", sts.heard());
}

/// `login_session` is what `aws login` writes into a profile.
#[test]
fn a_console_session_is_used_and_one_that_is_missing_or_expired_is_told_of() {
    let session = "arn:aws:iam::123456789012:user/me";
    let cached = format!(".aws/login/cache/{:x}.json", Sha256::digest(session));
    let token = |expires: &str| {
        json!({
            "accessToken": {
                "accessKeyId": "ASIAFROMTHECONSOLE", "secretAccessKey": "a-secret-key",
                "sessionToken": "a-session-token", "accountId": "123456789012", "expiresAt": expires,
            },
            "tokenType": "aws_sigv4", "refreshToken": "a-refresh-token", "dpopKey": "no key",
            "clientId": "arn:aws:signin:::devtools/same-device",
        })
    };
    let sts = Server::sts();
    let shell = || with_config("login-session.ini").with("AWS_ENDPOINT_URL", &sts.url());
    let line = format!("{CONNECTED} --profile login");
    let said = [
        "likely cause: the console session of the profile's login_session has expired",
        "next: aws login --profile login",
    ];
    shell().run(&line).refused(&said);
    let expired = shell();
    expired.file(&cached, token("2021-12-25T21:30:00Z").to_string());
    expired.run(&line).refused(&said);
    assert_eq!(sts.heard(), Vec::<String>::new());

    let valid = shell();
    valid.file(&cached, token("2126-12-25T21:30:00Z").to_string());
    let ran = valid.run(&line);
    assert!(ran.err.contains("\"Dev\" cannot be used in AWS names"), "{ran:?}");
    assert!(sts.heard()[0].contains("Credential=ASIAFROMTHECONSOLE/"), "{:?}", sts.heard());
}

#[test]
fn the_local_cloud_needs_none_of_it() {
    let sts = Server::new(200, &identity("arn:aws:iam::000000000000:root"));
    let shell = with_config("unclosed.ini").with("AWS_ENDPOINT_URL", &sts.url());
    let ran = shell.with("AWS_PROFILE", "nobodys").run(&format!("{CONNECTED} --local"));
    assert!(ran.err.contains("\"Dev\" cannot be used in AWS names"), "{ran:?}");
}
