//! IAM's own answer to what somebody may do: SimulatePrincipalPolicy, which judges and does nothing.
//!
//! It looks at the policies of user or role, groups included, at the permissions boundary, and at the
//! organisation's policies with their conditions; not at policies of resources, nor at those that
//! a session was given (IAM: "Testing IAM policies with the IAM policy simulator", and the operation's
//! reference).

use crate::aws::Failure;
use crate::rights::{Answer, Missing, Question};
use crate::run::Run;
use anyhow::Result;
use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType,
};
use futures_util::future::{join_all, try_join_all};
use std::collections::{BTreeMap, BTreeSet};

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Asked {
    /// All that is missing; nothing, if nothing is.
    Told(Vec<Missing>),
    /// Nobody's business: the account's root, to whom nothing in it is denied, or who insists.
    Unasked,
    /// IAM wasn't asked, or didn't answer; why.
    Untold(String),
}

type Answers = BTreeMap<(String, String), Answer>;

/// Asks IAM whether these credentials have the rights. Never fails: a run doesn't depend on it.
pub async fn ask_rights(cx: &Run, questions: &[Question]) -> Asked {
    let principal = match principal(cx).await {
        Principal::Root => return Asked::Unasked,
        Principal::Unknown(why) => return Asked::Untold(why),
        Principal::Known(arn) => arn,
    };
    // Who may not ask is told so once.
    let (first, rest) = questions.split_at(questions.len().min(1));
    let mut missing = vec![];
    for some in [first, rest] {
        let asking = some.iter().map(|question| async {
            Ok::<_, Failure>(question.missing(&ask(cx, &principal, question).await?))
        });
        match try_join_all(asking).await {
            Ok(found) => missing.extend(found.into_iter().flatten()),
            Err(failure) => return Asked::Untold(untold(&failure)),
        }
    }
    missing.sort();
    Asked::Told(missing)
}

fn untold(failure: &Failure) -> String {
    match failure {
        _ if failure.is_denied() => format!("these credentials may not ask IAM ({})", failure.op),
        _ if failure.is_missing() => "IAM doesn't know whose credentials these are".to_owned(),
        _ => format!("IAM didn't answer ({failure})"),
    }
}

enum Principal {
    Known(String),
    Root,
    Unknown(String),
}

/// The user or the role behind the credentials, by the ARN that IAM has for it. STS tells of a role
/// without its path.
async fn principal(cx: &Run) -> Principal {
    let caller = cx.caller.as_str();
    let resource = caller.splitn(6, ':').nth(5).unwrap_or_default();
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["root"] => Principal::Root,
        ["user", ..] => Principal::Known(caller.to_owned()),
        ["assumed-role", role, ..] => match super::role::get(cx, role).await {
            Ok(Some((role, _))) => Principal::Known(role.arn),
            // Perhaps it has none.
            _ => Principal::Known(cx.env.iam_arn(&format!("role/{role}"))),
        },
        _ => Principal::Unknown(format!("IAM can't be asked about {caller}")),
    }
}

async fn ask(cx: &Run, principal: &str, question: &Question) -> Result<Answers, Failure> {
    let actions: Vec<&str> = question.actions.iter().copied().collect();
    match simulate(cx, principal, question, &actions).await {
        Err(failure) if failure.is("InvalidInput") && actions.len() > 1 => {
            let groups = groups(&failure.message, &actions);
            let asking = groups.iter().map(|group| simulate(cx, principal, question, group));
            // What IAM takes in no way, it can't judge.
            let answers = join_all(asking)
                .await
                .into_iter()
                .filter(|answer| !answer.as_ref().is_err_and(|failure| failure.is("InvalidInput")));
            answers.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flatten().collect())
        }
        answers => answers,
    }
}

/// IAM takes together only what it asks for the same things, and names the parts: "Invalid Input Actions:
/// [a,b] and [c] require different authorization information." If it doesn't name all, each alone.
fn groups<'a>(message: &str, actions: &[&'a str]) -> Vec<Vec<&'a str>> {
    let named = message.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    let of = |names: &str| {
        let names: BTreeSet<&str> = names.split(',').map(str::trim).collect();
        actions.iter().copied().filter(|action| names.contains(action)).collect::<Vec<_>>()
    };
    let groups: Vec<Vec<&str>> = named.map(of).collect();
    match groups.len() > 1 && groups.iter().flatten().count() == actions.len() {
        true => groups,
        false => actions.iter().map(|action| vec![*action]).collect(),
    }
}

