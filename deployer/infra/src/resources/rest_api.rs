//! The REST API and its routes: one OpenAPI document, replaced whole.

use super::foreign_access::{ForeignAccess, of_api};
use super::listed::make_unlisted;
use super::observation::stop_access_log;
use super::ownership::{gateway_gone, is_ours, owner};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Owned, Resource, Value, turn};
use crate::env::{Env, Tags};
use crate::ids::{AliasArn, ApiId};
use crate::retry::{make_once, until};
use crate::run::Run;
use anyhow::{Context, Result, bail};
use aws_sdk_apigateway::types::{
    ApiKeySourceType, ApiStatus, EndpointAccessMode, EndpointConfiguration, EndpointType, Method,
    PutMode, Resource as ApiResource, SecurityPolicy,
};
use aws_smithy_types::Blob;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Map, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// A regional API. Its routes are its own: they are meaningless without it.
#[derive(Debug, Serialize)]
pub struct RestApi {
    #[serde(skip)]
    pub name: String,
    pub endpoint: String,
    /// Where callers' keys are looked for: `HEADER` is `x-api-key`.
    pub api_key_source: String,
    /// Which TLS callers must speak (API Gateway, "Security policies for REST APIs"). AWS's default takes TLS 1.0.
    pub security_policy: String,
    /// What such a policy must be accompanied by: `STRICT` also wants callers to name the host in TLS.
    pub endpoint_access_mode: String,
    /// By method and path: `GET /health`.
    pub routes: BTreeMap<String, Route>,
    /// None is wanted. Of a live one, what is to be removed.
    pub foreign: ForeignAccess,
}

/// What answers one method of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The alias that is called; on a live route that calls something else, that.
    pub function: Value<AliasArn>,
    pub api_key_required: bool,
    /// `AWS_PROXY`: the function gets the whole request.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Route {
    /// A function's alias, for callers with a key.
    pub fn to_function(function: Value<AliasArn>) -> Self {
        Self { function, api_key_required: true, kind: "AWS_PROXY".to_owned() }
    }

    fn of(live: &Method, env: &Env) -> Self {
        let integration = live.method_integration();
        let kind = integration.and_then(|i| i.r#type()).map_or("none", |kind| kind.as_str());
        let uri = integration.and_then(|i| i.uri()).unwrap_or_default();
        Self {
            function: AliasArn(env.integrated(uri).unwrap_or(uri).to_owned()).into(),
            api_key_required: live.api_key_required().unwrap_or_default(),
            kind: kind.to_owned(),
        }
    }
}

