//! The network, or AWS, lost in the middle of a run: one thing for the whole run, not for each request.

use super::Failure;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until}; // stands still and jumps in tests

/// How long requests may wait without any answer before the run ends.
pub const SILENCE: Duration = Duration::from_secs(60);

/// What a run knows of its connection. Clones share it.
///
/// It is an outage when requests are waiting and none has had an answer for [`SILENCE`] since the first of
/// them was sent. Any HTTP answer counts, an error too. From then on every request fails at once.
#[derive(Clone, Debug, Default)]
pub struct Outage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Requests that have been sent, perhaps several times, and never answered.
    waiting: usize,
    /// When the first of them was sent, or when another was last answered.
    since: Option<Instant>,
    /// Why the last one wasn't answered.
    cause: String,
    begun: bool,
    changed: bool,
}

impl Outage {
    /// Marks a request as waiting for an answer until the mark is dropped.
    pub fn wait(&self) -> Waiting {
        let mut state = self.state();
        state.waiting += 1;
        state.since.get_or_insert_with(Instant::now);
        Waiting(self.clone())
    }

    /// An answer came.
    pub fn answered(&self) {
        let mut state = self.state();
        state.since = (state.waiting > 0).then(Instant::now);
    }

    /// No answer came, and why.
    pub fn unanswered(&self, cause: &str) {
        let mut state = self.state();
        if !state.begun {
            cause.clone_into(&mut state.cause);
        }
    }

    /// Returns when it is an outage.
    pub async fn begun(&self) {
        loop {
            let deadline = match &mut *self.state() {
                State { begun: true, .. } => return,
                State { since: Some(since), begun, .. } if since.elapsed() >= SILENCE => {
                    *begun = true;
                    return;
                }
                State { since, .. } => since.unwrap_or_else(Instant::now) + SILENCE,
            };
            sleep_until(deadline).await;
        }
    }

    /// A request that may change something was sent.
    pub fn note_change(&self) {
        self.state().changed = true;
    }

    /// Whether this run may have changed something.
    pub fn has_changed(&self) -> bool {
        self.state().changed
    }

    /// Whether the run ended because of it, before it changed anything.
    pub fn came_first(&self) -> bool {
        let state = self.state();
        state.begun && !state.changed
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.state().begun
    }

    /// What every request ends with; `sent` says whether AWS may have done it.
    pub fn failure(&self, op: &'static str, sent: bool) -> Failure {
        let state = self.state();
        let silence = match state.begun {
            true => SILENCE,
            false => state.since.map_or(Duration::ZERO, |since| since.elapsed()),
        };
        let mut message = match silence.as_secs() {
            0 => "no answer".to_owned(),
            seconds => format!("no request has been answered for {seconds} s"),
        };
        if !state.cause.is_empty() {
            message += &format!(": {}", state.cause);
        }
        drop(state);
        Failure { op, message, ambiguous: sent, outage: true, ..Failure::default() }
    }

    /// The same connector, whose requests and answers count too: for requests that no [`Pacer`](super::Pacer)
    /// sends, which are those to the deployed API.
    pub fn watched(&self, connector: SharedHttpConnector) -> SharedHttpConnector {
        let silent = Arc::default();
        SharedHttpConnector::new(Watched { connector, outage: self.clone(), silent })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Watched {
    connector: SharedHttpConnector,
    outage: Outage,
    /// From a request until one is answered: callers send it again after a pause.
    silent: Arc<Mutex<Option<Waiting>>>,
}

impl HttpConnector for Watched {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let outage = self.outage.clone();
        let silent = self.silent.clone();
        silent.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| outage.wait());
        let answer = self.connector.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            if answer.is_ok() {
                *silent.lock().unwrap_or_else(PoisonError::into_inner) = None;
                outage.answered();
            }
            answer
        })
    }
}

/// A request that waits for an answer.
#[derive(Debug)]
pub struct Waiting(Outage);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        if state.waiting == 0 {
            state.since = None;
        }
    }
}
