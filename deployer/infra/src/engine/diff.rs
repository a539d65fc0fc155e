//! The one difference for all kinds: two documents compared path by path.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// One property that is not as wanted. Values are as serialised: secrets are hashes already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// As one would write it: `environment.GIT_SHA`, `routes["GET /health"].function`.
    pub path: String,
    /// What is there; nothing where the property is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What is wanted; nothing where the property must go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What must change for `live` to become `wanted`, in alphabetical order.
///
/// Objects are compared key by key; everything else, lists included, as a whole: half a policy
/// statement helps nobody. Nothing, `null`, an empty list and an empty object are the same.
pub fn diff(live: &Value, wanted: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(String::new(), Some(live), Some(wanted), &mut changes);
    changes
}

fn compare(path: String, live: Option<&Value>, wanted: Option<&Value>, changes: &mut Vec<Change>) {
    let live = live.filter(|value| !is_nothing(value));
    let wanted = wanted.filter(|value| !is_nothing(value));
    if live == wanted {
        return;
    }
    let nothing = serde_json::Map::new();
    let (left, right) = match (live, wanted) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => (left, right),
        (Some(Value::Object(left)), None) => (left, &nothing),
        (None, Some(Value::Object(right))) => (&nothing, right),
        _ => {
            changes.push(Change { path, from: live.cloned(), to: wanted.cloned() });
            return;
        }
    };
    for key in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
        compare(join(&path, key), left.get(key), right.get(key), changes);
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn join(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match (path.is_empty(), !key.is_empty() && key.chars().all(plain)) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}
