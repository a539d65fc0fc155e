//! Lists that tell what was.

use super::{Fault, Verdict};
use crate::world::{Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// `STALE(list)`: lists tell what was so long ago: what was made since is missing, what was deleted
/// since is still there.
pub struct StaleLists {
    pub by: Duration,
    born: BTreeMap<String, Duration>,
    died: BTreeMap<String, Duration>,
    /// By operation and id: as lists have told of it.
    known: BTreeMap<(String, String), Value>,
}

/// What a list calls its items, and their ids.
fn list(op: &str) -> Option<(&'static str, &'static str)> {
    Some(match op {
        "apigateway:GetRestApis" | "apigateway:GetApiKeys" | "apigateway:GetUsagePlans" => {
            ("item", "id")
        }
        "lambda:ListFunctions" => ("Functions", "FunctionName"),
        _ => return None,
    })
}

impl StaleLists {
    pub fn by(by: Duration) -> Self {
        let (born, died, known) = Default::default();
        Self { by, born, died, known }
    }
}

impl Fault for StaleLists {
    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        let last = || request.path.trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
        match request.name.as_str() {
            "apigateway:CreateRestApi"
            | "apigateway:CreateApiKey"
            | "apigateway:CreateUsagePlan"
                if answer.is_ok() =>
            {
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                self.born.insert(id, now);
            }
            "lambda:CreateFunction" if answer.is_ok() => {
                self.born.insert(request.field("FunctionName").unwrap(), now);
            }
            "apigateway:DeleteRestApi"
            | "apigateway:DeleteApiKey"
            | "apigateway:DeleteUsagePlan"
            | "lambda:DeleteFunction"
                if answer.is_ok() =>
            {
                self.died.insert(last(), now);
            }
            op => {
                let Some((items, id)) = list(op).filter(|_| answer.is_ok()) else {
                    return Verdict::Pass;
                };
                self.rewrite(op, items, id, answer, now);
            }
        }
        Verdict::Pass
    }
}

impl StaleLists {
    fn rewrite(&mut self, op: &str, items: &str, id: &str, answer: &mut Response, now: Duration) {
        let mut body = answer.json();
        let there = body[items].as_array().cloned().unwrap_or_default();
        let name = |item: &Value| item[id].as_str().unwrap().to_owned();
        for item in &there {
            self.known.insert((op.to_owned(), name(item)), item.clone());
        }
        let late = |since: Option<&Duration>| since.is_some_and(|at| now < *at + self.by);
        let mut told: Vec<Value> =
            there.into_iter().filter(|item| !late(self.born.get(&name(item)))).collect();
        for ((list, id), item) in &self.known {
            let seen = told.iter().any(|told| name(told) == *id);
            if list == op && late(self.died.get(id)) && !late(self.born.get(id)) && !seen {
                told.push(item.clone());
            }
        }
        body[items] = json!(told);
        answer.set_json(&body);
    }
}
