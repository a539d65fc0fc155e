//! The one difference, and what never shows in it.

use crate::engine::{Secret, Value, diff};
use serde_json::json;

/// Live, wanted, and the changes as `path: from -> to`.
#[test]
fn every_property_that_differs_is_named_and_no_other() {
    for (live, wanted, expected) in [
        // Equal, and equally nothing.
        (json!({"a": 1, "b": "x"}), json!({"b": "x", "a": 1}), vec![]),
        (json!({"a": null}), json!({}), vec![]),
        (json!({}), json!({"a": [], "b": {}, "c": null}), vec![]),
        (json!({"a": {"b": {"c": []}}}), json!({}), vec![]),
        (json!(null), json!({}), vec![]),
        // Not nothing.
        (json!({"a": 0}), json!({}), vec!["a: 0 -> "]),
        (json!({"a": false}), json!({}), vec!["a: false -> "]),
        (json!({"a": ""}), json!({}), vec!["a: \"\" -> "]),
        (json!({"a": [null]}), json!({}), vec!["a: [null] -> "]),
        // There, gone, new.
        (json!({"a": 1}), json!({"a": 2}), vec!["a: 1 -> 2"]),
        (json!({"a": 1}), json!({"a": "1"}), vec!["a: 1 -> \"1\""]),
        (json!({"a": 1.0}), json!({"a": 1.5}), vec!["a: 1.0 -> 1.5"]),
        (json!({"a": null}), json!({"a": 2}), vec!["a:  -> 2"]),
        (json!({"a": 1}), json!({"b": 2}), vec!["a: 1 -> ", "b:  -> 2"]),
        (json!({"a": {"b": 1}}), json!({"a": 1}), vec!["a: {\"b\":1} -> 1"]),
        // A missing object is compared property by property, as if it were empty.
        (json!(null), json!({"a": {"b": 1, "c": []}}), vec!["a.b:  -> 1"]),
        (json!({"a": {"b": 1, "c": 2}}), json!({}), vec!["a.b: 1 -> ", "a.c: 2 -> "]),
        // Lists are compared and shown whole.
        (json!({"a": [1, 2]}), json!({"a": [2, 1]}), vec!["a: [1,2] -> [2,1]"]),
        (json!({"a": [{"b": 1}]}), json!({"a": [{"b": 2}]}), vec!["a: [{\"b\":1}] -> [{\"b\":2}]"]),
        (json!({"a": [1]}), json!({"a": []}), vec!["a: [1] -> "]),
        // Paths, and the keys that need quotes.
        (json!({"a": {"b_c": {"D-1": 1}}}), json!({}), vec!["a.b_c.D-1: 1 -> "]),
        (json!({"a": {"GET /x": {"b": 1}}}), json!({}), vec!["a[\"GET /x\"].b: 1 -> "]),
        (json!({"a.b": 1}), json!({}), vec!["[\"a.b\"]: 1 -> "]),
        (json!({"a": {"": 1, "q\"": 2}}), json!({}), vec!["a[\"\"]: 1 -> ", "a[\"q\\\"\"]: 2 -> "]),
        (json!(1), json!(2), vec![": 1 -> 2"]),
    ] {
        let show =
            |value: Option<serde_json::Value>| value.map_or(String::new(), |v| v.to_string());
        let mut changes: Vec<String> = diff(&live, &wanted)
            .into_iter()
            .map(|change| format!("{}: {} -> {}", change.path, show(change.from), show(change.to)))
            .collect();
        assert!(changes.is_sorted(), "{live} to {wanted}: {changes:?}");
        changes.sort();
        assert_eq!(changes, expected, "{live} to {wanted}");
    }
}

#[test]
fn secrets_are_compared_and_never_shown() {
    const VALUE: &str = "correct horse battery staple";
    let secret = Secret::new(VALUE);
    let json = serde_json::to_string(&Value::Known(secret.clone())).unwrap();
    for text in [format!("{secret}"), format!("{secret:?}"), format!("{secret:#?}"), json] {
        assert!(!VALUE.split(' ').any(|word| text.contains(word)), "{text}");
        assert!(text.contains("(secret c4bbcb1f)"), "{text}");
    }
    assert_eq!(secret.reveal(), VALUE);
    let value = |secret: &str| json!({ "value": Secret::new(secret) });
    assert_eq!(diff(&value("one"), &value("one")), []);
    let [change] = diff(&value("one"), &value("two")).try_into().expect("one change");
    let shown = serde_json::to_string(&change).unwrap();
    assert!(!shown.contains("one") && !shown.contains("two"), "{shown}");
}

#[test]
fn what_is_not_known_says_where_it_will_come_from() {
    let unknown: Value<String> = Value::From("wall a".to_owned());
    assert_eq!(serde_json::to_value(&unknown).unwrap(), json!("(from wall a)"));
    assert_eq!(unknown.clone().map(|id| format!("{id}/*")), unknown);
    assert_eq!(unknown.known(), None);
    assert_eq!(unknown.get().unwrap_err().to_string(), "wall a has not been made yet");
    assert_eq!(Value::from(1).map(|one| one + 1).get().unwrap(), &2);
}
