//! Lambda's moods.

use super::{Fault, Verdict};
use crate::world::{Request, Response, refuse};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// `PROP`: a role that Lambda can't assume before it is so old.
pub struct Propagation {
    pub takes: Duration,
    pub born: BTreeMap<String, Duration>,
    pub refused: Arc<AtomicUsize>,
}

impl Propagation {
    pub fn of(takes: Duration) -> Self {
        Self { takes, born: BTreeMap::new(), refused: Arc::default() }
    }
}

impl Fault for Propagation {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let functions = ["lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"];
        if !functions.contains(&request.name.as_str()) {
            return Verdict::Pass;
        }
        let role = request.field("Role").unwrap_or_default();
        let role = role.rsplit('/').next().unwrap_or_default();
        if self.born.get(role).is_some_and(|born| now < *born + self.takes) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            let text = "The role defined for the function cannot be assumed by Lambda.";
            return Verdict::Answer(refuse("lambda", 400, "InvalidParameterValueException", text));
        }
        Verdict::Pass
    }

    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        if request.name == "iam:CreateRole" && answer.is_ok() {
            let name = request.body.split('&').find_map(|pair| pair.strip_prefix("RoleName="));
            self.born.insert(name.unwrap_or_default().to_owned(), now);
        }
        Verdict::Pass
    }
}

/// `BUSY`: for so long after a change, a function is at it, and takes no other.
pub struct Busy {
    pub takes: Duration,
    pub until: BTreeMap<String, (Duration, bool)>,
}

impl Busy {
    pub fn of(takes: Duration) -> Self {
        Self { takes, until: BTreeMap::new() }
    }

    fn function(request: &Request) -> String {
        let named = request.path.split('/').nth(3).unwrap_or_default();
        match named.is_empty() {
            true => request.field("FunctionName").unwrap_or_default(),
            false => named.to_owned(),
        }
    }

    fn changes(request: &Request) -> bool {
        let changes = [
            "lambda:CreateFunction",
            "lambda:UpdateFunctionConfiguration",
            "lambda:UpdateFunctionCode",
        ];
        changes.contains(&request.name.as_str())
    }
}

impl Fault for Busy {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let name = Self::function(request);
        let busy = self.until.get(&name).is_some_and(|(until, _)| now < *until);
        let refuses = Self::changes(request)
            || ["lambda:PublishVersion", "lambda:DeleteFunction"].contains(&request.name.as_str());
        if busy && refuses {
            let text = format!(
                "The operation cannot be performed at this time. An update is in progress for \
                 resource: {name}"
            );
            return Verdict::Answer(refuse("lambda", 409, "ResourceConflictException", &text));
        }
        Verdict::Pass
    }

    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        if !request.name.starts_with("lambda:") || !answer.is_ok() {
            return Verdict::Pass;
        }
        let name = Self::function(request);
        if Self::changes(request) {
            let new = request.name == "lambda:CreateFunction";
            self.until.insert(name.clone(), (now + self.takes, new));
        }
        let until = self.until.get(&name).copied();
        if let Some((until, new)) = until.filter(|_| request.name == "lambda:GetFunction")
            && now < until
        {
            let mut body = answer.json();
            let (field, value) =
                if new { ("State", "Pending") } else { ("LastUpdateStatus", "InProgress") };
            body["Configuration"][field] = json!(value);
            answer.set_json(&body);
        }
        Verdict::Pass
    }
}

/// `LOSTUPDATE`: the first statement of each function is taken, and gone.
#[derive(Default)]
pub struct LostStatements {
    seen: BTreeSet<String>,
    pub fired: Arc<AtomicUsize>,
}

impl Fault for LostStatements {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if request.name != "lambda:AddPermission" || !self.seen.insert(request.path.clone()) {
            return Verdict::Pass;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        let taken = json!({ "Statement": "{}" }).to_string().into_bytes();
        Verdict::Answer(Response { status: 201, headers: BTreeMap::new(), body: taken })
    }
}
