//! How fast a smoke test calls: half as fast as its key may, so that it stays within the usage plan and leaves
//! the key's other callers their part.

use crate::contract::Endpoint;
use crate::ids::Throttle;
use crate::quota::turn;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant; // stands still and jumps in tests

/// When the key may be used again: at all, and for each route that has a limit of its own.
pub struct Pace {
    key: Throttle,
    next: Mutex<BTreeMap<Option<String>, Instant>>,
}

impl Pace {
    /// Within what a key may in all.
    pub fn within(key: Throttle) -> Self {
        Self { key, next: Mutex::default() }
    }

    /// Takes a turn to call an endpoint, and says how long it is until then.
    pub fn take(&self, endpoint: &Endpoint) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut take = |what, limit: &Throttle| {
            let next = next.entry(what).or_insert_with(Instant::now);
            let burst = u32::try_from(limit.burst / 2).unwrap_or_default().max(1);
            turn(next, Duration::from_secs_f64(2.0 / limit.rate.max(0.01)), burst)
        };
        let own = endpoint.limit.map(|(rate, burst)| Throttle::of(rate, burst));
        let own = own.map(|limit| take(Some(endpoint.route()), &limit));
        take(None, &self.key).max(own.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::get;

    fn waits(endpoint: &Endpoint, pace: &Pace, calls: usize) -> Vec<u64> {
        (0..calls).map(|_| pace.take(endpoint).as_secs()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_what_a_key_may_is_used_of_a_route_and_in_all() {
        let pace = Pace::within(Throttle::of(4, 8));
        let (one, other) = (get("/1", "f").limited(1, 4), get("/2", "f"));
        assert_eq!(waits(&one, &pace, 4), [0, 0, 2, 4]);
        // Of the key, four are used up.
        assert_eq!(waits(&other, &pace, 2), [0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_has_its_own_limit_if_it_has_one() {
        let pace = Pace::within(Throttle::of(100, 100));
        assert_eq!(waits(&get("/", "f").limited(1, 1), &pace, 3), [0, 2, 4]);
    }
}
