//! How many calls of functions a run has under way at once: half of what may run, so that callers keep the rest.

use super::room::lambda_room;
use crate::contract::Endpoint;
use crate::run::Run;
use std::collections::BTreeMap;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Where Lambda doesn't tell how many may run: half of the ten that a new account has.
const UNKNOWN: usize = 5;

/// However many may run.
const MOST: usize = 64;

/// Turns to call functions. Beyond what may run at once Lambda answers 429, which callers of an API get as API
/// Gateway's 500.
pub struct InFlight {
    unreserved: Semaphore,
    /// By the function's short name: of those with executions reserved for them, how many.
    reserved: BTreeMap<&'static str, (u16, Semaphore)>,
}

impl InFlight {
    /// Those of the run: within what the account has left, and what these endpoints reserve for their functions.
    pub async fn of_run<'a>(cx: &'a Run, endpoints: &[Endpoint]) -> &'a Self {
        cx.lists.in_flight.get_or_init(|| Self::within(cx, endpoints)).await
    }

    async fn within(cx: &Run, endpoints: &[Endpoint]) -> Self {
        let unreserved = lambda_room(cx).await.ok().and_then(|room| room.unreserved);
        Self::from_unreserved(unreserved, endpoints)
    }

    /// `unreserved` is what the account has left, if that is known.
    fn from_unreserved(unreserved: Option<i64>, endpoints: &[Endpoint]) -> Self {
        let half = |calls: usize| Semaphore::new((calls / 2).clamp(1, MOST));
        let unreserved = unreserved.map(|calls| usize::try_from(calls).unwrap_or_default());
        let reserved = endpoints.iter().filter_map(|endpoint| {
            let calls = endpoint.reserved?;
            Some((endpoint.function, (calls, half(calls.into()))))
        });
        Self {
            unreserved: unreserved.map_or_else(|| Semaphore::new(UNKNOWN), half),
            reserved: reserved.collect(),
        }
    }

    /// Waits until this function may be called. It is being called until what this gives is dropped.
    pub async fn turn(&self, function: &str) -> Option<SemaphorePermit<'_>> {
        let turns = self.reserved.get(function).map_or(&self.unreserved, |(_, turns)| turns);
        turns.acquire().await.ok()
    }

    /// Whether Lambda refuses every call of this function, because none is reserved for it.
    pub fn is_off(&self, function: &str) -> bool {
        self.reserved.get(function).is_some_and(|(calls, _)| *calls == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_unreserved_executions_are_not_an_unknown_number() {
        let turns =
            |unreserved| InFlight::from_unreserved(unreserved, &[]).unreserved.available_permits();
        assert_eq!(turns(None), UNKNOWN);
        assert_eq!(turns(Some(0)), 1);
        assert_eq!(turns(Some(40)), 20);
        assert_eq!(turns(Some(1000)), MOST);
    }
}