impl RestApi {
    /// Names the definition by what it is, so that a deployment of it can be recognised. The account isn't part
    /// of it, so that a recording of another account can be replayed.
    pub fn fingerprint(&self, env: &Env) -> String {
        let document = self.document(env).unwrap_or_default();
        let document = document.to_string().replace(&env.account, "ACCOUNT");
        let hash = Sha256::digest(document.as_bytes());
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What PutRestApi replaces; its title renames the API.
    fn document(&self, env: &Env) -> Result<serde_json::Value> {
        let mut paths = Map::new();
        for (route, Route { function, api_key_required, kind }) in &self.routes {
            let (method, path) = route.split_once(' ').context("a route is METHOD and path")?;
            let security = if *api_key_required { json!([{ "api_key": [] }]) } else { json!([]) };
            let operation = json!({
                "security": security,
                "responses": {},
                "x-amazon-apigateway-integration": {
                    "type": kind.to_lowercase(),
                    "httpMethod": "POST", // how Lambda is called, whatever the route's own method
                    "uri": env.integration_uri(function.get()?.as_str()),
                    "passthroughBehavior": "when_no_match",
                },
            });
            let entry = paths.entry(path).or_insert_with(|| json!({}));
            entry[method.to_lowercase()] = operation;
        }
        Ok(json!({
            "openapi": "3.0.1",
            "info": { "title": self.name, "version": "1" },
            "x-amazon-apigateway-api-key-source": self.api_key_source,
            "x-amazon-apigateway-security-policy": self.security_policy,
            "x-amazon-apigateway-endpoint-access-mode": self.endpoint_access_mode,
            "paths": paths,
            "components": { "securitySchemes": {
                "api_key": { "type": "apiKey", "name": "x-api-key", "in": "header" },
            } },
        }))
    }

    async fn put(&self, cx: &Run, id: &str) -> Result<()> {
        let body = Blob::new(self.document(&cx.env)?.to_string());
        let request = || {
            let request = cx.apigateway.put_rest_api().rest_api_id(id).body(body.clone());
            // The default, merge, never deletes a route; by default, bad fields are only warned of.
            request
                .mode(PutMode::Overwrite)
                .fail_on_warnings(true)
                .parameters("basepath", "ignore")
                .send()
        };
        let answer = cx.call_new("apigateway:PutRestApi", request).await;
        let answer = busy_or_gone(cx, id, answer.map_err(Into::into)).await?;
        if let Some(warning) = answer.warnings().first() {
            bail!("API Gateway did not take all of the routes: {warning}");
        }
        settled(cx, id).await
    }

    async fn make(&self, cx: &Run) -> Result<String> {
        let regional = || EndpointConfiguration::builder().types(EndpointType::Regional).build();
        let mode = || EndpointAccessMode::from(self.endpoint_access_mode.as_str());
        let look = async || {
            for api in find(cx, &self.name).await?.ours {
                if exists(cx, &api.id).await? {
                    return Ok(Some(api.id));
                }
            }
            Ok(None)
        };
        let make = async || {
            let request = || {
                let request = cx.apigateway.create_rest_api().name(&self.name);
                request
                    .endpoint_configuration(regional())
                    .api_key_source(ApiKeySourceType::from(self.api_key_source.as_str()))
                    // From the start: a change takes AWS a quarter of an hour.
                    .security_policy(SecurityPolicy::from(self.security_policy.as_str()))
                    .endpoint_access_mode(mode())
                    .set_tags(Some(cx.env.tags().into_iter().collect()))
                    .send()
            };
            make_unlisted(cx, async { Ok(cx.call("apigateway:CreateRestApi", request).await?.id) })
                .await
        };
        // Whoever asks for it has just seen that it isn't there.
        make_once(look, make).await
    }
}

/// Of an API that is gone, API Gateway says for ever that another change is being made to it. So
/// when patience has ended, this asks.
///
/// # Errors
/// The failure, or that the API is gone.
pub async fn busy_or_gone<T>(cx: &Run, id: &str, result: Result<T>) -> Result<T> {
    let busy = |failure: &Failure| failure.says("concurrent modification");
    let error = match result {
        Err(error) if error.downcast_ref().is_some_and(busy) => error,
        result => return result,
    };
    match exists(cx, id).await? {
        true => Err(error),
        false => Err(error.context(format!("API {id} has been deleted"))),
    }
}

/// How long a change of an API may take: another TLS takes a quarter of an hour ("How to change a security policy").
const SETTLED: Duration = Duration::from_secs(1_800);

/// Waits until API Gateway has finished what it was asked: an API that is UPDATING or PENDING takes no change. It
/// isn't documented which changes start that (RestApi, `apiStatus`), so this is asked after each.
///
/// # Errors
/// That the change failed, in API Gateway's words, or hasn't ended in half an hour.
async fn settled(cx: &Run, id: &str) -> Result<()> {
    until("API Gateway to finish a change of the API", SETTLED, async || {
        let get = || cx.apigateway.get_rest_api().rest_api_id(id).send();
        let api = cx.call_new("apigateway:GetRestApi", get).await?;
        match api.api_status() {
            Some(ApiStatus::Updating | ApiStatus::Pending) => Ok(None),
            Some(ApiStatus::Failed) => {
                let why = api.api_status_message().unwrap_or("it doesn't say why");
                bail!("API Gateway could not change API {id} (status FAILED): {why}")
            }
            _ => Ok(Some(())),
        }
    })
    .await
}

/// Lists may tell of an API that is gone.
async fn exists(cx: &Run, id: &str) -> Result<bool> {
    let get = || cx.apigateway.get_rest_api().rest_api_id(id).send();
    Ok(cx.call("apigateway:GetRestApi", get).await.or_missing()?.is_some())
}

/// An API as lists tell of it.
#[derive(Clone)]
pub(super) struct Api {
    id: String,
    name: String,
    endpoint: String,
    tags: Tags,
    created: i64,
}

/// `REGIONAL`, for one.
fn endpoint_type(endpoint: Option<&EndpointConfiguration>) -> String {
    let kind = endpoint.and_then(|endpoint| endpoint.types().first());
    kind.map_or("EDGE", |kind| kind.as_str()).to_owned()
}

/// The APIs of one name: several may bear it.
struct Found {
    /// The oldest first: of two that a lost answer made, it is the one in use.
    ours: Vec<Api>,
    others: Vec<Api>,
}

async fn list(cx: &Run) -> Result<Vec<Api>> {
    cx.lists.get(&cx.lists.apis, read_list(cx)).await
}

async fn read_list(cx: &Run) -> Result<Vec<Api>> {
    let (mut apis, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_rest_apis().limit(500);
            request.set_position(position.clone()).send()
        };
        let page = cx.call("apigateway:GetRestApis", request).await?;
        for api in page.items.unwrap_or_default() {
            apis.push(Api {
                endpoint: endpoint_type(api.endpoint_configuration()),
                created: api.created_date().map_or(0, |date| date.secs()),
                id: api.id.unwrap_or_default(),
                name: api.name.unwrap_or_default(),
                tags: api.tags.unwrap_or_default().into_iter().collect(),
            });
        }
        position = page.position;
        if position.is_none() {
            return Ok(apis);
        }
    }
}

