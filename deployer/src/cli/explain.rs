//! Errors, for people: what was being done, what AWS said, the likely cause, the next command.

use super::screen::{BAD, DIM, paint, say};
use super::{Common, Exit};
use crate::aws::{Failure, NoRegion};
use crate::engine::{Failures, Foreign, Interrupted, Stopped};
use crate::http::WrongClock;
use crate::lease::Held;
use crate::release::Unpackaged;
use anyhow::Error;
use std::fmt;

/// Marks an error that came before anything was changed.
#[derive(Debug)]
pub struct Preflight;

impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("nothing was changed")
    }
}

/// A question must be asked, and nobody is there.
#[derive(Debug)]
pub struct NobodyToAsk;

impl fmt::Display for NobodyToAsk {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("this asks before it changes anything, and there is no terminal to ask on")
    }
}

impl std::error::Error for NobodyToAsk {}

/// The stage has no API, or never finished its first deploy.
#[derive(Debug)]
pub struct NotDeployed(pub String);

impl fmt::Display for NotDeployed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "stage {} is not deployed", self.0)
    }
}

impl std::error::Error for NotDeployed {}

pub fn exit(error: &Error) -> Exit {
    let has = |found: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(found);
    if has(|cause| cause.is::<Interrupted>() || cause.is::<Stopped>()) {
        Exit::Interrupted
    } else if has(|cause| cause.is::<Held>()) {
        Exit::Held
    } else if error.is::<Preflight>() || error.is::<NobodyToAsk>() {
        Exit::Preflight
    } else {
        Exit::Failed
    }
}

/// Prints an error and what can be done about it.
pub fn print(error: &Error, common: &Common) {
    if let Some(Failures(failures)) = error.chain().find_map(|cause| cause.downcast_ref()) {
        // Ten reads that fail for one reason are one failure.
        let mut seen = Vec::new();
        for failure in failures {
            let key = failure.chain().find_map(<dyn std::error::Error>::downcast_ref::<Failure>);
            let key = key.map(|failure| (failure.code.clone(), failure.message.clone()));
            if key.is_none() || !seen.contains(&key) {
                one(failure, common);
                seen.push(key);
            }
        }
    } else {
        one(error, common);
    }
    if error.is::<Preflight>() {
        say(paint(DIM, Preflight));
    }
}

fn one(error: &Error, common: &Common) {
    let parts: Vec<String> = (error.chain().filter(|cause| !is_marker(*cause)))
        .filter(|cause| cause.downcast_ref::<Failure>().is_none())
        .map(ToString::to_string)
        .collect();
    let failure = error.chain().find_map(<dyn std::error::Error>::downcast_ref::<Failure>);
    let doing = if parts.is_empty() { "asking AWS".to_owned() } else { parts.join(": ") };
    say(format!("{} {doing}", paint(BAD, "error:")));
    if let Some(failure) = failure {
        // Without a status it wasn't AWS that spoke, and the SDK tells all that it tried.
        match failure.status {
            Some(_) => say(format!("  aws said: {failure}")),
            None => {
                let text = failure.to_string();
                say(format!("  {}", text.lines().next().unwrap_or_default()));
            }
        }
    }
    let (cause, next) = advise(error, failure, common);
    if !cause.is_empty() {
        say(format!("  likely cause: {cause}"));
    }
    if !next.is_empty() {
        say(format!("  next: {next}"));
    }
}

fn is_marker(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.to_string() == Preflight.to_string()
}

/// The likely cause and the next step, where they are known.
fn advise(error: &Error, failure: Option<&Failure>, common: &Common) -> (String, String) {
    let owned = |cause: &str, next: &str| (cause.to_owned(), next.to_owned());
    if error.is::<NobodyToAsk>() {
        return owned("", "add --yes if you mean it, or run it in a terminal");
    }
    if error.is::<NotDeployed>() {
        return owned("", &common.command("deploy"));
    }
    let has = |found: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(found);
    if has(|cause| cause.is::<NoRegion>()) {
        let cause = "neither --region, AWS_REGION nor the profile names one";
        return owned(cause, "add --region ap-southeast-2, or whichever is yours");
    }
    if has(|cause| cause.is::<Held>()) {
        let next = "wait for it to end and run again; or add --wait 600 to have this done";
        return owned("somebody else, or a CI job, is at work on this stage", next);
    }
    if has(|cause| cause.is::<WrongClock>()) {
        let cause = "AWS refuses signatures that are more than five minutes old, or not yet due";
        return owned(cause, "set the clock (sudo timedatectl set-ntp true), and run again");
    }
    if has(|cause| cause.is::<Foreign>()) {
        let next = "choose another --stage; or, if it may be managed here, give it these tags";
        return owned("it was made by hand, by another tool, or for another stage", next);
    }
    // Context added by Release::load isn't an error type in the chain; anyhow knows it.
    if error.is::<Unpackaged>() {
        return owned("they were never made, or not all of them", "cargo xtask package");
    }
    failure.map_or_else(Default::default, |failure| of_aws(failure, common))
}

fn of_aws(failure: &Failure, common: &Common) -> (String, String) {
    let owned = |cause: &str, next: &str| (cause.to_owned(), next.to_owned());
    let is = |codes: &[&str]| failure.code.as_deref().is_some_and(|code| codes.contains(&code));
    let says = |texts: &[&str]| texts.iter().any(|text| failure.says(text));
    if is(&["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
        || says(&["SSO token", "token has expired"])
    {
        return owned(
            "the credentials have expired",
            "aws sso login, or renew them as you got them; then run again",
        );
    }
    // Before what follows: it comes as SignatureDoesNotMatch.
    if is(&["RequestTimeTooSkewed"]) || says(&["Signature expired", "not yet current"]) {
        return owned("this machine's clock is wrong", "set the clock and run again");
    }
    if is(&[
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    ]) {
        return owned(
            "the access key or its secret is wrong, or the region isn't enabled in the account",
            "check AWS_ACCESS_KEY_ID and AWS_PROFILE; `aws sts get-caller-identity` must work",
        );
    }
    if is(&["AccessDenied", "AccessDeniedException", "UnauthorizedException"]) {
        // AWS names the right itself, and it may be another than the operation: iam:PassRole.
        let named = failure.message.split("not authorized to perform: ").nth(1);
        let named = named.and_then(|rest| rest.split_whitespace().next());
        let cause = format!("the credentials lack the right {}", named.unwrap_or(failure.op));
        return (cause, "have it added to the role or user, and run again".to_owned());
    }
    if is(&["LimitExceededException", "LimitExceeded"]) {
        return owned(
            "the account is full of these",
            "delete some, or ask AWS for a higher quota; then run again",
        );
    }
    if failure.status.is_none() {
        if says(&["no providers in chain", "credentials", "the credential provider"]) {
            return owned(
                "no credentials were found",
                "aws configure, aws sso login, or AWS_PROFILE; for no AWS at all: --local",
            );
        }
        let cause =
            "nothing answers at the endpoint: no network, a proxy, or a wrong AWS_ENDPOINT_URL";
        let next = match common.local {
            true => "cargo xtask local up",
            false => "see that the network works, and run again",
        };
        return owned(cause, next);
    }
    owned("", "run it again; if it stays, look the request up with its id")
}
