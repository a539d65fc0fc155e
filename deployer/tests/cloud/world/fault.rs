//! What can go wrong, one primitive each. What AWS does is taken from its documentation and from what
//! others have recorded of it; the words are AWS's.

use super::{Request, Response, refuse};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use deployer::engine::Stop;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
pub enum Verdict {
    Pass,
    /// Instead of being served, or instead of what it was answered.
    Answer(Response),
    /// The connection breaks: before it is served, or before its answer arrives.
    Cut,
    /// The run is killed here.
    Kill,
    /// The answer arrives, and the run is killed before it can ask anything else.
    Doom,
    /// Somebody else does this too.
    Then(Box<HttpRequest>),
}

/// Sees every request before it is served and every answer before it arrives. Times are since the
/// world began.
pub trait Fault: Send {
    /// Whether it only wants to see what all others have let pass.
    fn is_last(&self) -> bool {
        false
    }

    /// Changes what is asked for.
    fn rewrite(&self, _: &Request, _: &mut HttpRequest) {}

    fn before(&mut self, _: &Request, _: Duration) -> Verdict {
        Verdict::Pass
    }

    fn after(&mut self, _: &Request, _: &mut Response, _: Duration) -> Verdict {
        Verdict::Pass
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What happens to a single request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// `CRASH`, the answer not yet there.
    KillSent,
    /// `CRASH`, the answer just there.
    KillAnswered,
    /// `PRE`: it never reaches AWS.
    CutBefore,
    /// `LOST`: AWS does it, and nobody hears.
    LoseAnswer,
    /// `5XX`: AWS doesn't do it, and does not say whether it did.
    Unavailable,
    /// From here on the credentials are too old.
    Expire,
    /// Somebody presses Ctrl-C while it is under way.
    Interrupt,
}

/// Breaks the k-th request (from 1) of an operation.
pub struct At {
    op: String,
    left: usize,
    how: Break,
    stop: Stop,
    fired: Arc<AtomicUsize>,
    /// What is asked for afterwards.
    pub late: Arc<Mutex<Vec<String>>>,
}

impl At {
    pub fn new(op: &str, k: usize, how: Break, stop: &Stop, fired: &Arc<AtomicUsize>) -> Self {
        let (stop, fired, late) = (stop.clone(), fired.clone(), Arc::default());
        Self { op: op.to_owned(), left: k, how, stop, fired, late }
    }

    fn fire(&self, verdict: Verdict) -> Verdict {
        self.fired.fetch_add(1, Ordering::SeqCst);
        verdict
    }
}

impl Fault for At {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if self.left == 0 {
            self.late.lock().unwrap().push(format!("{} {}", request.name, request.path));
            if self.how == Break::Expire && request.service != "execute-api" {
                return Verdict::Answer(expired(request));
            }
        }
        if request.name != self.op || self.left == 0 {
            return Verdict::Pass;
        }
        self.left -= 1;
        match self.how {
            _ if self.left > 0 => Verdict::Pass,
            Break::CutBefore => self.fire(Verdict::Cut),
            Break::Expire => self.fire(Verdict::Answer(expired(request))),
            Break::Interrupt => {
                self.stop.ask();
                self.fire(Verdict::Pass)
            }
            Break::Unavailable => {
                let (code, text) = ("ServiceUnavailableException", "Please try again later.");
                self.fire(Verdict::Answer(refuse(&request.service, 503, code, text)))
            }
            _ => {
                self.op = format!("{} being served", self.op);
                Verdict::Pass
            }
        }
    }

    fn after(&mut self, request: &Request, _: &mut Response, _: Duration) -> Verdict {
        if self.op != format!("{} being served", request.name) {
            return Verdict::Pass;
        }
        self.op.clear();
        self.fire(match self.how {
            Break::KillSent => Verdict::Kill,
            Break::KillAnswered => Verdict::Doom,
            _ => Verdict::Cut,
        })
    }
}

fn expired(request: &Request) -> Response {
    let text = "The security token included in the request is expired";
    refuse(&request.service, 403, "ExpiredTokenException", text)
}

/// Every request of some kind is broken once.
pub struct EachOnce {
    pub how: Break,
    pub which: fn(&Request) -> bool,
    pub fired: Arc<AtomicUsize>,
    pub seen: BTreeSet<String>,
}

