//! What a plan opens: changes after which somebody may do more than before. Pure over the plan, so that
//! nobody has to mark a property as dangerous where it is declared.
//!
//! Compared is what is live with what is wanted. While nothing serves yet, nothing is opened; and what
//! every function of the stage may do, write its own log when Lambda runs it, is no more than it needs. A rollback
//! changes which deployment of the API serves, and a plan doesn't tell what that one has open.

mod grants;

use crate::engine::{Action, Change, Plan, Step};
use grants::{Grants, Usual};
use serde::Serialize;
use serde_json::Value;

/// One change that opens something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Widening {
    /// Of the step: "role ops-api-dev-health".
    pub of: String,
    /// Of the property, as the plan has it.
    pub path: String,
    /// In words: "calls without a key".
    pub allows: String,
}

/// All of them, in the order of the plan.
pub fn widenings(plan: &Plan) -> Vec<Widening> {
    let makes = |step: &Step| step.kind == "stage" && step.action == Action::Create;
    if plan.steps.iter().any(makes) {
        return vec![];
    }
    let usual = Usual::of(&plan.target);
    let of_step = |step: &Step| {
        let (of, kind, made) = (step.title(), step.kind.clone(), step.action == Action::Create);
        let usual = usual.clone();
        step.changes.clone().into_iter().filter_map(move |change| {
            let allows = allows(&kind, made, &change, &usual)?;
            Some(Widening { of: of.clone(), path: change.path, allows })
        })
    };
    plan.steps.iter().flat_map(of_step).collect()
}

/// What a change allows that wasn't allowed before.
fn allows(kind: &str, made: bool, change: &Change, usual: &Usual) -> Option<String> {
    let Change { path, from, to } = change;
    let (from, to) = (from.as_ref(), to.as_ref());
    let turned_off = to != Some(&Value::Bool(true)) && (made || from == Some(&Value::Bool(true)));
    let text = match kind {
        "role" if path == "attached" => {
            let more = names(to).into_iter().filter(|name| !names(from).contains(name));
            let more: Vec<_> = more.collect();
            return (!more.is_empty()).then(|| more.join(", "));
        }
        "role" if path.ends_with("Statement") => {
            return Grants::of(to).beyond(&Grants::of(from), usual);
        }
        // Whoever it is handed to may do what that role may.
        "function" if path == "role" && !made && !usual.is_role(to) => "what another role may do",
        // What limits a function goes with what was attached to it.
        "function" if path == "vpc.subnets" && to.is_none() => "connections from outside the VPC",
        "function" if path == "kms_key" && to.is_none() => {
            "environment variables to be read without a right to this key"
        }
        "rest api" if path.ends_with("api_key_required") && to == Some(&Value::Bool(false)) => {
            "calls without a key"
        }
        "permission" if path.ends_with(".service") && !usual.is_api_gateway(to) => {
            "another service to call it"
        }
        "permission" if path.ends_with(".source_arn") && !usual.is_own_api(to) => {
            "another API to call it"
        }
        "permission" if to.is_some() && path.contains(".Principal") => "others to call it",
        "bucket" if path == "public_access_blocked" && turned_off => "public access",
        "bucket" if path == "policy.Statement" => {
            return Grants::of(to).beyond(&Grants::of(from), usual);
        }
        "api key" if path == "enabled" && !made && to == Some(&Value::Bool(true)) => {
            "calls with a key that was disabled"
        }
        "function" if path == "reserved_concurrency" && from.is_some_and(is_zero) => {
            "calls of a function that was turned off"
        }
        "usage plan" | "stage" if raises(path, from, to) => "more calls than this limit",
        "usage plan" | "stage" if is_limit(path) && unlimited(to) && !unlimited(from) => {
            "calls without this limit"
        }
        "usage plan" if made && is_limit(path) && unlimited(to) => "calls without this limit",
        _ => return None,
    };
    Some(text.to_owned())
}

fn names(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether it is a limit, a route's share too, that becomes a higher one.
fn raises(path: &str, from: Option<&Value>, to: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let rises = number(from).zip(number(to)).is_some_and(|(from, to)| to > from && from > 0.0);
    counts_calls(path) && rises
}

fn counts_calls(path: &str) -> bool {
    let last = path.rsplit('.').next();
    last.is_some_and(|last| ["rate", "burst", "quota"].contains(&last))
}

/// A route's share is none: without one, a key may call it as often as anything.
fn is_limit(path: &str) -> bool {
    !path.starts_with("routes[") && counts_calls(path)
}

/// Nothing, or zero, is no limit.
fn unlimited(limit: Option<&Value>) -> bool {
    limit.is_none_or(is_zero)
}

fn is_zero(number: &Value) -> bool {
    number.as_f64() == Some(0.0)
}

#[cfg(test)]
mod tests;
