//! One request broken: the process killed, the connection cut, the answer lost.

use super::{Fault, Verdict};
use crate::world::{Request, Response, refuse};
use infra::engine::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

/// `200ERR`: S3 answers that all is well, and lists what it has not deleted; the first time.
#[derive(Default)]
pub struct ErrorIn200 {
    pub fired: Arc<AtomicUsize>,
}

impl Fault for ErrorIn200 {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if request.name != "s3:DeleteObjects" || self.fired.load(Ordering::SeqCst) > 0 {
            return Verdict::Pass;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        let error = "<Error><Key>artifacts</Key><Code>InternalError</Code>\
                     <Message>We encountered an internal error. Please try again.</Message></Error>";
        let body = format!("<DeleteResult>{error}</DeleteResult>").into_bytes();
        Verdict::Answer(Response { status: 200, headers: BTreeMap::new(), body })
    }
}
