//! What the statements of a policy grant, as far as two policies can be compared without IAM.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What needs nobody's leave.
#[derive(Clone, Debug)]
pub struct Usual {
    name: String,
    path: String,
    account: String,
    region: String,
}

impl Usual {
    pub fn of(target: &BTreeMap<String, String>) -> Self {
        let part = |key: &str| target.get(key).cloned().unwrap_or_default();
        let (app, stage) = (part("app"), part("stage"));
        Self {
            name: format!("{app}-{stage}"),
            path: format!("/{app}/{stage}/"),
            account: part("account"),
            region: part("region"),
        }
    }

    /// A role of this stage, which the plan tells of too.
    pub fn is_role(&self, arn: Option<&Value>) -> bool {
        is(arn, |arn| arn.contains(&format!(":iam::{}:role{}", self.account, self.path)))
    }

    pub fn is_api_gateway(&self, service: Option<&Value>) -> bool {
        is(service, |service| service == "apigateway.amazonaws.com")
    }

    /// An API of this account and region, by its id.
    pub fn is_own_api(&self, arn: Option<&Value>) -> bool {
        let own = format!(":execute-api:{}:{}:", self.region, self.account);
        is(arn, |arn| {
            let api = arn.split_once(&own).map(|(_, api)| api);
            arn.starts_with("(from ") || api.is_some_and(|api| !api.starts_with('*'))
        })
    }

    /// Lambda runs it, and it writes its log and sends its traces.
    fn has(&self, action: &str, resource: &str, principal: &Value) -> bool {
        let log = format!(":log-group:/aws/lambda/{}-", self.name);
        let lambda = json!({ "Service": "lambda.amazonaws.com" });
        let writes = ["logs:CreateLogStream", "logs:PutLogEvents"].contains(&action);
        let traces = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"].contains(&action);
        (principal.is_null() && (traces || writes && resource.contains(&log)))
            || (action == "sts:AssumeRole" && *principal == lambda)
    }
}

/// A value that is missing allows nothing.
fn is(value: Option<&Value>, test: impl Fn(&str) -> bool) -> bool {
    value.is_none_or(|value| value.as_str().is_some_and(test))
}

/// The statements of one policy, each in the one form that its meaning has.
pub struct Grants(Vec<Value>);

/// A statement without its id, and without what else makes no difference: the order of a list, one member instead of a
/// list of one, a number or a truth value instead of a text.
fn meaning(statement: &Value) -> Value {
    let mut meaning = plain(statement);
    let Some(fields) = meaning.as_object_mut() else { return meaning };
    fields.remove("Sid");
    fields.retain(|_, value| !value.is_null());
    // Of a resource's policy both are everybody ("AWS JSON policy elements: Principal").
    if fields.get("Principal") == Some(&json!({ "AWS": "*" })) {
        fields.insert("Principal".to_owned(), json!("*"));
    }
    meaning
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(plain).collect();
            list.sort_by_key(Value::to_string);
            list.dedup();
            if list.len() == 1 { list.remove(0) } else { Value::Array(list) }
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
        }
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Null | Value::String(_) => value.clone(),
    }
}

impl Grants {
    pub fn of(statements: Option<&Value>) -> Self {
        Self(statements.and_then(Value::as_array).into_iter().flatten().map(meaning).collect())
    }

    /// What these allow and the others don't, in words. Where that can't be told, it counts as more.
    pub fn beyond(&self, before: &Self, usual: &Usual) -> Option<String> {
        let mut more: Vec<String> = vec![];
        for statement in self.0.iter().filter(|s| s["Effect"] == "Allow") {
            if before.0.contains(statement) {
                continue;
            }
            for action in list(&statement["Action"]) {
                for resource in list(&statement["Resource"]) {
                    let covered = usual.has(&action, &resource, &statement["Principal"])
                        || before.state(&action, &resource, statement);
                    let (on, to) = (shown(" on ", &resource), &statement["Principal"]);
                    let to = if to.is_null() { String::new() } else { format!(" by {to}") };
                    more.extend((!covered).then(|| format!("{action}{on}{to}")));
                }
            }
        }
        let still = |statement: &Value| {
            list(&statement["Action"]).iter().all(|action| {
                let resources = list(&statement["Resource"]);
                resources.iter().all(|resource| self.state(action, resource, statement))
            })
        };
        let gone = before.0.iter().filter(|s| s["Effect"] == "Deny" && !self.0.contains(s));
        let gone = gone.filter(|statement| !still(statement));
        more.extend(gone.map(|s| format!("{}, no longer denied", list(&s["Action"]).join(", "))));
        (!more.is_empty()).then(|| more.join("; "))
    }

    /// Whether these allow it as a statement does, or deny it.
    fn state(&self, action: &str, resource: &str, wanted: &Value) -> bool {
        self.0.iter().filter(|s| s["Effect"] == wanted["Effect"]).any(|statement| {
            let narrow = &statement["Condition"];
            let names = |pattern: &String| covers(&pattern.to_lowercase(), &action.to_lowercase());
            ["Principal", "NotPrincipal"].iter().all(|who| statement[who] == wanted[who])
                && (narrow.is_null() || *narrow == wanted["Condition"])
                && statement.get("NotAction").is_none()
                && statement.get("NotResource").is_none()
                && list(&statement["Action"]).iter().any(names)
                && list(&statement["Resource"]).iter().any(|pattern| covers(pattern, resource))
        })
    }
}

/// One or many. What isn't stated, as the actions beside NotAction, is anything.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => vec!["*".to_owned()],
    }
}

fn shown(before: &str, resource: &str) -> String {
    if resource == "*" { String::new() } else { format!("{before}{resource}") }
}

/// Whether a pattern with `*` matches all that another does.
fn covers(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    rest.is_empty() || (0..=text.len()).any(|at| text.get(at..).is_some_and(|t| covers(rest, t)))
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_pattern_covers_what_it_matches_and_narrower_patterns() {
        for (pattern, text) in
            [("*", "s3:*"), ("s3:*", "s3:Get*"), ("a*c*e", "abcde"), ("é*", "éa"), ("a", "a")]
        {
            assert!(covers(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("s3:Get*", "s3:*"), ("a", "*"), ("a*c", "ab"), ("*b", "é")] {
            assert!(!covers(pattern, text), "{pattern} {text}");
        }
    }
}
