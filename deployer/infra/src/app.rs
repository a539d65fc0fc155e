//! An application: the values that a fork states in `stack.rs` and gives to the library.

use crate::contract::Endpoint;
use crate::ids::Throttle;
use std::collections::BTreeSet;

/// What an application is called, what it serves, and its settings. [`App::new`] has the usual ones.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// The first part of every name.
    pub name: &'static str,
    /// Every endpoint: its route, the function that answers it, and what it must answer.
    pub endpoints: &'static [Endpoint],
    /// Releases kept for rollback, including the live one.
    pub releases_kept: usize,
    /// How long lines of log groups are kept.
    pub log_retention: Retention,
    /// Of each function.
    pub memory_mb: i32,
    /// Of each function.
    pub timeout_seconds: i32,
    /// For all callers together, of each route.
    pub stage_limit: Throttle,
    /// For one key, all routes together. A route that is `limited` to less can't use up the rest.
    pub key_limit: Throttle,
    /// Requests of one key a month.
    pub key_quota: i32,
    /// The SNS topic that alarms notify, by its name, in the stage's account and region.
    pub alarm_topic: Option<&'static str>,
    /// The policy that bounds what functions may do, by its name in the stage's account. None: whatever bounds
    /// them already stays.
    pub permissions_boundary: Option<&'static str>,
    /// Whether a stage has a dashboard. An account's first three are free (Amazon CloudWatch pricing).
    pub dashboard: bool,
}

impl App {
    pub const fn new(name: &'static str, endpoints: &'static [Endpoint]) -> Self {
        Self {
            name,
            endpoints,
            releases_kept: 5,
            log_retention: Retention::days(14),
            memory_mb: 256,
            timeout_seconds: 5,
            stage_limit: Throttle { rate: 100.0, burst: 200 },
            key_limit: Throttle { rate: 50.0, burst: 100 },
            key_quota: 1_000_000,
            alarm_topic: None,
            permissions_boundary: None,
            dashboard: true,
        }
    }

    /// The short names of all functions, each once.
    pub fn functions(&self) -> BTreeSet<&'static str> {
        self.endpoints.iter().map(|endpoint| endpoint.function).collect()
    }
}

/// A number of days that PutRetentionPolicy takes.
#[derive(Clone, Copy, Debug)]
pub struct Retention(i32);

impl Retention {
    /// In a constant, such as the one that `stack.rs` states, another number doesn't compile.
    pub const fn days(days: i32) -> Self {
        const ALLOWED: [i32; 22] = [
            1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557,
            2922, 3288, 3653,
        ];
        let mut at = 0;
        while ALLOWED[at] != days {
            at += 1;
            assert!(at < ALLOWED.len(), "logs are kept for 1, 3, 5, 7, 14, 30, 60, 90, … days");
        }
        Self(days)
    }

    pub fn as_days(self) -> i32 {
        self.0
    }
}
