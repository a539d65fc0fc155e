//! A canary: new versions get a share of the calls first, and all of them only if nothing goes wrong.

use super::metrics::{measure, measured};
use super::proof::Proof;
use super::versions;
use crate::engine::Value;
use crate::ids::Version;
use crate::retry::pause;
use crate::run::Run;
use anyhow::{Result, bail};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant; // stands still and jumps in tests

/// How often the versions are called and CloudWatch is asked.
const LOOK: Duration = Duration::from_secs(10);
/// CloudWatch keeps Lambda's and API Gateway's metrics by the minute.
const PERIOD: i32 = 60;
const MINUTE: i64 = 60;

/// How much of the traffic, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Canary {
    /// Of all calls, more than 0 and less than 1.
    pub share: f64,
    pub bake: Duration,
}

/// The new versions did something wrong while they had their share.
#[derive(Debug)]
pub struct Withdrawn(String);

impl fmt::Display for Withdrawn {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the canary did not do well: {}", self.0)
    }
}

impl std::error::Error for Withdrawn {}

impl Canary {
    /// Gives the candidates their share beside the versions that serve, and watches them: they are called
    /// as in the proof, and CloudWatch is asked for their errors and for the API's. A function that
    /// serves nothing yet has nobody to share with. If anything goes wrong, the share is taken back.
    ///
    /// # Errors
    /// [`Withdrawn`], [`Disproved`](super::Disproved), that AWS can't be asked, or that the run was asked
    /// to stop.
    pub async fn bake(
        &self,
        cx: &Run,
        proof: &Proof,
        live: &BTreeMap<String, Value<Version>>,
        candidates: &BTreeMap<String, String>,
    ) -> Result<()> {
        let shares: Vec<Share> = candidates
            .iter()
            .filter_map(|(function, version)| {
                // Of what is shared already the main version is the one before.
                let main = live.get(function).and_then(Value::known)?.as_str().split(' ').next()?;
                let (name, version, main) =
                    (cx.env.function(function), version.clone(), main.to_owned());
                (version != main).then_some(Share { name, version, main })
            })
            .collect();
        if shares.is_empty() {
            crate::engine::note("there is nothing to share calls with: all moves in at once");
            return Ok(());
        }
        // Before anything moves it shows whether CloudWatch may be asked at all.
        api_errors(cx, cx.clock.now() - MINUTE, cx.clock.now()).await?;
        let given = shares.iter().map(|share| share.give(cx, Some(self.share)));
        let given = join_all(given).await.into_iter().collect::<Result<()>>();
        let watched = match given {
            Ok(()) => self.watch(cx, proof, candidates, &shares).await,
            refused => refused,
        };
        if watched.is_err() {
            // Whoever returns to what was there finds that done, or does it once more.
            join_all(shares.iter().map(|share| share.give(cx, None))).await;
        }
        watched
    }

    async fn watch(
        &self,
        cx: &Run,
        proof: &Proof,
        candidates: &BTreeMap<String, String>,
        shares: &[Share],
    ) -> Result<()> {
        let (started, since) = (Instant::now(), cx.clock.now());
        // A minute that began before them isn't held against the new versions.
        let since = (since.div_euclid(MINUTE) + 1) * MINUTE;
        loop {
            let left = self.bake.saturating_sub(started.elapsed());
            crate::engine::note(&format!("baking, {} s left", left.as_secs()));
            pause(left.min(LOOK), cx.stop()).await?;
            proof.check(cx, candidates).await?;
            let now = cx.clock.now().max(since + MINUTE);
            for Share { name, version, .. } in shares {
                let errors = version_errors(cx, name, version, since - MINUTE, now).await?;
                if errors > 0.0 {
                    let name = format!("version {version} of {name}");
                    bail!(Withdrawn(format!("{name} failed {errors} times, says CloudWatch")));
                }
            }
            let (errors, usual) = tokio::try_join!(
                api_errors(cx, since, now),
                api_errors(cx, since - MINUTE - (now - since), since - MINUTE)
            )?;
            if errors > usual {
                let text =
                    format!("{errors} answers of the API were 5xx, and {usual} in as much time");
                bail!(Withdrawn(format!("{text} before, says CloudWatch")));
            }
            if left.is_zero() {
                return Ok(());
            }
        }
    }
}

/// A function of which a new version gets a share of the calls.
struct Share {
    name: String,
    version: String,
    main: String,
}

impl Share {
    /// Of all calls; or none.
    async fn give(&self, cx: &Run, share: Option<f64>) -> Result<()> {
        match share {
            Some(share) => {
                versions::serve(cx, &self.name, &self.version, Some((share, &self.main))).await
            }
            None => versions::serve(cx, &self.name, &self.main, None).await,
        }
    }
}

async fn version_errors(cx: &Run, name: &str, version: &str, from: i64, to: i64) -> Result<f64> {
    let resource = format!("{name}:{}", crate::env::ALIAS);
    let of = [("FunctionName", name), ("Resource", &resource), ("ExecutedVersion", version)];
    sum(cx, "AWS/Lambda", "Errors", &of, from, to).await
}

async fn api_errors(cx: &Run, from: i64, to: i64) -> Result<f64> {
    let name = cx.env.name();
    let of = [("ApiName", name.as_str()), ("Stage", &cx.env.stage)];
    sum(cx, "AWS/ApiGateway", "5XXError", &of, from, to).await
}

/// The sum of a metric. Nothing measured is nothing wrong.
async fn sum(
    cx: &Run,
    namespace: &str,
    name: &str,
    of: &[(&str, &str)],
    from: i64,
    to: i64,
) -> Result<f64> {
    let query = measure("sum", "Sum", (namespace, name), of, PERIOD);
    // Whole minutes, the one that has begun among them.
    let (from, to) = (from.div_euclid(MINUTE) * MINUTE, -(-to).div_euclid(MINUTE) * MINUTE);
    let values = measured(cx, vec![query], (from, to)).await?;
    Ok(values.values().flatten().sum())
}