async fn simulate(
    cx: &Run,
    principal: &str,
    question: &Question,
    actions: &[&str],
) -> Result<Answers, Failure> {
    let (mut answers, mut marker) = (Answers::new(), None);
    let context = context(question, principal);
    loop {
        let request = || {
            let request = cx.iam.simulate_principal_policy().policy_source_arn(principal);
            let request = request.set_action_names(Some(
                actions.iter().map(|action| (*action).to_owned()).collect(),
            ));
            let request = request.set_resource_arns(Some(question.resources.clone()));
            let request = request.set_context_entries(Some(context.clone()));
            request.set_marker(marker.clone()).send()
        };
        let page = cx.call("iam:SimulatePrincipalPolicy", request).await?;
        let results = page.evaluation_results().iter();
        results.for_each(|result| answers.extend(read(result, &question.resources)));
        marker = page.marker.filter(|_| page.is_truncated);
        if marker.is_none() {
            return Ok(answers);
        }
    }
}

fn context(question: &Question, principal: &str) -> Vec<ContextEntry> {
    let entry = |key: &str, values: &[String]| {
        let kind = match (key, values.len()) {
            ("aws:SecureTransport", _) => ContextKeyTypeEnum::Boolean,
            ("aws:TagKeys", _) => ContextKeyTypeEnum::StringList,
            _ => ContextKeyTypeEnum::String,
        };
        let entry = ContextEntry::builder().context_key_name(key).context_key_type(kind);
        entry.set_context_key_values(Some(values.to_vec())).build()
    };
    let name = principal.rsplit('/').next().unwrap_or_default();
    let kind = if principal.contains(":role/") { "AssumedRole" } else { "User" };
    let own =
        [("aws:username", name), ("aws:PrincipalArn", principal), ("aws:PrincipalType", kind)];
    let own = own.map(|(key, value)| entry(key, &[value.to_owned()]));
    question.context.iter().map(|(key, values)| entry(key, values)).chain(own).collect()
}

/// An answer for each resource that was asked about. Without answers of their own they share the action's: its
/// `EvalResourceName` is no ARN that was asked, but a template such as `arn:${Partition}:s3:::${BucketName}`
/// (EvaluationResult in IAM's API reference).
fn read(result: &EvaluationResult, asked: &[String]) -> Vec<((String, String), Answer)> {
    let forbidden = result
        .organizations_decision_detail()
        .is_some_and(|detail| !detail.allowed_by_organizations());
    let bounded = |detail: Option<&aws_sdk_iam::types::PermissionsBoundaryDecisionDetail>| {
        detail.is_some_and(|detail| !detail.allowed_by_permissions_boundary())
    };
    let action = result.eval_action_name();
    let key = |arn: &str| (action.to_owned(), arn.to_owned());
    let specific = result.resource_specific_results();
    if specific.is_empty() {
        let beyond = (forbidden, bounded(result.permissions_boundary_decision_detail()));
        let missing = !result.missing_context_values().is_empty();
        let answer = judged(result.eval_decision(), missing, beyond);
        return asked.iter().map(|arn| (key(arn), answer)).collect();
    }
    let each = |of: &aws_sdk_iam::types::ResourceSpecificResult| {
        let beyond = (forbidden, bounded(of.permissions_boundary_decision_detail()));
        let missing = !of.missing_context_values().is_empty();
        (key(of.eval_resource_name()), judged(of.eval_resource_decision(), missing, beyond))
    };
    specific.iter().map(each).collect()
}

fn judged(
    decision: &PolicyEvaluationDecisionType,
    missing: bool,
    (forbidden, bounded): (bool, bool),
) -> Answer {
    match decision {
        PolicyEvaluationDecisionType::Allowed => Answer::Allowed,
        _ if missing => Answer::Unclear,
        _ if forbidden => Answer::Forbidden,
        PolicyEvaluationDecisionType::ExplicitDeny => Answer::Denied,
        _ if bounded => Answer::Bounded,
        _ => Answer::Lacking,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PolicyEvaluationDecisionType::{Allowed, ExplicitDeny, ImplicitDeny};

    #[test]
    fn what_iam_does_not_take_together_is_asked_as_it_says() {
        let actions = ["s3:A", "s3:B", "s3:C"];
        let message = "Invalid Input Actions: [s3:A,s3:C] and [s3:B] require different \
                       authorization information.";
        assert_eq!(groups(message, &actions), [vec!["s3:A", "s3:C"], vec!["s3:B"]]);
        let each = [vec!["s3:A"], vec!["s3:B"], vec!["s3:C"]];
        for message in ["", "[s3:A] and [s3:B] differ", "something [else]", "[s3:A,s3:B,s3:C]"] {
            assert_eq!(groups(message, &actions), each, "{message}");
        }
    }

    #[test]
    fn a_denial_says_whose_it_is() {
        assert_eq!(judged(&Allowed, true, (true, true)), Answer::Allowed);
        assert_eq!(judged(&ImplicitDeny, true, (false, true)), Answer::Unclear);
        assert_eq!(judged(&ExplicitDeny, false, (true, false)), Answer::Forbidden);
        assert_eq!(judged(&ExplicitDeny, false, (false, true)), Answer::Denied);
        assert_eq!(judged(&ImplicitDeny, false, (false, true)), Answer::Bounded);
        assert_eq!(judged(&ImplicitDeny, false, (false, false)), Answer::Lacking);
    }
}
