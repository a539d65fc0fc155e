//! Who may call a function's alias, or one of its versions: its resource policy.

use super::ownership::gone;
use crate::aws::Missing;
use crate::engine::{Live, Owner, Resource, Value};
use crate::env::ALIAS;
use crate::retry::until;
use crate::run::Run;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The one statement that we want.
const STATEMENT: &str = "api-gateway";

/// How long Lambda may take to show a statement that it took.
const KEPT: Duration = Duration::from_secs(60);

/// The whole policy of a function's alias, so that a statement which somebody added shows.
#[derive(Debug, Serialize)]
pub struct Permission {
    #[serde(skip)]
    pub function: String,
    /// The alias or version.
    #[serde(skip)]
    pub qualifier: String,
    /// By statement id.
    pub statements: BTreeMap<String, Statement>,
}

/// A statement as far as we write it; one with more to it shows whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Statement {
    Invoke { service: String, source_arn: Value<String> },
    Other(serde_json::Value),
}

impl Permission {
    /// Lets one API, all its stages and routes, call the alias. One statement for all: AWS allows
    /// 20 KB, about seventy statements.
    pub fn for_api(function: String, source_arn: Value<String>) -> Self {
        let statement =
            Statement::Invoke { service: "apigateway.amazonaws.com".to_owned(), source_arn };
        let statements = BTreeMap::from([(STATEMENT.to_owned(), statement)]);
        Self { function, qualifier: ALIAS.to_owned(), statements }
    }

    /// The same for a version that is to be tried through the API. It goes with the version.
    pub fn for_version(function: String, version: &str, source_arn: Value<String>) -> Self {
        Self { qualifier: version.to_owned(), ..Self::for_api(function, source_arn) }
    }

    /// Makes it so, whatever was there.
    ///
    /// # Errors
    /// When Lambda refuses.
    pub async fn ensure(&self, cx: &Run) -> Result<()> {
        match self.read(cx).await? {
            Some(live) => self.update(cx, &live).await,
            None => self.create(cx).await,
        }
    }

    async fn add(&self, cx: &Run, id: &str, statement: &Statement) -> Result<()> {
        let Statement::Invoke { service, source_arn } = statement else {
            bail!("statement {id} is not one that this program writes");
        };
        let arn = source_arn.get()?;
        let request = || {
            let request = cx.lambda.add_permission().function_name(&self.function);
            let request = request.qualifier(&self.qualifier).statement_id(id);
            let request = request.action("lambda:InvokeFunction");
            request.principal(service).source_arn(arn).send()
        };
        // AWS takes a statement and may lose it all the same, when several are added at once
        // (hashicorp/terraform-provider-aws, permission.go): see that it is there.
        until(&format!("Lambda to let the API call {}", self.function), KEPT, async || {
            match cx.call_new("lambda:AddPermission", request).await {
                // Its answer was lost, or it says something else; a statement can't be changed.
                Err(failure) if failure.says("already exists") => {
                    if !self.allows(cx, id, statement).await? {
                        self.remove(cx, id).await?;
                        cx.call_new("lambda:AddPermission", request).await?;
                    }
                }
                result => drop(result?),
            }
            Ok(self.allows(cx, id, statement).await?.then_some(()))
        })
        .await
    }

    /// Whether the policy has this statement.
    async fn allows(&self, cx: &Run, id: &str, statement: &Statement) -> Result<bool> {
        Ok(self
            .read(cx)
            .await?
            .is_some_and(|live| live.props.statements.get(id) == Some(statement)))
    }

    async fn remove(&self, cx: &Run, id: &str) -> Result<()> {
        let request = || {
            let request = cx.lambda.remove_permission().function_name(&self.function);
            request.qualifier(&self.qualifier).statement_id(id).send()
        };
        gone(cx.call("lambda:RemovePermission", request).await)
    }
}

/// Lambda reads back more than one writes: the action's resource, `ArnLike` for the source.
fn statement(value: &serde_json::Value) -> Statement {
    let service = value.pointer("/Principal/Service").and_then(serde_json::Value::as_str);
    let source = value.pointer("/Condition/ArnLike/AWS:SourceArn").and_then(|arn| arn.as_str());
    let conditions = value.get("Condition").and_then(|c| c.as_object()).map_or(0, |c| c.len());
    let plain = value.get("Effect").and_then(|effect| effect.as_str()) == Some("Allow")
        && value.get("Action").and_then(|action| action.as_str()) == Some("lambda:InvokeFunction")
        && conditions == 1;
    match (service, source) {
        (Some(service), Some(source)) if plain => {
            Statement::Invoke { service: service.to_owned(), source_arn: source.to_owned().into() }
        }
        _ => Statement::Other(value.clone()),
    }
}

/// The statements in the policy of an alias, or without `qualifier` of the unqualified function. Empty where there is no
/// policy, or no function.
pub(super) async fn statements(
    cx: &Run,
    function: &str,
    qualifier: Option<&str>,
) -> Result<Vec<Json>> {
    let request = || {
        let request = cx.lambda.get_policy().function_name(function);
        request.set_qualifier(qualifier.map(ToOwned::to_owned)).send()
    };
    let answer = cx.call("lambda:GetPolicy", request).await.or_missing()?;
    let Some(policy) = answer.and_then(|answer| answer.policy) else { return Ok(vec![]) };
    let mut policy: Json =
        serde_json::from_str(&policy).context("reading the function's policy")?;
    let statements = policy.get_mut("Statement").and_then(Json::as_array_mut);
    Ok(statements.map(std::mem::take).unwrap_or_default())
}

impl Resource<Run> for Permission {
    const KIND: &'static str = "permission";
    type Output = ();
    const READS_ALONE: bool = true;

    fn name(&self) -> String {
        format!("{}:{}", self.function, self.qualifier)
    }

    /// A function without a policy and no function at all answer alike: 404. Either way there is
    /// nothing to compare with.
    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ()>>> {
        let found = statements(cx, &self.function, Some(&self.qualifier)).await?;
        let by_id = |value: &Json| {
            let id = value.get("Sid").and_then(Json::as_str).unwrap_or_default();
            (id.to_owned(), statement(value))
        };
        let statements: BTreeMap<_, _> = found.iter().map(by_id).collect();
        if statements.is_empty() {
            return Ok(None);
        }
        Ok(Some(Live {
            props: Self {
                function: self.function.clone(),
                qualifier: self.qualifier.clone(),
                statements,
            },
            output: (),
            id: self.name(),
            owner: Owner::Ours,
        }))
    }

    async fn create(&self, cx: &Run) -> Result<()> {
        for (id, statement) in &self.statements {
            self.add(cx, id, statement).await?;
        }
        Ok(())
    }

    /// Extra statements go last: a door closes only when ours is open.
    async fn update(&self, cx: &Run, live: &Live<Self, ()>) -> Result<()> {
        for (id, statement) in &self.statements {
            if live.props.statements.get(id) != Some(statement) {
                self.add(cx, id, statement).await?;
            }
        }
        for id in live.props.statements.keys().filter(|id| !self.statements.contains_key(*id)) {
            self.remove(cx, id).await?;
        }
        Ok(())
    }

    /// Goes with its function.
    async fn delete(_: &Run, _: &str) -> Result<()> {
        Ok(())
    }
}
