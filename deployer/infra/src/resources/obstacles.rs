//! Resources of the stage that AWS refuses to delete: an API that a custom domain maps to, and log groups with deletion
//! protection.

use super::log_group;
use crate::engine::{Plan, Step};
use crate::run::Run;
use anyhow::Result;
use aws_sdk_apigateway::types::{BasePathMapping, DomainName};
use futures_util::future::try_join_all;
use std::fmt;

/// What may be in the way of a destroy, of this stage or of others.
pub struct Obstacles {
    /// By domain name.
    mappings: Vec<(String, BasePathMapping)>,
    /// Names of log groups with deletion protection.
    protected: Vec<String>,
}

/// Resources of the stage that AWS would refuse to delete.
#[derive(Debug)]
pub struct Blocked(Vec<Obstacle>);

#[derive(Debug)]
struct Obstacle {
    of: String,
    why: String,
    remedy: String,
}

impl Obstacles {
    /// # Errors
    /// When AWS can't be asked.
    pub async fn read(cx: &Run) -> Result<Self> {
        let (mappings, protected) = tokio::try_join!(mappings(cx), log_group::protected(cx))?;
        Ok(Self { mappings, protected })
    }

    /// Whether nothing is in the way of what a plan deletes.
    ///
    /// # Errors
    /// [`Blocked`], with everything that is.
    pub fn check(&self, plan: &Plan) -> Result<(), Blocked> {
        let found: Vec<_> = plan.steps.iter().flat_map(|step| self.of(step)).collect();
        if found.is_empty() { Ok(()) } else { Err(Blocked(found)) }
    }

    fn of(&self, step: &Step) -> Vec<Obstacle> {
        let mapped = |(domain, mapping): &(String, BasePathMapping)| {
            let path = mapping.base_path().unwrap_or("(none)");
            Obstacle {
                of: step.title(),
                why: format!("the custom domain {domain} uses it (base path {path})"),
                remedy: format!(
                    "aws apigateway delete-base-path-mapping --domain-name {domain} --base-path '{path}'"
                ),
            }
        };
        let id = step.id.as_deref();
        match step.kind.as_str() {
            "rest api" => {
                let uses = |(_, mapping): &&(String, BasePathMapping)| mapping.rest_api_id() == id;
                self.mappings.iter().filter(uses).map(mapped).collect()
            }
            "log group" if self.protected.contains(&step.name) => vec![Obstacle {
                of: step.title(),
                why: "its deletion protection is on".to_owned(),
                remedy: format!(
                    "aws logs put-log-group-deletion-protection --log-group-identifier {} \
                     --no-deletion-protection-enabled",
                    step.name
                ),
            }],
            _ => vec![],
        }
    }
}

impl Blocked {
    /// The commands that remove what is in the way.
    pub fn remedies(&self) -> String {
        let remedies: Vec<_> = self.0.iter().map(|obstacle| obstacle.remedy.as_str()).collect();
        remedies.join("; ")
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("AWS refuses to delete this:")?;
        self.0.iter().try_for_each(|Obstacle { of, why, .. }| write!(f, "\n  {of}: {why}"))
    }
}

impl std::error::Error for Blocked {}

/// The base path mappings of all custom domains. API Gateway deletes no API to which one leads.
async fn mappings(cx: &Run) -> Result<Vec<(String, BasePathMapping)>> {
    let (mut domains, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_domain_names().limit(500);
            request.set_position(position.clone()).send()
        };
        let page = cx.call("apigateway:GetDomainNames", request).await?;
        domains.extend(page.items.unwrap_or_default());
        position = page.position;
        if position.is_none() {
            break;
        }
    }
    let all = domains.iter().map(|domain| mappings_of(cx, domain));
    Ok(try_join_all(all).await?.into_iter().flatten().collect())
}

/// The first 500 of a domain: it has at most 200 (Amazon API Gateway quotas).
async fn mappings_of(cx: &Run, domain: &DomainName) -> Result<Vec<(String, BasePathMapping)>> {
    let name = domain.domain_name().unwrap_or_default();
    let request = || {
        let request = cx.apigateway.get_base_path_mappings().domain_name(name).limit(500);
        request.set_domain_name_id(domain.domain_name_id().map(ToOwned::to_owned)).send()
    };
    let page = cx.call("apigateway:GetBasePathMappings", request).await?;
    let items = page.items.unwrap_or_default();
    Ok(items.into_iter().map(|mapping| (name.to_owned(), mapping)).collect())
}