/// How many regional ones there are in the region, whoever's.
pub(super) async fn count_regional(cx: &Run) -> Result<usize> {
    Ok(list(cx).await?.iter().filter(|api| api.endpoint == "REGIONAL").count())
}

async fn find(cx: &Run, name: &str) -> Result<Found> {
    let mut named = list(cx).await?;
    named.retain(|api| api.name == name);
    named.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let (mut ours, others): (Vec<Api>, Vec<Api>) =
        named.into_iter().partition(|api| is_ours(&cx.env, &api.tags));
    // Of several, one that is gone would hide the one that is there.
    if ours.len() > 1 {
        ours = without_ghosts(cx, ours).await?;
    }
    Ok(Found { ours, others })
}

/// Without those that a list still tells of, and that are gone.
async fn without_ghosts(cx: &Run, mut apis: Vec<Api>) -> Result<Vec<Api>> {
    let there = join_all(apis.iter().map(|api| exists(cx, &api.id))).await;
    let mut there = there.into_iter().collect::<Result<Vec<bool>>>()?.into_iter();
    apis.retain(|_| there.next().unwrap_or_default());
    Ok(apis)
}

/// The id of the stage's API, if there is one.
///
/// # Errors
/// When API Gateway can't be asked.
pub async fn api_id(cx: &Run) -> Result<Option<ApiId>> {
    let found = find(cx, &cx.env.name()).await?;
    Ok(found.ours.into_iter().next().map(|api| ApiId(api.id)))
}

/// Whether no foreign API has the stage's name.
///
/// # Errors
/// When API Gateway can't be asked.
pub(super) async fn is_ours_or_absent(cx: &Run) -> Result<bool> {
    let Found { ours, others } = find(cx, &cx.env.name()).await?;
    Ok(!ours.is_empty() || others.is_empty())
}

/// The ids of the API's paths, by path.
///
/// # Errors
/// When API Gateway can't be asked.
pub async fn resource_ids(cx: &Run, id: &str) -> Result<BTreeMap<String, String>> {
    let found = resources(cx, id).await?.unwrap_or_default().into_iter();
    Ok(found.filter_map(|resource| Some((resource.path?, resource.id?))).collect())
}

/// None when the API is gone, which the list of APIs has not heard of yet.
async fn routes(cx: &Run, id: &str) -> Result<Option<BTreeMap<String, Route>>> {
    let Some(resources) = resources(cx, id).await? else { return Ok(None) };
    let mut routes = BTreeMap::new();
    for resource in resources {
        let path = resource.path().unwrap_or_default();
        for (method, settings) in resource.resource_methods().into_iter().flatten() {
            routes.insert(format!("{method} {path}"), Route::of(settings, &cx.env));
        }
    }
    Ok(Some(routes))
}

