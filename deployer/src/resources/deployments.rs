//! Deployments: snapshots of an API's routes, each named by what it holds. A stage serves one of them.

use super::Aws;
use crate::aws::Missing;
use crate::retry::make_once;
use anyhow::{Result, bail};

#[derive(Clone)]
pub(super) struct Deployment {
    pub id: String,
    pub description: String,
}

pub(super) async fn deployments(cx: &Aws, api: &str) -> Result<Vec<Deployment>> {
    let (mut found, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_deployments().rest_api_id(api).limit(500);
            request.set_position(position.clone()).send()
        };
        let Some(page) = cx.call("apigateway:GetDeployments", request).await.or_missing()? else {
            return Ok(vec![]);
        };
        found.extend(page.items.unwrap_or_default().into_iter().map(|deployment| Deployment {
            id: deployment.id.unwrap_or_default(),
            description: deployment.description.unwrap_or_default(),
        }));
        position = page.position;
        if position.is_none() {
            return Ok(found);
        }
    }
}

const DEFINITION: &str = "definition ";

/// How a deployment says what it holds.
pub(super) fn describe(fingerprint: &str) -> String {
    format!("{DEFINITION}{fingerprint}")
}

/// The fingerprint in such words; None if they are somebody else's.
pub(super) fn described(description: &str) -> Option<&str> {
    description.strip_prefix(DEFINITION)
}

/// The id of the deployment of this definition: the one that is there, or, if it `may_be_made`, a new one of
/// the API as it stands.
///
/// # Errors
/// When there is none, and none may be made: what could be snapshotted now is another.
pub(super) async fn deployment(
    cx: &Aws,
    api: &str,
    fingerprint: &str,
    may_be_made: bool,
) -> Result<String> {
    let of_it = |found: Vec<Deployment>| {
        let mut found = found.into_iter();
        found.find(|d| d.description == describe(fingerprint)).map(|d| d.id)
    };
    let look = async || deployments(cx, api).await.map(of_it);
    let make = async || {
        // Without a stage name: with one, AWS makes or moves the stage too, without tags.
        let request = || {
            let request = cx.apigateway.create_deployment().rest_api_id(api);
            request.description(describe(fingerprint)).send()
        };
        let made = cx.call_new("apigateway:CreateDeployment", request).await?;
        Ok(made.id.unwrap_or_default())
    };
    let seen = cx.lists.seen().deployments.clone();
    let there = match seen {
        Some(seen) => of_it(seen),
        None => look().await?,
    };
    match there {
        Some(there) => Ok(there),
        None if may_be_made => make_once(look, make).await,
        None => bail!("the deployment of definition {fingerprint} has been deleted"),
    }
}
