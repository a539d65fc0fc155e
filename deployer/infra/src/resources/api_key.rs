//! The key that callers show, as API Gateway holds it.

use super::listed::make_unlisted;
use super::ownership::{adopt, gateway_gone, is_ours, owner};
use crate::aws::Failure;
use crate::engine::{Live, Owned, Resource, Secret, Value};
use crate::env::Tags;
use crate::ids::ApiKeyId;
use crate::retry::{Made, make_or_adopt};
use crate::run::Run;
use anyhow::Result;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use futures_util::future::try_join_all;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// A key whose value is made by us and kept in SSM first. A value is unique in an account and
/// region, so a lost answer finds the key again instead of making a second one.
#[derive(Debug, Serialize)]
pub struct ApiKey {
    #[serde(skip)]
    pub name: String,
    pub enabled: bool,
    /// Compared and shown as a hash.
    pub value: Value<Secret>,
}

impl ApiKey {
    async fn make(&self, cx: &Run, value: &Secret) -> Result<ApiKeyId, Failure> {
        let request = || {
            let request = cx.apigateway.create_api_key().name(&self.name).value(value.reveal());
            // Left out, it means disabled.
            let request = request.enabled(self.enabled);
            request.set_tags(Some(cx.env.tags().into_iter().collect())).send()
        };
        make_unlisted(cx, async { Ok(cx.call("apigateway:CreateApiKey", request).await?.id) })
            .await
            .map(ApiKeyId)
    }
}

/// Says in a tag until when a key works that was rotated: `2026-11-25T18:05:00Z`.
const RETIRE_AT: &str = "retire-at";

/// A key as lists tell of it.
#[derive(Clone)]
pub(super) struct Key {
    pub id: String,
    pub name: String,
    pub value: Secret,
    pub enabled: bool,
    pub tags: Tags,
    pub created: i64,
}

/// Until when a key with these tags works (seconds since 1970), if it was rotated.
pub(super) fn retires(tags: &Tags) -> Option<i64> {
    let time = DateTime::from_str(tags.get(RETIRE_AT)?, Format::DateTime);
    time.ok().map(|time| time.secs())
}

/// Whether a key of ours was rotated, and its time is not over. It isn't declared, and yet no leftover.
pub(super) async fn still_works(cx: &Run, id: &str) -> Result<bool> {
    let keys = list(cx, &cx.env.name()).await?.into_iter();
    let key = keys.filter(|key| is_ours(&cx.env, &key.tags)).find(|key| key.id == id);
    let until = key.and_then(|key| retires(&key.tags));
    Ok(until.is_some_and(|until| until > cx.clock.now()))
}

/// Writes down until when a key works.
pub(super) async fn retire(cx: &Run, id: &str, until: i64) -> Result<()> {
    let arn = cx.env.gateway_arn(&format!("/apikeys/{id}"));
    let time = DateTime::from_secs(until).fmt(Format::DateTime)?;
    let tag =
        || cx.apigateway.tag_resource().resource_arn(&arn).tags(RETIRE_AT, time.clone()).send();
    cx.call("apigateway:TagResource", tag).await?;
    Ok(())
}

/// The keys that were rotated and still work, as they were listed last: ids, and until when.
pub fn retiring(cx: &Run) -> BTreeMap<String, i64> {
    cx.retiring.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The keys whose name begins so, the oldest first. That is how `nameQuery` matches.
pub(super) async fn list(cx: &Run, prefix: &str) -> Result<Vec<Key>> {
    match prefix == cx.env.name() {
        true => cx.lists.get(&cx.lists.keys, read_list(cx, prefix)).await,
        false => read_list(cx, prefix).await,
    }
}

async fn read_list(cx: &Run, prefix: &str) -> Result<Vec<Key>> {
    let (mut keys, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_api_keys().name_query(prefix).include_values(true);
            request.limit(500).set_position(position.clone()).send()
        };
        let page = cx.call("apigateway:GetApiKeys", request).await?;
        let found = page.items.unwrap_or_default().into_iter().map(async |key| {
            let value = Secret::new(key.value.unwrap_or_default());
            cx.secrets.keep(&value);
            let (id, name) = (key.id.unwrap_or_default(), key.name.unwrap_or_default());
            let tags = super::ownership::gateway_tags(cx, &format!("/apikeys/{id}")).await?;
            let created = key.created_date.map_or(0, |date| date.secs());
            let key = |tags| Key { tags, value, enabled: key.enabled, created, id, name };
            Ok::<_, anyhow::Error>(tags.map(key))
        });
        keys.extend(try_join_all(found).await?.into_iter().flatten());
        position = page.position;
        if position.is_none() {
            keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
            return Ok(keys);
        }
    }
}

impl Resource<Run> for ApiKey {
    const KIND: &'static str = "api key";
    type Output = ApiKeyId;

    fn name(&self) -> String {
        self.name.clone()
    }

    /// A value can't be changed. So a key of ours with another value isn't this one: this one is
    /// made, its users move to it, and only then does the other go, as a leftover.
    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ApiKeyId>>> {
        let named = list(cx, &self.name).await?.into_iter().filter(|key| key.name == self.name);
        let (ours, others): (Vec<Key>, Vec<Key>) =
            named.partition(|key| is_ours(&cx.env, &key.tags));
        let found = match ours.is_empty() {
            true => others.into_iter().next(),
            false => ours.into_iter().find(|key| self.value.known() == Some(&key.value)),
        };
        let Some(key) = found else { return Ok(None) };
        Ok(Some(Live {
            owner: owner(&cx.env, &key.tags),
            output: ApiKeyId(key.id.clone()),
            id: key.id,
            props: Self { name: key.name, enabled: key.enabled, value: key.value.into() },
        }))
    }

    async fn create(&self, cx: &Run) -> Result<ApiKeyId> {
        let value = self.value.get()?;
        let exists = |failure: &Failure| failure.is("ConflictException");
        match make_or_adopt(|| self.make(cx, value), exists, || adopt(self, cx)).await? {
            Made::New(id) | Made::Adopted(id) => Ok(id),
        }
    }

    async fn update(&self, cx: &Run, live: &Live<Self, ApiKeyId>) -> Result<ApiKeyId> {
        let enabled = PatchOperation::builder()
            .op(Op::Replace)
            .path("/enabled")
            .value(self.enabled.to_string())
            .build();
        let request = || {
            let request = cx.apigateway.update_api_key().api_key(&live.id);
            request.patch_operations(enabled.clone()).send()
        };
        cx.call("apigateway:UpdateApiKey", request).await?;
        Ok(live.output.clone())
    }

    /// Leaves its usage plans by itself.
    async fn delete(cx: &Run, id: &str) -> Result<()> {
        let request = || cx.apigateway.delete_api_key().api_key(id).send();
        let deleted = cx.call("apigateway:DeleteApiKey", request).await;
        gateway_gone(cx, &format!("/apikeys/{id}"), deleted).await
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let keys = list(cx, &cx.env.name()).await?.into_iter();
        let ours: Vec<Key> = keys.filter(|key| is_ours(&cx.env, &key.tags)).collect();
        let until = ours.iter().filter_map(|key| Some((key.id.clone(), retires(&key.tags)?)));
        let retiring = until.filter(|(_, until)| *until > cx.clock.now()).collect();
        *cx.retiring.lock().unwrap_or_else(PoisonError::into_inner) = retiring;
        Ok(ours.into_iter().map(|key| Owned { name: key.name, id: key.id }).collect())
    }
}
