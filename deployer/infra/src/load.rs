//! Load: callers who never pause, each of whose answers is held to the table of endpoints.

use crate::contract::Endpoint;
use crate::engine::Secret;
use crate::http::{Answer, get};
use crate::release::Release;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What API Gateway says to a caller above the limits of usage plan or stage. It is an answer as good as any,
/// unless the key's quota is used up.
const THROTTLED: u16 = 429;

/// Who calls what, and for how long.
pub struct Load<'a> {
    pub http: &'a SharedHttpConnector,
    pub url: &'a str,
    pub key: &'a Secret,
    pub endpoints: &'a [Endpoint],
    pub release: &'a Release,
    pub clients: usize,
    pub time: Duration,
}

/// What came of one call.
struct Call {
    /// None is no answer.
    status: Option<u16>,
    took: Duration,
    quota_exceeded: bool,
    judged: Result<(), String>,
}

/// What callers of one route were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often by status; none is no answer.
    pub statuses: BTreeMap<Option<u16>, u64>,
    /// What was wrong with answers, and how often.
    pub wrong: BTreeMap<String, u64>,
    /// Calls that were refused because the key's quota is used up: they say nothing about the API.
    pub quota_exceeded: u64,
    /// Of those that were let in.
    took: Vec<Duration>,
}

impl Tally {
    fn add(&mut self, Call { status, took, quota_exceeded, judged }: Call) {
        *self.statuses.entry(status).or_default() += 1;
        if status.is_some_and(|status| status != THROTTLED) {
            self.took.push(took);
        }
        self.quota_exceeded += u64::from(quota_exceeded);
        if let Err(wrong) = judged {
            *self.wrong.entry(wrong).or_default() += 1;
        }
    }

    pub fn requests(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// How often the limits of plan or stage answered.
    pub fn throttled(&self) -> u64 {
        self.statuses.get(&Some(THROTTLED)).copied().unwrap_or(0)
    }

    /// The time within which so many of a hundred that were let in were answered: the nearest rank. None
    /// where nobody was.
    pub fn percentile(&mut self, percent: usize) -> Option<Duration> {
        self.took.sort_unstable();
        let rank = (self.took.len() * percent).div_ceil(100).max(1);
        self.took.get(rank - 1).copied()
    }
}

impl Load<'_> {
    /// Everybody calls, one route after the other. What has begun by the end of the time is waited for.
    /// Gives a tally a route, in the table's order, and how long it took.
    pub async fn run(&self) -> (Vec<Tally>, Duration) {
        let tallies = Mutex::new(vec![Tally::default(); self.endpoints.len()]);
        let began = Instant::now();
        let client = async |number: usize| {
            // Not all the same at the same time.
            for route in (0..self.endpoints.len()).cycle().skip(number) {
                if began.elapsed() >= self.time {
                    break;
                }
                let call = self.call(&self.endpoints[route]).await;
                let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
                tallies[route].add(call);
            }
        };
        futures_util::future::join_all((0..self.clients).map(client)).await;
        (tallies.into_inner().unwrap_or_else(PoisonError::into_inner), began.elapsed())
    }

    async fn call(&self, endpoint: &Endpoint) -> Call {
        let url = format!("{}{}", self.url, endpoint.path);
        let began = Instant::now();
        let answer = get(self.http, &url, &[("x-api-key", self.key.reveal())]).await;
        let took = began.elapsed();
        let (status, judged) = match &answer {
            Ok(answer) if answer.status == THROTTLED => (Some(answer.status), Ok(())),
            Ok(answer) => {
                let (kind, body) = (&answer.content_type, &answer.body);
                let judged = endpoint.judge(answer.status, kind, body, self.release);
                (Some(answer.status), judged)
            }
            Err(error) => (None, Err(format!("no answer: {error}"))),
        };
        // A handler may repeat what it was sent.
        let hidden = |wrong: String| wrong.replace(self.key.reveal(), &self.key.to_string());
        let quota_exceeded = answer.as_ref().is_ok_and(Answer::is_quota_exceeded);
        Call { status, took, quota_exceeded, judged: judged.map_err(hidden) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank_of_those_let_in() {
        let call = |status, took, judged| Call { status, took, quota_exceeded: false, judged };
        let mut tally = Tally::default();
        assert_eq!(tally.percentile(50), None);
        for millis in (1..=200).rev() {
            tally.add(call(Some(200), Duration::from_millis(millis), Ok(())));
        }
        tally.add(call(Some(429), Duration::ZERO, Ok(())));
        tally.add(call(None, Duration::from_secs(30), Err("no answer: none".to_owned())));
        let mut at = |percent| tally.percentile(percent).unwrap().as_millis();
        assert_eq!((at(0), at(50), at(99), at(100)), (1, 100, 198, 200));
        assert_eq!((tally.requests(), tally.throttled()), (202, 1));
        assert_eq!(tally.wrong, [("no answer: none".to_owned(), 1)].into());
    }
}
