//! A plan, for people.

use super::screen::{BAD, BOLD, CHANGED, DIM, GOOD, count, paint};
use crate::engine::{Action, Change, Plan, Step};
use crate::quota::{self, Estimate};
use crate::resources::{renewal, scarce_calls, turns_off};
use crate::run::Run;
use crate::widening::{Widening, widenings};
use serde_json::Value;
use std::fmt::Write;

/// The plan as text: a line for each resource that is created or deleted, and every property that an update changes.
/// With `all`, every property of every resource, and the resources that stay as they are.
pub fn show(plan: &Plan, all: bool) -> String {
    let mut text = String::new();
    let widenings = widenings(plan);
    for step in &plan.steps {
        if step.action == Action::Keep && !all {
            continue;
        }
        let (sign, style) = match step.action {
            Action::Create => ("+", GOOD),
            Action::Update => ("~", CHANGED),
            Action::Delete => ("-", BAD),
            Action::Keep => ("=", DIM),
        };
        let word = word(step.action);
        let id = step.id.as_ref().filter(|id| *id != &step.name);
        let id = id.map(|id| paint(DIM, format!("  {id}"))).unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {} {}{id}  {}",
            paint(style, sign),
            step.kind,
            paint(BOLD, &step.name),
            paint(style, word),
        );
        let whole = all || step.action == Action::Update;
        changes(&mut text, step, &widenings, whole);
        if let Some(renewal) = renewal(step) {
            let _ = writeln!(text, "    {renewal}");
        }
        if turns_off(step) {
            let _ = writeln!(text, "    {} is turned off: no call of it is let in", step.title());
        }
    }
    text
}

/// "12 to create, 1 to update, 0 to delete; 3 unchanged".
pub fn summary(plan: &Plan) -> String {
    let parts: Vec<String> =
        [(Action::Create, GOOD), (Action::Update, CHANGED), (Action::Delete, BAD)]
            .into_iter()
            .map(|(action, style)| (plan.count(action), action, style))
            .filter(|(number, ..)| *number > 0)
            .map(|(number, action, style)| paint(style, format!("{number} {}", word(action))))
            .collect();
    match parts.is_empty() {
        true => format!("nothing to do; {} as wanted", count(plan.steps.len(), "resource")),
        false => format!("{}; {} unchanged", parts.join(", "), plan.count(Action::Keep)),
    }
}

/// How long AWS's quotas make a run of this plan wait; nothing where they don't.
pub fn time(aws: &Run, plan: &Plan) -> Option<String> {
    let Estimate { least, most } = estimate(aws, plan);
    let (least, most) = (quota::seconds(least), quota::seconds(most));
    let text = match (least, most) {
        (_, 0) => return None,
        (0, most) => format!("up to {most} s, if others have just used them up"),
        (least, most) if least == most => format!("{least} s"),
        (least, most) => format!("{least} s; {most} s, if others have just used them up"),
    };
    Some(paint(DIM, format!("AWS's quotas make this wait {text}")))
}

/// From the table that also paces the run. Nothing where there are no quotas.
pub fn estimate(aws: &Run, plan: &Plan) -> Estimate {
    let steps = plan.steps.iter().filter(|_| aws.is_paced());
    quota::estimate(steps.flat_map(scarce_calls).copied())
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "to create",
        Action::Update => "to update",
        Action::Delete => "to delete",
        Action::Keep => "unchanged",
    }
}

/// The properties of a step: all if `whole`, else those that widen what others may do.
fn changes(text: &mut String, step: &Step, widenings: &[Widening], whole: bool) {
    let widens = |path: &str| widenings.iter().find(|w| w.path == path && w.of == step.title());
    let shown = step.changes.iter().filter(|change| whole || widens(&change.path).is_some());
    let width = shown.clone().map(|change| change.path.chars().count()).max().unwrap_or(0);
    for Change { path: path_of, from, to } in shown {
        let path = format!("{path_of:<width$}", width = width.min(48));
        let _ = match (from, to) {
            (None, Some(to)) => writeln!(text, "    {path}  {}", value(to)),
            (Some(from), None) => {
                writeln!(text, "    {path}  {} → {}", value(from), paint(DIM, "(removed)"))
            }
            (Some(from), Some(to)) => {
                writeln!(text, "    {path}  {} → {}", paint(DIM, value(from)), value(to))
            }
            (None, None) => Ok(()),
        };
        if let Some(Widening { allows, .. }) = widens(path_of) {
            let _ = writeln!(text, "    {}", paint(BAD, format!("! widens: allows {allows}")));
        }
    }
}

/// Strings without quotes unless they need them; lists of one as their one.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.trim() != text => format!("{text:?}"),
        Value::String(text) => {
            text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
        }
        other => other.to_string(),
    }
}
