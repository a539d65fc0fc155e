//! Deployments: snapshots of an API's routes, each named by what it holds. A stage serves one of them.

use super::history;
use super::ownership::gone;
use crate::aws::Missing;
use crate::contract::Endpoint;
use crate::retry::{make_once, until};
use crate::run::Run;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone)]
pub(super) struct Deployment {
    pub id: String,
    pub description: String,
}

pub(super) async fn deployments(cx: &Run, api: &str) -> Result<Vec<Deployment>> {
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

/// The fingerprint of the routes in the deployment `id`. None if it is gone, or wasn't made by this program.
pub(super) fn definition<'a>(deployments: &'a [Deployment], id: Option<&str>) -> Option<&'a str> {
    let deployment = deployments.iter().find(|held| Some(held.id.as_str()) == id)?;
    deployment.description.strip_prefix(DEFINITION)
}

/// Whether callers need a key, by path and method: all that a deployment tells of what it holds.
pub(super) type Routes = BTreeMap<(String, String), bool>;

/// The routes of these endpoints, each of which needs a key.
pub(super) fn routes(endpoints: &[Endpoint]) -> Routes {
    let route = |e: &Endpoint| ((e.path.to_owned(), e.method.to_owned()), true);
    endpoints.iter().map(route).collect()
}

/// Whether a deployment holds these routes. A snapshot that was made right after an import may be of the API
/// before it, for API Gateway's control plane is eventually consistent
/// (github.com/hashicorp/terraform-provider-aws, issue 17604); its description says otherwise. Which functions
/// it calls is not told. Where API Gateway tells no summary, the description is believed.
///
/// # Errors
/// When API Gateway can't be asked.
pub(super) async fn holds(cx: &Run, api: &str, id: &str, routes: &Routes) -> Result<bool> {
    let request = || {
        let request = cx.apigateway.get_deployment().rest_api_id(api).deployment_id(id);
        request.embed("apisummary").send()
    };
    let Some(found) = cx.call_new("apigateway:GetDeployment", request).await.or_missing()? else {
        return Ok(false);
    };
    let Some(summary) = found.api_summary() else { return Ok(true) };
    let held: Routes = (summary.iter())
        .flat_map(|(path, methods)| {
            methods.iter().map(|(verb, m)| ((path.clone(), verb.clone()), m.api_key_required()))
        })
        .collect();
    Ok(held == *routes)
}

/// Deletes a deployment, unless a stage serves it.
pub(super) async fn delete(cx: &Run, api: &str, id: &str) -> Result<()> {
    let request = || cx.apigateway.delete_deployment().rest_api_id(api).deployment_id(id).send();
    match cx.call("apigateway:DeleteDeployment", request).await {
        // Also a stage of another owner, or a canary's share of its calls.
        Err(failure) if failure.says("Active stages") => Ok(()),
        result => gone(result),
    }
}

/// Deletes the deployments of a definition that no good release has: it may not hold what it says, and the
/// next release of that definition gets a new one.
///
/// # Errors
/// When API Gateway refuses.
pub async fn discard(cx: &Run, api: &str, fingerprint: &str) -> Result<()> {
    let records = history::known(cx);
    if records.iter().any(|r| r.state.is_good() && r.deployment == fingerprint) {
        return Ok(());
    }
    let mut found = deployments(cx, api).await?;
    found.retain(|deployment| deployment.description == describe(fingerprint));
    for deployment in found {
        delete(cx, api, &deployment.id).await?;
    }
    Ok(())
}

/// How long an import may take to be in a snapshot.
const IMPORTED: Duration = Duration::from_secs(60);

/// The id of the deployment of this definition: the one that is there, or, if it `may_be_made`, a new one of
/// the API as it stands. One that may be made must hold these routes; any other has served.
///
/// # Errors
/// When there is none, and none may be made: what could be snapshotted now is another. Or when no snapshot
/// holds the routes within a minute.
pub(super) async fn deployment(
    cx: &Run,
    api: &str,
    fingerprint: &str,
    may_be_made: Option<&Routes>,
) -> Result<String> {
    let seen = cx.lists.seen().deployments.clone();
    let mut there = match seen {
        Some(seen) => seen,
        None => deployments(cx, api).await?,
    };
    there.retain(|deployment| deployment.description == describe(fingerprint));
    let Some(routes) = may_be_made else {
        return match there.into_iter().next() {
            Some(there) => Ok(there.id),
            None => bail!("the deployment of definition {fingerprint} has been deleted"),
        };
    };
    for deployment in &there {
        if holds(cx, api, &deployment.id, routes).await? {
            return Ok(deployment.id.clone());
        }
        delete(cx, api, &deployment.id).await?;
    }
    let look = async || {
        let mut found = deployments(cx, api).await?.into_iter();
        let new = |d: &Deployment| {
            d.description == describe(fingerprint) && !there.iter().any(|old| old.id == d.id)
        };
        Ok(found.find(new).map(|deployment| deployment.id))
    };
    let make = async || {
        // Without a stage name: with one, AWS makes or moves the stage too, without tags.
        let request = || {
            let request = cx.apigateway.create_deployment().rest_api_id(api);
            request.description(describe(fingerprint)).send()
        };
        let made = cx.call_new("apigateway:CreateDeployment", request).await?;
        Ok(made.id.unwrap_or_default())
    };
    until("API Gateway to deploy the new routes", IMPORTED, async || {
        let id = make_once(look, make).await?;
        if holds(cx, api, &id, routes).await? {
            return Ok(Some(id));
        }
        delete(cx, api, &id).await?;
        Ok(None)
    })
    .await
}
