//! Lists in many pages.

use super::{Fault, Verdict};
use crate::world::{Request, Response};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
        "lambda:ListFunctionUrlConfigs" => ("FunctionUrlConfigs", "NextMarker", "Marker="),
        "lambda:ListEventSourceMappings" => ("EventSourceMappings", "NextMarker", "Marker="),
        "lambda:ListFunctions" => ("Functions", "NextMarker", "Marker="),
        "ssm:GetParametersByPath" => ("Parameters", "NextToken", "\"NextToken\":\""),
        "logs:DescribeLogGroups" => ("logGroups", "nextToken", "\"nextToken\":\""),
        _ => return None,
    })
}

impl Fault for PagesOfOne {
    /// The local cloud can do this by itself.
    fn rewrite(&self, request: &Request, sent: &mut HttpRequest) {
        if ["s3:ListObjectVersions", "s3:ListObjects"].contains(&request.name.as_str()) {
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
