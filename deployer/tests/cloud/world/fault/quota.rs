//! Limits: so many a second, and so many in all.

use super::{Fault, Verdict};
use crate::world::{Request, refuse};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
