//! Access to the functions and the API that the stack didn't create: function URLs, event source mappings,
//! statements in the policy of the unqualified function, further stages of the API.
//!
//! Another system may depend on it, so it is no part of the stack's differences. A plan lists it, and a run removes it
//! only with `--remove-foreign`. Then, and only then, it is a property of its function or API.

use super::ownership::gone;
use super::permission;
use crate::aws::Missing;
use crate::run::Run;
use anyhow::{Context, Result};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// That of one function or API, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignAccess(Vec<(Way, String)>);

/// Each is what its removal takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Of an alias, or of the unqualified function.
    Url(Option<String>),
    Mapping(String),
    Statement(String),
    Stage(String),
}

impl Way {
    fn name(&self) -> String {
        match self {
            Self::Url(None) => "function URL".to_owned(),
            Self::Url(Some(alias)) => format!("function URL of {alias}"),
            Self::Mapping(id) => format!("event source mapping {id}"),
            Self::Statement(id) => format!("policy statement {id}"),
            Self::Stage(name) => format!("stage {name}"),
        }
    }
}

impl Serialize for ForeignAccess {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(way, what)| (way.name(), what)))
    }
}

impl ForeignAccess {
    /// What is to be removed of it: everything, or nothing. What stays is noted for [`foreign_access`].
    pub(super) fn removed_by(self, cx: &Run, of: &str) -> Self {
        if cx.remove_foreign {
            return self;
        }
        cx.lists.seen().foreign.insert(of.to_owned(), self);
        Self::default()
    }

    /// Each in one line.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(way, what)| format!("{}: {what}", way.name()))
    }

    /// Removes it from this function, or from the API of this id.
    pub(super) async fn remove(&self, cx: &Run, from: &str) -> Result<()> {
        for (way, _) in &self.0 {
            let removed = match way {
                Way::Url(alias) => {
                    let request = || {
                        let request = cx.lambda.delete_function_url_config().function_name(from);
                        request.set_qualifier(alias.clone()).send()
                    };
                    gone(cx.call("lambda:DeleteFunctionUrlConfig", request).await)
                }
                Way::Mapping(id) => {
                    let request = || cx.lambda.delete_event_source_mapping().uuid(id).send();
                    gone(cx.call("lambda:DeleteEventSourceMapping", request).await)
                }
                Way::Statement(id) => {
                    let request = || {
                        cx.lambda.remove_permission().function_name(from).statement_id(id).send()
                    };
                    gone(cx.call("lambda:RemovePermission", request).await)
                }
                Way::Stage(name) => {
                    let request =
                        || cx.apigateway.delete_stage().rest_api_id(from).stage_name(name).send();
                    gone(cx.call("apigateway:DeleteStage", request).await)
                }
            };
            removed.with_context(|| format!("removing {}", way.name()))?;
        }
        Ok(())
    }
}

/// Whether a change, by its path, removes such access.
pub fn is_foreign(path: &str) -> bool {
    path.starts_with("foreign")
}

/// What the last survey found and didn't plan to remove, by the function or API that it belongs to.
pub fn foreign_access(cx: &Run) -> BTreeMap<String, ForeignAccess> {
    let mut found = cx.lists.seen().foreign.clone();
    found.retain(|_, access| !access.0.is_empty());
    found
}

/// Ways to call a function other than through the API.
///
/// # Errors
/// When Lambda can't be asked.
pub async fn of_function(cx: &Run, name: &str) -> Result<ForeignAccess> {
    let (urls, mappings, statements) =
        tokio::try_join!(urls(cx, name), mappings(cx), statements(cx, name))?;
    let arn = cx.env.function_arn(name);
    let is_of = |target: &str| {
        target.strip_prefix(&arn).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let of_it = mappings.into_iter().filter(|mapping| is_of(&mapping.function));
    let mappings = of_it.map(|mapping| (Way::Mapping(mapping.id), mapping.source));
    let mut all: Vec<_> = urls.into_iter().chain(mappings).chain(statements).collect();
    all.sort();
    Ok(ForeignAccess(all))
}

/// Stages of an API other than the stack's own.
///
/// # Errors
/// When API Gateway can't be asked.
pub async fn of_api(cx: &Run, id: &str) -> Result<ForeignAccess> {
    let request = || cx.apigateway.get_stages().rest_api_id(id).send();
    let answer = cx.call("apigateway:GetStages", request).await.or_missing()?;
    let stages = answer.and_then(|answer| answer.item).unwrap_or_default().into_iter();
    let others = stages.filter(|stage| stage.stage_name() != Some(&*cx.env.stage));
    let other = |stage: aws_sdk_apigateway::types::Stage| {
        let serves = format!("deployment {}", stage.deployment_id().unwrap_or("unknown"));
        (Way::Stage(stage.stage_name.unwrap_or_default()), serves)
    };
    let mut all: Vec<_> = others.map(other).collect();
    all.sort();
    Ok(ForeignAccess(all))
}

async fn urls(cx: &Run, name: &str) -> Result<Vec<(Way, String)>> {
    let (mut found, mut marker) = (vec![], None);
    loop {
        let request = || {
            let request = cx.lambda.list_function_url_configs().function_name(name);
            request.set_marker(marker.clone()).send()
        };
        let page = cx.call("lambda:ListFunctionUrlConfigs", request).await.or_missing()?;
        let Some(page) = page else { return Ok(found) };
        found.extend(page.function_url_configs.into_iter().map(|url| {
            // The ARN ends with the alias, if it is an alias's.
            let alias = url.function_arn.split(':').nth(7).map(ToOwned::to_owned);
            (Way::Url(alias), format!("{}, authentication {}", url.function_url, url.auth_type))
        }));
        marker = page.next_marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(found);
        }
    }
}

/// An event source mapping.
#[derive(Clone)]
pub(super) struct Mapping {
    id: String,
    /// The ARN of the function, version or alias.
    function: String,
    source: String,
}

/// All of the account: one list for all functions.
async fn mappings(cx: &Run) -> Result<Vec<Mapping>> {
    cx.lists.get(&cx.lists.mappings, read_mappings(cx)).await
}

async fn read_mappings(cx: &Run) -> Result<Vec<Mapping>> {
    let (mut found, mut marker) = (vec![], None);
    loop {
        let request = || cx.lambda.list_event_source_mappings().set_marker(marker.clone()).send();
        let page = cx.call("lambda:ListEventSourceMappings", request).await?;
        let mappings = page.event_source_mappings.unwrap_or_default().into_iter();
        // Lambda answers before it has deleted one.
        let living = mappings.filter(|mapping| mapping.state() != Some("Deleting"));
        found.extend(living.map(|mapping| Mapping {
            id: mapping.uuid.unwrap_or_default(),
            function: mapping.function_arn.unwrap_or_default(),
            // A self-managed source has no ARN.
            source: mapping.event_source_arn.unwrap_or_else(|| "a self-managed source".to_owned()),
        }));
        marker = page.next_marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(found);
        }
    }
}

/// Those of the policy of the unqualified function: the API calls the alias, which has its own.
async fn statements(cx: &Run, name: &str) -> Result<Vec<(Way, String)>> {
    let one = |statement: &serde_json::Value| {
        let text = |key: &str| {
            statement.get(key).map_or_else(String::new, |value| match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        let what = format!("{} {} by {}", text("Effect"), text("Action"), text("Principal"));
        (Way::Statement(text("Sid")), what)
    };
    Ok(permission::statements(cx, name, None).await?.iter().map(one).collect())
}
