//! The network lost: from some request on none is answered.

use super::{Fault, Verdict};
use crate::world::Request;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Cuts the connection of every request after the n-th, to AWS and to the API alike.
pub struct Outage {
    /// Requests that are served first.
    pub after: usize,
    /// When the first request was cut, since the world began.
    pub since: Arc<Mutex<Option<Duration>>>,
}

impl Outage {
    pub fn after(requests: usize) -> Self {
        Self { after: requests, since: Arc::default() }
    }
}

impl Fault for Outage {
    fn before(&mut self, _: &Request, now: Duration) -> Verdict {
        if self.after > 0 {
            self.after -= 1;
            return Verdict::Pass;
        }
        self.since.lock().unwrap().get_or_insert(now);
        Verdict::Cut
    }
}
