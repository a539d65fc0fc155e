//! The role as which CI deploys, and GitHub as the account's IAM knows it.

use super::ownership::{gone, owner};
use super::role::{Role, canonical};
use crate::aws::{Failure, Missing};
use crate::ci::{AUDIENCE, ISSUER, provider_arn};
use crate::engine::{Foreign, Live, Owned, Owner, Resource};
use crate::env::Env;
use crate::ids::RoleArn;
use crate::retry::{Made, make_or_adopt};
use crate::run::Run;
use anyhow::{Result, bail};
use aws_sdk_iam::types::Tag;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A role like others, but for its place: it doesn't go with the stage that it deploys.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct CiRole(Role);

impl CiRole {
    /// `policies` are the ARNs of its managed policies.
    pub fn new(
        env: &Env,
        trust: Value,
        mut policies: Vec<String>,
        boundary: Option<String>,
    ) -> Self {
        policies.sort();
        Self(Role {
            name: env.ci_role(),
            path: env.ci_role_path(),
            trust: canonical(trust),
            policies: BTreeMap::new(),
            attached: policies,
            boundary,
        })
    }
}

impl Resource<Run> for CiRole {
    const KIND: &'static str = "ci role";
    type Output = RoleArn;

    fn name(&self) -> String {
        self.0.name()
    }

    fn foretell(&self, cx: &Run) -> Option<RoleArn> {
        self.0.foretell(cx)
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, RoleArn>>> {
        let Some(Live { props, output, id, owner }) = self.0.read(cx).await? else {
            return Ok(None);
        };
        Ok(Some(Live { props: Self(props), output, id, owner }))
    }

    async fn create(&self, cx: &Run) -> Result<RoleArn> {
        self.0.create(cx).await
    }

    async fn update(&self, cx: &Run, live: &Live<Self, RoleArn>) -> Result<RoleArn> {
        let Live { props, output, id, owner } = live;
        let (output, id, owner) = (output.clone(), id.clone(), owner.clone());
        self.0.update(cx, &Live { props: props.0.clone(), output, id, owner }).await
    }

    async fn delete(cx: &Run, id: &str) -> Result<()> {
        Role::delete(cx, id).await
    }

    /// By its name, for there is one a stage and region.
    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let name = cx.env.ci_role();
        let Some((_, tags)) = super::role::get(cx, &name).await? else { return Ok(vec![]) };
        if let Owner::Other(whose) = owner(&cx.env, &tags) {
            bail!(Foreign(vec![format!("{} {name} exists and is not ours: {whose}", Self::KIND)]))
        }
        Ok(vec![Owned { id: name.clone(), name }])
    }
}

/// GitHub, whose word on its jobs the account takes. There is one for all roles, whoever made them: it is
/// made where none is, and deleted with the last role that needs it if it was made so.
#[derive(Debug, Serialize)]
pub struct OidcProvider {
    pub audience: String,
}

impl OidcProvider {
    pub fn github() -> Self {
        Self { audience: AUDIENCE.to_owned() }
    }
}

/// On one that was made here. It bears no stage's tags, for it is the account's.
const MADE_BY: (&str, &str) = ("managed-by", "deployer");

struct Found {
    audiences: Vec<String>,
    made_here: bool,
}

async fn find(cx: &Run) -> Result<Option<Found>> {
    let arn = provider_arn(&cx.env);
    let request =
        || cx.iam.get_open_id_connect_provider().open_id_connect_provider_arn(&arn).send();
    let answer = cx.call("iam:GetOpenIDConnectProvider", request).await.or_missing()?;
    Ok(answer.map(|provider| Found {
        made_here: provider.tags().iter().any(|tag| (tag.key(), tag.value()) == MADE_BY),
        audiences: provider.client_id_list.unwrap_or_default(),
    }))
}

/// Whether another role than ours lets in whom the provider vouches for. Policies are listed with the
/// roles, percent-encoded.
async fn is_used_by_others(cx: &Run) -> Result<bool> {
    let (ours, arn) = (cx.env.ci_role(), provider_arn(&cx.env));
    let mut marker = None;
    loop {
        let request = || cx.iam.list_roles().set_marker(marker.clone()).send();
        let page = cx.call("iam:ListRoles", request).await?;
        for role in page.roles.iter().filter(|role| role.role_name != ours) {
            let trust = role.assume_role_policy_document().unwrap_or_default();
            if percent_decode_str(trust).decode_utf8_lossy().contains(&arn) {
                return Ok(true);
            }
        }
        marker = page.marker.filter(|_| page.is_truncated);
        if marker.is_none() {
            return Ok(false);
        }
    }
}

impl Resource<Run> for OidcProvider {
    const KIND: &'static str = "oidc provider";
    type Output = ();

    fn name(&self) -> String {
        ISSUER.to_owned()
    }

    /// Whoever made it, it serves; unless it is for other tokens, when its owner has to be asked.
    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ()>>> {
        let Some(Found { audiences, .. }) = find(cx).await? else { return Ok(None) };
        if !audiences.contains(&self.audience) {
            let (arn, audience) = (provider_arn(&cx.env), &self.audience);
            bail!(
                "the account knows {ISSUER}, but takes no tokens for {audience} from it; its owner may \
                 add that: aws iam add-client-id-to-open-id-connect-provider \
                 --open-id-connect-provider-arn {arn} --client-id {audience}"
            );
        }
        let props = Self { audience: self.audience.clone() };
        Ok(Some(Live { props, output: (), id: ISSUER.to_owned(), owner: Owner::Ours }))
    }

    /// Without a thumbprint: IAM knows GitHub's certificates (IAM: "Create an OpenID Connect identity
    /// provider").
    async fn create(&self, cx: &Run) -> Result<()> {
        let tag = Tag::builder().key(MADE_BY.0).value(MADE_BY.1).build()?;
        let request = || {
            let request = cx.iam.create_open_id_connect_provider().url(format!("https://{ISSUER}"));
            request.client_id_list(&self.audience).tags(tag.clone()).send()
        };
        let make = || cx.call("iam:CreateOpenIDConnectProvider", request);
        let exists = |failure: &Failure| failure.is("EntityAlreadyExists");
        match make_or_adopt(make, exists, || self.read(cx)).await? {
            Made::New(_) | Made::Adopted(_) => Ok(()),
        }
    }

    async fn update(&self, _: &Run, _: &Live<Self, ()>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Run, _: &str) -> Result<()> {
        let arn = provider_arn(&cx.env);
        let request =
            || cx.iam.delete_open_id_connect_provider().open_id_connect_provider_arn(&arn).send();
        gone(cx.call("iam:DeleteOpenIDConnectProvider", request).await)
    }

    /// Where it was made here, and no other role needs it.
    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let made_here = find(cx).await?.is_some_and(|found| found.made_here);
        match made_here && !is_used_by_others(cx).await? {
            true => Ok(vec![Owned { name: ISSUER.to_owned(), id: ISSUER.to_owned() }]),
            false => Ok(vec![]),
        }
    }
}