impl EachOnce {
    fn first(&mut self, request: &Request) -> bool {
        let key = format!("{} {} {} {}", request.name, request.path, request.query, request.body);
        (self.which)(request) && self.seen.insert(key)
    }
}

impl Fault for EachOnce {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if self.how == Break::LoseAnswer || !self.first(request) {
            return Verdict::Pass;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        match self.how {
            Break::Unavailable => {
                let text = "Please try again later.";
                Verdict::Answer(refuse(&request.service, 503, "ServiceUnavailable", text))
            }
            _ => Verdict::Cut,
        }
    }

    fn after(&mut self, request: &Request, _: &mut Response, _: Duration) -> Verdict {
        if self.how != Break::LoseAnswer || !self.first(request) {
            return Verdict::Pass;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        Verdict::Cut
    }
}

/// `THROTTLE`: the documented quotas of API Gateway, and Lambda's fifteen a second, each a bucket
/// that fills with time, for everybody together.
#[derive(Default)]
pub struct Throttle {
    /// Tokens, and when that was.
    pub buckets: BTreeMap<&'static str, (f64, Duration)>,
    /// Whether AWS says how long to wait.
    pub says_when: bool,
    pub refused: Arc<AtomicUsize>,
}

/// Operation, one each so many milliseconds, and so many at once.
const QUOTAS: [(&str, u32, f64); 11] = [
    ("apigateway:CreateRestApi", 3_000, 1.0),
    ("apigateway:PutRestApi", 1_000, 1.0),
    ("apigateway:DeleteRestApi", 30_000, 1.0),
    ("apigateway:CreateDeployment", 5_000, 1.0),
    ("apigateway:UpdateUsagePlan", 20_000, 1.0),
    ("apigateway:GetResources", 400, 5.0),
    ("apigateway:CreateApiKey", 200, 5.0),
    ("apigateway:DeleteApiKey", 200, 5.0),
    ("apigateway:", 100, 40.0),
    ("lambda:", 67, 15.0),
    ("ssm:PutParameter", 334, 3.0),
];

impl Fault for Throttle {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let apart = ["lambda:GetFunction", "lambda:GetPolicy", "lambda:InvokeFunction"];
        let apart = apart.contains(&request.name.as_str());
        let rows = QUOTAS.iter().filter(|(op, ..)| !apart && request.name.starts_with(op));
        for (op, millis, burst) in rows {
            let (tokens, at) = self.buckets.entry(*op).or_insert((*burst, now));
            let filled = *tokens + (now - *at).as_secs_f64() * 1_000.0 / f64::from(*millis);
            (*tokens, *at) = (filled.min(*burst), now);
            if *tokens < 0.999 {
                self.refused.fetch_add(1, Ordering::SeqCst);
                let service = &request.service;
                let mut refused = match service.as_str() {
                    "ssm" => refuse(service, 400, "ThrottlingException", "Rate exceeded"),
                    _ => refuse(service, 429, "TooManyRequestsException", "Too Many Requests"),
                };
                if self.says_when {
                    let wait = (1.0 - *tokens) * f64::from(*millis) / 1_000.0;
                    refused.headers.insert("retry-after".to_owned(), wait.ceil().to_string());
                }
                return Verdict::Answer(refused);
            }
            *tokens -= 1.0;
        }
        Verdict::Pass
    }
}

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
    pub refused: Arc<AtomicUsize>,
}

