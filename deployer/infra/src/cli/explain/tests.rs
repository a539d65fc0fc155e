//! The likeliest errors as a person sees them. Read the snapshot as its reader would.

mod cases;

use super::*;
use crate::cli::{Cli, Said, overheard};
use cases::{Case, cases};
use clap::Parser;

const REQUEST: &str = "5c2b1e9d-0a7f-4c1e-9d53-6f1f2a7b8c90";

fn common(line: &str) -> Common {
    let mut cli = Cli::try_parse_from(format!("deployer {line}").split_whitespace()).unwrap();
    cli.common.verb = cli.verb.name();
    cli.common
}

fn failure(case: &Case) -> Failure {
    let Case { op, status, code, message, .. } = *case;
    Failure {
        op,
        code: (!code.is_empty()).then(|| code.to_owned()),
        message: message.to_owned(),
        status: (status > 0).then_some(status),
        request_id: (status > 0).then(|| REQUEST.to_owned()),
        retry_after: None,
        ambiguous: status == 0 || status >= 500,
        stopped: false,
        unsigned: false,
        outage: false,
    }
}

async fn heard(error: Error, common: &Common) -> String {
    let ear = Said::default();
    overheard(ear.clone(), async { print(&error, common) }).await;
    ear.so_far().1
}

async fn seen(case: &Case) -> String {
    let error = Error::new(failure(case)).context(case.doing);
    heard(error, &common(case.line)).await
}

#[tokio::test]
async fn the_likeliest_errors() {
    let mut all = String::new();
    for case in cases() {
        all += &format!("# {}\n$ deployer {}\n{}\n", case.name, case.line, seen(case).await);
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(all) });
}

#[tokio::test]
async fn each_has_four_parts() {
    for case in cases() {
        let (seen, name) = (seen(case).await, case.name);
        let part = |start: &str| {
            let found = seen.lines().find_map(|line| line.trim_start().strip_prefix(start));
            found.unwrap_or_else(|| panic!("{name}: no {start}\n{seen}")).trim().to_owned()
        };
        assert!(part("error:").contains(case.doing), "{name}");
        if case.status > 0 {
            let code = if case.code.is_empty() { case.message } else { case.code };
            let said = part("aws said:");
            assert!(said.contains(code) && said.contains(REQUEST), "{name}: {said}");
        } else {
            assert!(part("aws said nothing:").contains(case.op), "{name}");
        }
        let (cause, next) = (part("likely cause:"), part("next:"));
        assert!(!cause.is_empty(), "{name}");
        // A command that can be typed, for the same place.
        assert!(next.contains("cargo xtask"), "{name}: {next}");
        assert!(case.line.contains("--local") || next.contains("--stage prod"), "{name}: {next}");
        assert!(
            !format!("{cause}{next}").contains(['{', '}']),
            "{name}: left open: {cause} {next}"
        );
    }
}

/// No failure goes without, however strange.
#[test]
fn nothing_is_left_without_advice() {
    let common = common("plan --stage prod");
    for status in [None, Some(200), Some(301), Some(400), Some(403), Some(418), Some(500)] {
        for code in [None, Some("NobodyKnowsThis".to_owned())] {
            for op in ["", "lambda:CreateFunction", "apigateway:PutRestApi"] {
                let failure = Failure { op, status, code: code.clone(), ..Failure::default() };
                let (cause, next) = advice::advise(&failure, &common);
                assert!(!cause.is_empty() && !next.is_empty(), "{failure:?}");
            }
        }
    }
}

/// One reason is told once; but rights that S3 refuses in the same words are each told.
#[tokio::test]
async fn what_is_told_once_and_what_is_not() {
    let one = |op, code: &str| {
        let code = Some(code.to_owned());
        let message = "the same".to_owned();
        Error::new(Failure { op, code, message, status: Some(400), ..Failure::default() })
    };
    let told = async |code| {
        let both = Failures(vec![one("s3:ListBucket", code), one("s3:GetBucketPolicy", code)]);
        heard(both.into(), &common("plan --stage prod")).await.matches("error:").count()
    };
    assert_eq!(told("ExpiredToken").await, 1);
    assert_eq!(told("AccessDenied").await, 2);
}