async fn resources(cx: &Run, id: &str) -> Result<Option<Vec<ApiResource>>> {
    let (mut resources, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_resources().rest_api_id(id).limit(500);
            request.embed("methods").set_position(position.clone()).send()
        };
        let page = cx.call("apigateway:GetResources", request).await.or_missing()?;
        let Some(page) = page else { return Ok(None) };
        resources.extend(page.items.unwrap_or_default());
        position = page.position;
        if position.is_none() {
            return Ok(Some(resources));
        }
    }
}

impl Resource<Run> for RestApi {
    const KIND: &'static str = "rest api";
    type Output = ApiId;
    /// Its access log is stopped while the usage plan is deleted.
    const DELETED_EARLY: bool = true;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ApiId>>> {
        let Found { ours, others } = find(cx, &self.name).await?;
        let Some(api) = ours.into_iter().chain(others).next() else { return Ok(None) };
        // By itself: items of lists may lack the security policy.
        let get = || cx.apigateway.get_rest_api().rest_api_id(&api.id).send();
        let it = async { Ok(cx.call("apigateway:GetRestApi", get).await.or_missing()?) };
        let (it, routes, foreign) = tokio::try_join!(it, routes(cx, &api.id), of_api(cx, &api.id))?;
        let Some((it, routes)) = it.zip(routes) else { return Ok(None) };
        let mode = it.endpoint_access_mode();
        Ok(Some(Live {
            owner: owner(&cx.env, &api.tags),
            output: ApiId(api.id.clone()),
            props: Self {
                routes,
                foreign: foreign.removed_by(cx, &format!("rest api {}", self.name)),
                name: it.name().unwrap_or_default().to_owned(),
                endpoint: endpoint_type(it.endpoint_configuration()),
                api_key_source: it.api_key_source().map_or("HEADER", |s| s.as_str()).to_owned(),
                security_policy: it.security_policy().map_or("TLS_1_0", |p| p.as_str()).to_owned(),
                endpoint_access_mode: mode.map_or("NONE", |mode| mode.as_str()).to_owned(),
            },
            id: api.id,
        }))
    }

    async fn create(&self, cx: &Run) -> Result<ApiId> {
        let id = self.make(cx).await?;
        settled(cx, &id).await.context("it was made, but has no routes yet")?;
        self.put(cx, &id).await.context("it was made, but has no routes yet")?;
        Ok(ApiId(id))
    }

    async fn update(&self, cx: &Run, live: &Live<Self, ApiId>) -> Result<ApiId> {
        if live.props.endpoint != self.endpoint {
            bail!(
                "its endpoint is {} and must be {}, which AWS cannot change in place without \
                 changing its address: destroy the stage and deploy it again",
                live.props.endpoint,
                self.endpoint
            );
        }
        live.props.foreign.remove(cx, &live.id).await?;
        if live.props.document(&cx.env)? != self.document(&cx.env)? {
            self.put(cx, &live.id).await?;
        }
        Ok(live.output.clone())
    }

    /// Takes its routes, deployments and stages along.
    async fn delete(cx: &Run, id: &str) -> Result<()> {
        stop_access_log(cx, id).await?;
        turn().await?;
        let request = || cx.apigateway.delete_rest_api().rest_api_id(id).send();
        let deleted = cx.call("apigateway:DeleteRestApi", request).await;
        gateway_gone(cx, &format!("/restapis/{id}"), deleted).await
    }

    /// AWS answers before it is done.
    async fn gone(cx: &Run, id: &str) -> Result<()> {
        until("API Gateway to delete the API", Duration::from_secs(120), async || {
            Ok((!exists(cx, id).await?).then_some(()))
        })
        .await
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let mut ours = list(cx).await?;
        ours.retain(|api| is_ours(&cx.env, &api.tags));
        let ours = without_ghosts(cx, ours).await?.into_iter();
        Ok(ours.map(|api| Owned { name: api.name, id: api.id }).collect())
    }
}
