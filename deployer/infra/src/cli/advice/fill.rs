//! What the table of advice leaves open, from the failure and from how this run was started.

use super::HAVE_CERTIFICATES;
use crate::aws::Failure;
use crate::cli::Common;
use crate::env::ALIAS;
use crate::http::trust;

/// Fills the braces of a row.
pub fn fill(text: &str, failure: &Failure, common: &Common) -> String {
    let profile = flag("profile", common.profile.as_deref());
    let flags = format!("{profile}{}", flag("region", common.region.as_deref()));
    let (service, _) = failure.op.split_once(':').unwrap_or((failure.op, ""));
    // Quotas that hold for all regions are kept in one (S3: "Bucket quotas"; IAM has no region).
    let quotas = match service {
        "iam" | "s3" => format!("{profile} --region us-east-1"),
        _ => flags.clone(),
    };
    let (absent, reach) = match common.local {
        true => ("the local cloud isn't running", "cargo xtask local up"),
        false => (
            "no network, a proxy, or a wrong AWS_ENDPOINT_URL",
            "unset AWS_ENDPOINT_URL, see that curl https://aws.amazon.com answers",
        ),
    };
    let action = action(failure);
    let blanks = [
        ("{again}", common.command(common.verb)),
        ("{plan}", common.command("plan")),
        (
            "{regions}",
            format!(
                "aws account list-regions --region-opt-status-contains ENABLED \
                 ENABLED_BY_DEFAULT{profile}"
            ),
        ),
        (
            "{quotas}",
            format!("aws service-quotas list-service-quotas --service-code {service}{quotas}"),
        ),
        ("{profile}", profile),
        ("{flags}", flags),
        ("{alias}", ALIAS.to_owned()),
        ("{certificates}", certificates()),
        ("{have_certificates}", HAVE_CERTIFICATES.to_owned()),
        ("{absent}", absent.to_owned()),
        ("{reach}", reach.to_owned()),
        ("{limit}", limit(failure.op)),
        ("{service}", name(service).to_owned()),
        ("{right}", format!("{action}{}", resource(failure))),
        ("{action}", action),
    ];
    blanks.iter().fold(text.to_owned(), |text, (blank, value)| text.replace(blank, value))
}

/// Why a server's certificate isn't believed.
fn certificates() -> String {
    match &trust().found {
        Ok(found) => format!(
            "a proxy or firewall in between shows a certificate of its own, whose CA isn't among the {found}"
        ),
        Err(why) => why.clone(),
    }
}

/// As the AWS CLI takes it.
fn flag(name: &str, value: Option<&str>) -> String {
    value.map(|value| format!(" --{name} {value}")).unwrap_or_default()
}

/// The right that is missing. AWS names it itself where it can, and it may be another than the
/// operation: iam:PassRole.
fn action(failure: &Failure) -> String {
    let named = failure.message.split("authorized to perform").nth(1);
    let named = named.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next());
    if let Some(named) = named {
        return named.to_owned();
    }
    // In API Gateway the rights are the verbs of HTTP.
    let verbs = [
        ("Create", "POST"),
        ("Get", "GET"),
        ("Update", "PATCH"),
        ("Put", "PUT"),
        ("Delete", "DELETE"),
    ];
    let gateway = failure.op.strip_prefix("apigateway:").and_then(|op| {
        verbs.iter().find(|(start, _)| op.starts_with(start)).map(|(_, verb)| *verb)
    });
    gateway.map_or_else(|| failure.op.to_owned(), |verb| format!("apigateway:{verb}"))
}

/// On what it is missing, where AWS says so. S3 puts it in quotes.
fn resource(failure: &Failure) -> String {
    let Some(rest) = failure.message.split("on resource: ").nth(1) else { return String::new() };
    let ends = [" because ", " with an explicit deny", " ("];
    let resource = ends.iter().fold(rest, |rest, end| rest.split(end).next().unwrap_or(rest));
    format!(" on {}", resource.trim_matches('"'))
}

/// What there may be no more of.
fn limit(op: &str) -> String {
    let limits = [
        ("apigateway:CreateRestApi", "REST APIs in this region"),
        ("apigateway:PutRestApi", "resources in one API"),
        ("apigateway:CreateDeployment", "deployments of one API"),
        ("apigateway:CreateStage", "stages of one API"),
        ("apigateway:CreateApiKey", "API keys in this region"),
        ("apigateway:CreateUsagePlan", "usage plans in this region"),
        ("apigateway:CreateUsagePlanKey", "keys in one usage plan"),
        ("iam:AttachRolePolicy", "managed policies on one role"),
        ("iam:CreatePolicy", "managed policies in this account"),
        ("iam:CreateRole", "roles in this account"),
        ("iam:PutRolePolicy", "inline policies in one role"),
        ("logs:CreateLogGroup", "log groups in this region"),
        ("s3:CreateBucket", "buckets in this account"),
        ("ssm:PutParameter", "parameters in this region"),
    ];
    let known = limits.iter().find(|(of, _)| *of == op);
    known.map_or_else(|| format!("of what {op} makes"), |(_, limit)| (*limit).to_owned())
}

fn name(service: &str) -> &str {
    match service {
        "apigateway" => "API Gateway",
        "iam" => "IAM",
        "lambda" => "Lambda",
        "logs" => "CloudWatch Logs",
        "s3" => "S3",
        "ssm" => "SSM",
        "sts" => "STS",
        other => other,
    }
}