impl Busy {
    pub fn of(takes: Duration) -> Self {
        Self { takes, until: BTreeMap::new(), refused: Arc::default() }
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
            self.refused.fetch_add(1, Ordering::SeqCst);
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

/// `CONC`: two changes of one thing at a time, of which AWS refuses the second.
#[derive(Default)]
pub struct Serial {
    at_work: BTreeSet<String>,
    pub refused: Arc<AtomicUsize>,
}

impl Serial {
    /// The REST API, the bucket, or the function's policy that a request changes.
    fn thing(request: &Request) -> Option<String> {
        let words: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match request.service.as_str() {
            _ if !request.is_write() => None,
            "apigateway" if words[0] == "restapis" => words.get(1).map(|id| format!("API {id}")),
            "s3" if words.len() == 1 => Some(format!("bucket {}", words[0])),
            "lambda" if words.last() == Some(&"policy") => Some(format!("policy {}", words[2])),
            "ssm" => request.field("Name").map(|name| format!("parameter {name}")),
            _ => None,
        }
    }
}

impl Fault for Serial {
    fn is_last(&self) -> bool {
        true
    }

    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        let Some(thing) = Self::thing(request) else { return Verdict::Pass };
        if self.at_work.insert(thing) {
            return Verdict::Pass;
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        let again =
            "Unable to complete operation due to concurrent modification. Please try again later.";
        Verdict::Answer(match request.service.as_str() {
            "s3" => refuse("s3", 409, "OperationAborted", "A conflicting conditional operation"),
            "ssm" => refuse("ssm", 400, "TooManyUpdates", ""),
            service => refuse(service, 409, "ConflictException", again),
        })
    }

    fn after(&mut self, request: &Request, _: &mut Response, _: Duration) -> Verdict {
        Self::thing(request).map(|thing| self.at_work.remove(&thing));
        Verdict::Pass
    }
}

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

/// `LOSTUPDATE`: the first statement of each function is taken, and gone.
#[derive(Default)]
pub struct LostStatements(pub BTreeSet<String>);

impl Fault for LostStatements {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if request.name != "lambda:AddPermission" || !self.0.insert(request.path.clone()) {
            return Verdict::Pass;
        }
        let taken = json!({ "Statement": "{}" }).to_string().into_bytes();
        Verdict::Answer(Response { status: 201, headers: BTreeMap::new(), body: taken })
    }
}

/// `QUOTA`: an operation, the beginning of several, or every one, ends like this.
pub struct Always {
    pub ops: &'static str,
    pub status: u16,
    pub code: &'static str,
    /// `{body}` is what was sent.
    pub message: &'static str,
    /// How many go well first.
    pub after: usize,
}

impl Fault for Always {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if !request.name.starts_with(self.ops) || request.service == "execute-api" {
            return Verdict::Pass;
        }
        if self.after > 0 {
            self.after -= 1;
            return Verdict::Pass;
        }
        let text = self.message.replace("{body}", &request.body);
        Verdict::Answer(refuse(&request.service, self.status, self.code, &text))
    }
}

/// `GHOST`: a log group that was deleted comes back, without tags, because its function wrote a last
/// line.
#[derive(Default)]
pub struct Ghosts(pub BTreeSet<String>);

impl Fault for Ghosts {
    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        let group = request.field("logGroupName").unwrap_or_default();
        let deleted = request.name == "logs:DeleteLogGroup" && answer.is_ok();
        if !deleted || !group.starts_with("/aws/lambda/") || !self.0.insert(group) {
            return Verdict::Pass;
        }
        Verdict::Then(Box::new(request.again_as("Logs_20140328.CreateLogGroup")))
    }
}

/// Lists of one item a page.
#[derive(Default)]
pub struct PagesOfOne {
    /// By operation, path and query: what is still to be told.
    rest: BTreeMap<String, Vec<Value>>,
    pub pages: Arc<AtomicUsize>,
}

/// By operation: what the items are called, the next page's token, and how a request sends it back.
fn paging(op: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match op {
        "apigateway:GetRestApis"
        | "apigateway:GetApiKeys"
        | "apigateway:GetUsagePlans"
        | "apigateway:GetUsagePlanKeys"
        | "apigateway:GetDeployments"
        | "apigateway:GetResources" => ("item", "position", "position="),
        "lambda:ListFunctions" => ("Functions", "NextMarker", "Marker="),
        "ssm:GetParametersByPath" => ("Parameters", "NextToken", "\"NextToken\":\""),
        "logs:DescribeLogGroups" => ("logGroups", "nextToken", "\"nextToken\":\""),
        _ => return None,
    })
}

