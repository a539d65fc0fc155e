//! Names of things that were made, or deleted, a moment ago.

use super::{Fault, Verdict};
use crate::world::{Request, Response, refuse};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// `STALE`: what was made a moment ago, other requests don't find yet.
pub struct Young {
    pub takes: Duration,
    born: BTreeMap<String, Duration>,
    pub refused: Arc<AtomicUsize>,
}

impl Young {
    pub fn of(takes: Duration) -> Self {
        Self { takes, born: BTreeMap::new(), refused: Arc::default() }
    }

    /// The thing that a request makes (true) or is about (false).
    fn thing(request: &Request, answer: Option<&Response>) -> Option<(bool, String)> {
        let words: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let form = |name: &str| {
            request.body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))
        };
        let id = || answer.and_then(|answer| answer.json()["id"].as_str().map(ToOwned::to_owned));
        Some(match request.name.as_str() {
            "iam:CreateRole" => (true, form("RoleName")?.to_owned()),
            name if name.starts_with("iam:") => (false, form("RoleName")?.to_owned()),
            "logs:CreateLogGroup" => (true, request.field("logGroupName")?),
            "logs:PutRetentionPolicy" => (false, request.field("logGroupName")?),
            "s3:CreateBucket" => (true, words[0].to_owned()),
            name if name.starts_with("s3:") => (false, words[0].to_owned()),
            "lambda:CreateFunction" => (true, request.field("FunctionName")?),
            name if name.starts_with("lambda:") => (false, (*words.get(2)?).to_owned()),
            "apigateway:CreateRestApi" | "apigateway:CreateUsagePlan" => (true, id()?),
            name if name.starts_with("apigateway:") => (false, (*words.get(1)?).to_owned()),
            _ => return None,
        })
    }
}

impl Fault for Young {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let Some((false, name)) = Self::thing(request, None) else { return Verdict::Pass };
        if self.born.get(&name).is_none_or(|born| now >= *born + self.takes) {
            return Verdict::Pass;
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        let (status, code) = match (request.service.as_str(), request.name.as_str()) {
            ("s3", name) if name.starts_with("s3:Head") => (404, ""),
            ("s3", _) => (404, "NoSuchBucket"),
            ("iam", _) => (404, "NoSuchEntity"),
            ("logs", _) => (400, "ResourceNotFoundException"),
            ("lambda", _) => (404, "ResourceNotFoundException"),
            _ => (404, "NotFoundException"),
        };
        let mut answer = refuse(&request.service, status, code, "it cannot be found");
        if code.is_empty() {
            answer.body.clear();
        }
        Verdict::Answer(answer)
    }

    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        if answer.is_ok()
            && let Some((true, name)) = Self::thing(request, Some(answer))
        {
            self.born.insert(name, now);
        }
        Verdict::Pass
    }
}

/// `TOMB`: a name that was deleted isn't free for so long.
pub struct Tomb {
    pub takes: Duration,
    died: BTreeMap<String, Duration>,
    pub refused: Arc<AtomicUsize>,
}

impl Tomb {
    pub fn of(takes: Duration) -> Self {
        Self { takes, died: BTreeMap::new(), refused: Arc::default() }
    }

    /// The name that a request makes (true) or deletes (false), and how AWS refuses to make it.
    fn thing(request: &Request) -> Option<(bool, String, (u16, &'static str, &'static str))> {
        let form = |name: &str| {
            request.body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))
        };
        let words: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let role =
            (409, "EntityTemporarilyUnmodifiable", "try again after waiting several minutes");
        let group = (400, "OperationAbortedException", "A conflicting operation; try again");
        let bucket = (409, "OperationAborted", "A conflicting conditional operation");
        let parameter = (400, "ParameterAlreadyExists", "The parameter already exists.");
        let function = (409, "ResourceConflictException", "Function already exist: it");
        Some(match request.name.as_str() {
            "iam:CreateRole" => (true, form("RoleName")?.to_owned(), role),
            "iam:DeleteRole" => (false, form("RoleName")?.to_owned(), role),
            "logs:CreateLogGroup" => (true, request.field("logGroupName")?, group),
            "logs:DeleteLogGroup" => (false, request.field("logGroupName")?, group),
            "s3:CreateBucket" => (true, words[0].to_owned(), bucket),
            "s3:DeleteBucket" => (false, words[0].to_owned(), bucket),
            "ssm:PutParameter" => (true, request.field("Name")?, parameter),
            "ssm:DeleteParameter" => (false, request.field("Name")?, parameter),
            "lambda:CreateFunction" => (true, request.field("FunctionName")?, function),
            "lambda:DeleteFunction" => (false, (*words.get(2)?).to_owned(), function),
            _ => return None,
        })
    }
}

impl Fault for Tomb {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let Some((true, name, (status, code, text))) = Self::thing(request) else {
            return Verdict::Pass;
        };
        if self.died.get(&name).is_none_or(|died| now >= *died + self.takes) {
            return Verdict::Pass;
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Verdict::Answer(refuse(&request.service, status, code, text))
    }

    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        if answer.is_ok()
            && let Some((false, name, _)) = Self::thing(request)
        {
            self.died.insert(name, now);
        }
        Verdict::Pass
    }
}

/// `GHOST`: a log group that was deleted comes back, without tags: a function's once, because the function wrote a last
/// line; the access log's as long as API Gateway has lines for it.
#[derive(Default)]
pub struct Ghosts {
    seen: BTreeSet<String>,
    /// The access log's group of each API, and until when API Gateway writes there.
    logs: BTreeMap<String, (String, Duration)>,
    pub fired: Arc<AtomicUsize>,
}

/// How long lines are still written that API Gateway had buffered when a stage's access log was removed.
const BUFFERED: Duration = Duration::from_secs(5);

/// How long an API serves after it was deleted, and so writes its access log
/// (github.com/hashicorp/terraform/issues/32693).
const OUTLIVED: Duration = Duration::from_secs(90);

impl Ghosts {
    fn writes_until(&mut self, request: &Request, now: Duration) {
        let api = request.path.split('/').nth(2).unwrap_or_default();
        let log = self.logs.get_mut(api);
        match (request.name.as_str(), log) {
            ("apigateway:UpdateStage", log) => {
                let body: Value = serde_json::from_str(&request.body).unwrap();
                for patch in body["patchOperations"].as_array().unwrap() {
                    let (path, value) = (&patch["path"], patch["value"].as_str());
                    if path == "/accessLogSettings/destinationArn" {
                        let group = value.unwrap().rsplit(':').next().unwrap().to_owned();
                        self.logs.insert(api.to_owned(), (group, Duration::MAX));
                        return;
                    }
                    if path == "/accessLogSettings" {
                        log.unwrap().1 = now + BUFFERED;
                        return;
                    }
                }
            }
            ("apigateway:DeleteRestApi", Some((_, until))) => *until = (*until).min(now + OUTLIVED),
            _ => {}
        }
    }
}

impl Fault for Ghosts {
    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        if !answer.is_ok() {
            return Verdict::Pass;
        }
        self.writes_until(request, now);
        if request.name != "logs:DeleteLogGroup" {
            return Verdict::Pass;
        }
        let group = request.field("logGroupName").unwrap_or_default();
        let comes_back = if group.starts_with("/aws/lambda/") {
            self.seen.insert(group)
        } else {
            self.logs.values().any(|(log, until)| *log == group && now < *until)
        };
        if !comes_back {
            return Verdict::Pass;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        Verdict::Then(Box::new(request.again_as("Logs_20140328.CreateLogGroup")))
    }
}
