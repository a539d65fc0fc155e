//! Errors, for people: what was being done, what AWS said, the likely cause, the next command.

use super::defect::Defect;
use super::policy::FileDiffers;
use super::rights::Lacking;
use super::screen::{BAD, DIM, NobodyToAsk, paint, say};
use super::widen::Widens;
use super::{Common, Exit, advice};
use crate::aws::{BadConfigFile, BadEndpoint, Failure, NeedsMfa, NoProfile, NoRegion, file_names};
use crate::engine::{Failures, Foreign, Interrupted, Stopped};
use crate::http::WrongClock;
use crate::lease::Held;
use crate::rebuild::CannotTell;
use crate::record::NoRecording;
use crate::release::Unpackaged;
use crate::resources::{Blocked, Disproved, TooMuchReserved, Unrestorable, Withdrawn};
use crate::retry::Unfinished;
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

/// The stage has no API, or never finished its first deploy.
#[derive(Debug)]
pub struct NotDeployed(pub String);

impl fmt::Display for NotDeployed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "stage {} is not deployed", self.0)
    }
}

impl std::error::Error for NotDeployed {}

/// The stage was deployed, or is being deployed, and has no API or isn't finished.
#[derive(Debug)]
pub struct Incomplete {
    pub stage: String,
    /// Whether the API was deleted, so that another is created.
    pub api_deleted: bool,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { stage, api_deleted } = self;
        match api_deleted {
            true => write!(f, "the API of stage {stage} was deleted, so its callers get errors"),
            false => write!(f, "stage {stage} is not deployed: its first deploy isn't finished"),
        }
    }
}

impl std::error::Error for Incomplete {}

/// Another run has the stage now, because this one was asleep or cut off for too long.
#[derive(Debug)]
pub struct LostLease(pub String);

impl fmt::Display for LostLease {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self(holder) = self;
        write!(
            f,
            "this run could not renew its lease on the stage, and stopped; {holder} has it now"
        )
    }
}

impl std::error::Error for LostLease {}

pub fn exit(error: &Error, common: &Common) -> Exit {
    let ended = error.is::<NobodyToAsk>() || error.is::<Widens>() || error.is::<LostLease>();
    if ended || error.is::<Defect>() || failures(error).iter().any(|failure| failure.outage) {
        let changed = common.access.outage.has_changed();
        return if changed { Exit::PartlyDone } else { Exit::Preflight };
    }
    let has = |found: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(found);
    if has(|cause| cause.is::<Interrupted>() || cause.is::<Stopped>()) {
        Exit::Interrupted
    } else if has(|cause| cause.is::<Held>()) {
        Exit::Held
    } else if error.is::<Preflight>() {
        Exit::Preflight
    } else {
        Exit::Failed
    }
}

/// The failed requests that an error comes from: several where independent reads failed.
pub fn failures(error: &Error) -> Vec<&Failure> {
    match error.chain().find_map(|cause| cause.downcast_ref()) {
        Some(Failures(errors)) => errors.iter().flat_map(failures).collect(),
        None => failure(error).into_iter().collect(),
    }
}

/// The failed request that an error comes from; of several reads that failed, none.
pub fn failure(error: &Error) -> Option<&Failure> {
    error.chain().find_map(<dyn std::error::Error>::downcast_ref)
}

/// Prints an error and what can be done about it.
pub fn print(error: &Error, common: &Common) {
    // What was begun by then is told by the walk's report, and is no error.
    if error.chain().any(|cause| cause.is::<Stopped>()) {
        say("stopped; nothing was changed");
        return;
    }
    if let Some(Failures(failures)) = error.chain().find_map(|cause| cause.downcast_ref()) {
        // Ten reads that fail for one reason are one failure.
        let mut seen = Vec::new();
        for failure in failures {
            // S3 refuses everything in the same words: only the cause tells which right is missing.
            let cause = |failure| advice::advise(failure, common).0;
            let key = self::failure(failure);
            let key = key.map(|f| (f.code.clone(), f.message.clone(), cause(f)));
            if key.is_none() || !seen.contains(&key) {
                one(failure, common);
                seen.push(key);
            }
        }
    } else {
        one(error, common);
    }
    // Beside what was refused, what would be.
    if let Some(lacking) = error.downcast_ref::<Lacking>().filter(|_| is_refused(error)) {
        say(format!("{} {lacking}", paint(BAD, "error:")));
        say(format!("  next: {}", have_allowed(common)));
    }
    let exit = exit(error, common);
    let early = error.is::<Preflight>() || common.access.outage.came_first();
    if exit == Exit::Preflight || early && exit != Exit::PartlyDone {
        say(paint(DIM, Preflight));
    }
}