impl Fault for PagesOfOne {
    /// The local cloud can do this by itself.
    fn rewrite(&self, request: &Request, sent: &mut HttpRequest) {
        if request.name == "s3:ListObjectVersions" {
            let uri = format!("{}&max-keys=1", sent.uri());
            sent.set_uri(uri).unwrap();
        }
    }

    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        let Some((items, token, sent)) = paging(&request.name) else { return Verdict::Pass };
        let asked = format!("{}?{}", request.query, request.body);
        let Some((_, page)) = asked.split_once(sent) else { return Verdict::Pass };
        let key: String = page.chars().take_while(char::is_ascii_alphanumeric).collect();
        let rest = self.rest.remove(&key).unwrap_or_else(|| panic!("{asked} asks for no page"));
        let mut body = json!({});
        self.page(&mut body, items, token, rest);
        let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
        let mut answer = Response { status: 200, headers, body: vec![] };
        answer.set_json(&body);
        Verdict::Answer(answer)
    }

    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        if let Some((items, token, _)) = paging(&request.name).filter(|_| answer.is_ok()) {
            let mut body = answer.json();
            let all = body[items].as_array().cloned().unwrap_or_default();
            self.page(&mut body, items, token, all);
            answer.set_json(&body);
        }
        Verdict::Pass
    }
}

impl PagesOfOne {
    /// The first page is empty, as SSM's may be; each of the others has one item.
    fn page(&mut self, body: &mut Value, items: &str, token: &str, mut rest: Vec<Value>) {
        let number = self.pages.fetch_add(1, Ordering::SeqCst);
        let empty = body.get(items).is_some() && !rest.is_empty();
        let now: Vec<Value> = rest.drain(..usize::from(!empty && !rest.is_empty())).collect();
        body[items] = json!(now);
        if !rest.is_empty() {
            let key = format!("page{number}");
            body[token] = json!(key);
            self.rest.insert(key, rest);
        }
    }
}

/// The same for IAM, which speaks XML.
#[derive(Default)]
pub struct XmlPagesOfOne {
    /// By marker: the answer around its items, and those that are still to be told.
    rest: BTreeMap<String, (String, Vec<String>)>,
    pub pages: Arc<AtomicUsize>,
}

impl XmlPagesOfOne {
    fn page(&mut self, around: String, mut rest: Vec<String>) -> String {
        let number = self.pages.fetch_add(1, Ordering::SeqCst);
        let now: String = rest.drain(..usize::from(!rest.is_empty())).collect();
        if rest.is_empty() {
            return around.replace("{items}", &now);
        }
        let marker = format!("page{number}");
        let more = format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>");
        let page = around.replace("{items}", &now);
        let page = page.replace("<IsTruncated>false</IsTruncated>", &more);
        self.rest.insert(marker, (around, rest));
        page
    }
}

impl Fault for XmlPagesOfOne {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        let asked = request.body.split('&').find_map(|pair| pair.strip_prefix("Marker="));
        let Some((around, rest)) = asked.and_then(|marker| self.rest.remove(marker)) else {
            return Verdict::Pass;
        };
        let body = self.page(around, rest).into_bytes();
        Verdict::Answer(Response { status: 200, headers: BTreeMap::new(), body })
    }

    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        let list = match request.name.as_str() {
            "iam:ListRoles" => "Roles",
            "iam:ListRolePolicies" => "PolicyNames",
            "iam:ListAttachedRolePolicies" => "AttachedPolicies",
            _ => return Verdict::Pass,
        };
        let text = String::from_utf8(std::mem::take(&mut answer.body)).unwrap();
        let (open, close) = (format!("<{list}>"), format!("</{list}>"));
        let parts = text.split_once(&open).and_then(|(before, rest)| {
            rest.split_once(&close).map(|(items, after)| (before, items, after))
        });
        let Some((before, items, after)) = parts.filter(|_| answer.is_ok()) else {
            answer.body = text.into_bytes();
            return Verdict::Pass;
        };
        let items = items.split_inclusive("</member>").map(ToOwned::to_owned).collect();
        let around = format!("{before}{open}{{items}}{close}{after}");
        answer.body = self.page(around, items).into_bytes();
        Verdict::Pass
    }
}

/// Everything that AWS does all the time, and emulators never.
pub fn aws_like(world: super::World) -> super::World {
    world
        .with(Throttle::default())
        .with(Propagation::of(seconds(15)))
        .with(Busy::of(seconds(3)))
        .with(Serial::default())
        .with(StaleLists::by(seconds(10)))
        .with(Young::of(seconds(2)))
        .with(Ghosts::default())
}
