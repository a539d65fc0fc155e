//! The network lost: from some request on none is answered.

use super::{Fault, Verdict};
use crate::world::{Request, Response};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Cuts the connection of every request after the n-th, to AWS and to the API alike.
pub struct Outage {
    /// Requests that are served first.
    pub after: usize,
    /// The operation whose first answer is the first thing lost.
    pub first: Option<&'static str>,
    /// When the first request was cut, since the world began.
    pub since: Arc<Mutex<Option<Duration>>>,
}

impl Outage {
    pub fn after(requests: usize) -> Self {
        Self { after: requests, first: None, since: Arc::default() }
    }

    /// Cuts the first answer of this operation, and every request after it.
    pub fn from_answer(operation: &'static str) -> Self {
        Self { first: Some(operation), ..Self::after(0) }
    }
}

impl Fault for Outage {
    fn before(&mut self, _: &Request, now: Duration) -> Verdict {
        if self.first.is_some() {
            return Verdict::Pass;
        }
        if self.after > 0 {
            self.after -= 1;
            return Verdict::Pass;
        }
        self.since.lock().unwrap().get_or_insert(now);
        Verdict::Cut
    }

    fn after(&mut self, request: &Request, _: &mut Response, now: Duration) -> Verdict {
        if self.first != Some(request.name.as_str()) {
            return Verdict::Pass;
        }
        self.first = None;
        self.since.lock().unwrap().get_or_insert(now);
        Verdict::Cut
    }
}
