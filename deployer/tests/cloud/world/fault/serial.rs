//! Changes that AWS makes one after another.

use super::{Fault, Verdict};
use crate::world::{Request, Response, refuse};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
