//! API Gateway's nodes, which learn of a change one by one.

use super::{Fault, Verdict};
use crate::world::{Request, Response, refuse};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// For so long after PutRestApi, the control plane knows the API as it was before
/// (github.com/hashicorp/terraform-provider-aws, issue 17604).
#[derive(Default)]
pub struct SlowImport {
    /// GetResources lacks new paths, and TestInvokeMethod answers 500.
    routes: Duration,
    /// CreateDeployment makes a snapshot of the API before.
    snapshots: Duration,
    imported: Option<Duration>,
    paths: BTreeSet<String>,
    stale: bool,
    pub fired: Arc<AtomicUsize>,
}

impl SlowImport {
    pub fn of_routes(routes: Duration) -> Self {
        Self { routes, ..Self::default() }
    }

    pub fn of_snapshots(snapshots: Duration) -> Self {
        Self { snapshots, ..Self::default() }
    }

    fn lasts(&self, takes: Duration, now: Duration) -> bool {
        self.imported.is_some_and(|at| now < at + takes)
    }

    fn fire(&self) {
        self.fired.fetch_add(1, Ordering::SeqCst);
    }
}

impl Fault for SlowImport {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        self.stale =
            request.name == "apigateway:CreateDeployment" && self.lasts(self.snapshots, now);
        if self.stale {
            self.fire();
        }
        if request.name != "apigateway:TestInvokeMethod" || !self.lasts(self.routes, now) {
            return Verdict::Pass;
        }
        self.fire();
        let log = "Execution failed due to configuration error: Internal server error";
        let body = json!({ "message": "Internal server error" }).to_string();
        let said = json!({ "status": 500, "body": body, "log": log, "latency": 1 });
        Verdict::Answer(Response {
            status: 200,
            headers: BTreeMap::new(),
            body: said.to_string().into_bytes(),
        })
    }

    /// The local cloud knows which snapshot is meant.
    fn rewrite(&self, _: &Request, sent: &mut HttpRequest) {
        if self.stale {
            let said = sent.body().bytes().unwrap_or_default();
            let mut body: Value = serde_json::from_slice(said).unwrap();
            body["localSnapshotOf"] = json!("before");
            let body = body.to_string();
            sent.headers_mut().insert("content-length", body.len().to_string());
            *sent.body_mut() = SdkBody::from(body);
        }
    }

    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        match request.name.as_str() {
            "apigateway:PutRestApi" if answer.is_ok() => self.imported = Some(now),
            "apigateway:GetResources" if answer.is_ok() => {
                let mut body = answer.json();
                let items = body["item"].as_array_mut().unwrap();
                let path = |item: &Value| item["path"].as_str().unwrap().to_owned();
                if self.lasts(self.routes, now) {
                    items.retain(|item| path(item) == "/" || self.paths.contains(&path(item)));
                } else {
                    self.paths = items.iter().map(path).collect();
                }
                answer.set_json(&body);
            }
            _ => {}
        }
        Verdict::Pass
    }
}

/// For so long after a route began to be served, callers get API Gateway's own 500 from it
/// (github.com/hashicorp/terraform, issue 14970).
pub struct SlowRoutes {
    pub takes: Duration,
    served: Option<Duration>,
    known: BTreeSet<String>,
    pub fired: Arc<AtomicUsize>,
}

impl SlowRoutes {
    pub fn of(takes: Duration) -> Self {
        Self { takes, served: None, known: BTreeSet::new(), fired: Arc::default() }
    }
}

impl Fault for SlowRoutes {
    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        let moves = ["apigateway:CreateStage", "apigateway:UpdateStage"];
        if moves.contains(&request.name.as_str()) && answer.is_ok() {
            self.served = Some(now);
        }
        if request.service != "execute-api" || answer.status == 403 {
            return Verdict::Pass;
        }
        let new = self.served.is_some_and(|since| now < since + self.takes);
        if !new || self.known.contains(&request.path) {
            self.known.insert(request.path.clone());
            return Verdict::Pass;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        let (code, text) = ("InternalServerErrorException", "Internal server error");
        Verdict::Answer(refuse("execute-api", 500, code, text))
    }
}

/// For so long after an API was made or imported, its status is another than AVAILABLE (RestApi, `apiStatus`).
pub struct Status {
    pub takes: Duration,
    pub is: &'static str,
    changed: Option<Duration>,
    /// Changes that were asked for meanwhile.
    pub early: Arc<AtomicUsize>,
    pub told: Arc<AtomicUsize>,
}

impl Status {
    pub fn of(is: &'static str, takes: Duration) -> Self {
        Self { takes, is, changed: None, early: Arc::default(), told: Arc::default() }
    }

    fn lasts(&self, now: Duration) -> bool {
        self.changed.is_some_and(|at| now < at + self.takes)
    }
}

impl Fault for Status {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        if request.is_write() && request.path.starts_with("/restapis/") && self.lasts(now) {
            self.early.fetch_add(1, Ordering::SeqCst);
        }
        Verdict::Pass
    }

    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        let changes = ["apigateway:CreateRestApi", "apigateway:PutRestApi"];
        if changes.contains(&request.name.as_str()) && answer.is_ok() {
            self.changed = Some(now);
        }
        if request.name == "apigateway:GetRestApi" && answer.is_ok() && self.lasts(now) {
            self.told.fetch_add(1, Ordering::SeqCst);
            let mut body = answer.json();
            body["apiStatus"] = json!(self.is);
            body["apiStatusMessage"] = json!("The security policy is not supported here.");
            answer.set_json(&body);
        }
        Verdict::Pass
    }
}