/// Whether AWS itself refused something.
fn is_refused(error: &Error) -> bool {
    error.chain().any(|cause| cause.is::<Failure>() || cause.is::<Failures>())
}

fn have_allowed(common: &Common) -> String {
    let policy = common.command("policy");
    format!("have them allowed ({policy} prints policies that are enough), then run it again")
}

fn one(error: &Error, common: &Common) {
    let lacking = error.downcast_ref::<Lacking>().filter(|_| is_refused(error));
    let lacking = lacking.map(ToString::to_string);
    let parts: Vec<String> = (error.chain().filter(|cause| !is_marker(*cause)))
        .filter(|cause| lacking.as_ref() != Some(&cause.to_string()))
        .filter(|cause| cause.downcast_ref::<Failure>().is_none())
        .map(ToString::to_string)
        .collect();
    let failure = failure(error);
    let doing = if parts.is_empty() { "asking AWS".to_owned() } else { parts.join(": ") };
    say(format!("{} {doing}", paint(BAD, "error:")));
    if let Some(failure) = failure {
        match failure.status {
            Some(_) => say(format!("  aws said: {failure}")),
            // It is the SDK that speaks then, and in further lines it lists all that it tried.
            None => {
                let text = failure.to_string();
                let first = text.lines().next().unwrap_or_default();
                say(format!(
                    "  aws said nothing: {}",
                    first.trim_end_matches("Attempted:").trim_end()
                ));
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
pub fn advise(error: &Error, failure: Option<&Failure>, common: &Common) -> (String, String) {
    let owned = |cause: &str, next: &str| (cause.to_owned(), next.to_owned());
    if error.is::<NobodyToAsk>() {
        return owned("", "add --yes if you mean it, or run it in a terminal");
    }
    if error.is::<Widens>() {
        return owned("", "add --allow-widening if it is meant, or run it in a terminal");
    }
    if let Some(blocked) = error.downcast_ref::<Blocked>() {
        let next = format!("{}; then {}", blocked.remedies(), common.command(common.verb));
        return owned("", &next);
    }
    if error.is::<LostLease>() {
        let (status, again) = (common.command("status"), common.command(common.verb));
        let next =
            format!("{status} tells when it is free; then {again}, which finishes what was begun");
        return owned("this machine slept or was cut off for too long", &next);
    }
    if error.is::<Lacking>() && !is_refused(error) {
        let next = format!("{}; or add --no-rights-check, if IAM is wrong", have_allowed(common));
        return (String::new(), next);
    }
    if error.is::<Defect>() {
        let cause = "a setting that the AWS SDK doesn't expect, in a variable that begins with AWS_ or in \
                     ~/.aws; or a bug";
        let again = common.command(common.verb);
        let next = format!("{again} -vv shows how far it comes; with that, report it as a bug");
        return owned(cause, &next);
    }
    if error.is::<NoRecording>() {
        return owned("", "choose a FILE that isn't there yet, in a directory that you may write");
    }
    if error.is::<FileDiffers>() {
        return owned("", "choose another directory for --out, or delete the file");
    }
    if error.is::<NotDeployed>() {
        return owned("", &common.command("deploy"));
    }
    if let Some(Incomplete { api_deleted, .. }) = error.downcast_ref() {
        let deploy = common.command("deploy");
        let url = if *api_deleted { ", which creates another; its URL is new" } else { "" };
        return owned("", &format!("{deploy}{url}"));
    }
    if let Some(CannotTell { next, .. }) = error.chain().find_map(|cause| cause.downcast_ref()) {
        return owned("", next);
    }
    let has = |found: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(found);
    if let Some(NoRegion(profile)) = error.chain().find_map(|cause| cause.downcast_ref()) {
        let cause =
            format!("neither --region, AWS_REGION, AWS_DEFAULT_REGION nor {profile} names one");
        return owned(&cause, "add --region ap-southeast-2, or whichever is yours");
    }
    if has(|cause| cause.is::<BadConfigFile>()) {
        let again = common.command(common.verb);
        let cause = "the file is not what the AWS tools read: UTF-8 without a byte order mark (BOM), lines \
                     of [profile NAME] or NAME = VALUE";
        return owned(cause, &format!("correct it until aws configure list works, then {again}"));
    }
    if let Some(NoProfile { name, by, known }) = error.chain().find_map(|c| c.downcast_ref()) {
        let known = match known.is_empty() {
            true => "have none".to_owned(),
            false => format!("have only {}", known.join(", ")),
        };
        let cause = format!("a mistyped name: {} {known}", file_names());
        let again = common.command(common.verb);
        let next = format!("correct {by}, or aws configure --profile {name}; then {again}");
        return owned(&cause, &next);
    }
    if let Some(NeedsMfa { profile, region }) = error.downcast_ref() {
        let cause = "its role wants a second factor (mfa_serial), for which the AWS SDK can't ask";
        let region = Some(region.clone());
        let without = Common { profile: None, region, ..common.clone() };
        let export = format!("aws configure export-credentials --profile {profile} --format env");
        let again = without.command(common.verb);
        return owned(cause, &format!("eval \"$({export})\", then {again}"));
    }
    if let Some(wrong) = error.chain().find_map(|cause| cause.downcast_ref::<BadEndpoint>()) {
        let variable = wrong.variable();
        let cause = format!("AWS_ENDPOINT_URL, {variable} or the profile's endpoint_url is wrong");
        let again = common.command(common.verb);
        return owned(
            &cause,
            &format!("unset it, or begin it with http:// or https://; then {again}"),
        );
    }
    if has(|cause| cause.is::<Held>()) {
        let next = "wait for it to end and run again; or add --wait 600 to have this done";
        return owned("somebody else, or a CI job, is at work on this stage", next);
    }
    if has(|cause| cause.is::<WrongClock>()) {
        let cause = "AWS refuses signatures that are more than five minutes old, or not yet due";
        return owned(cause, "set the clock (sudo timedatectl set-ntp true), and run again");
    }
    if failure.is_none() && has(|cause| cause.is::<Unfinished>()) {
        let cause =
            "AWS is slower than it should ever be, or something else is at work on the stage";
        return (
            cause.to_owned(),
            format!("{}, which finishes what there is", common.command(common.verb)),
        );
    }
    if has(|cause| cause.is::<Disproved>()) {
        let cause =
            "the code is broken, or its line in ENDPOINTS of deployer/src/stack.rs is out of date";
        return owned(cause, "mend it and deploy again; what served before still does, untouched");
    }
    if has(|cause| cause.is::<Withdrawn>()) {
        let next = "mend it and deploy again; `logs` of the function tell what went wrong";
        return owned("the new versions fail where they are really used", next);
    }
    if has(|cause| cause.is::<TooMuchReserved>()) {
        let next = "reserve fewer in ENDPOINTS of deployer/src/stack.rs, or none; or have the quota \
                    of concurrent executions raised (Service Quotas, AWS Lambda)";
        return owned("", next);
    }
    if let Some(unrestorable) = error.chain().find_map(|cause| cause.downcast_ref()) {
        return (String::new(), restore(unrestorable, common));
    }
    if has(|cause| cause.is::<Foreign>()) {
        let next = "choose another --stage; or, if it may be managed here, give it these tags";
        return owned("it was made by hand, by another tool, or for another stage", next);
    }
    // Context added by Release::load isn't an error type in the chain; anyhow knows it.
    if error.is::<Unpackaged>() {
        return owned("they were never made, or not all of them", "cargo xtask package");
    }
    failure.map_or_else(Default::default, |failure| advice::advise(failure, common))
}

fn restore(Unrestorable { lost, others, .. }: &Unrestorable, common: &Common) -> String {
    let deploy = common.command("deploy");
    if lost.is_created_by_a_deploy() {
        return format!(
            "{deploy}, which creates it again; after that, {}",
            common.command(common.verb)
        );
    }
    let anew = format!("check out the release's commit and run {deploy}, which publishes it anew");
    let rollback = |number: &u64| common.command(&format!("rollback --to {number}"));
    let others: Vec<_> = others.iter().rev().map(rollback).collect();
    if others.is_empty() { anew } else { format!("{}; or {anew}", others.join(" or ")) }
}

#[cfg(test)]
mod tests;
