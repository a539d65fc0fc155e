//! SSM parameters: plain ones that say what is deployed, and the one that holds the API key.

use super::keys;
use super::ownership::{adopt, gone, is_ours, owner};
use crate::aws::{Failure, Missing, random_key};
use crate::engine::{Live, Owned, Owner, Resource, Secret};
use crate::env::Tags;
use crate::retry::{Made, make_or_adopt};
use crate::run::Run;
use anyhow::{Result, bail};
use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging, Tag};
use futures_util::future::try_join_all;
use serde::Serialize;
use std::sync::PoisonError;

/// Instead of a type, where the parameter of a living key is missing.
const MISSING: &str = "missing";

/// A readable fact: the version that is deployed.
#[derive(Clone, Debug, Serialize)]
pub struct Parameter {
    #[serde(skip)]
    pub name: String,
    pub value: String,
}

/// A value that we make once, keep in SSM encrypted (`SecureString`), and never show.
#[derive(Debug, Serialize)]
pub struct SecretParameter {
    #[serde(skip)]
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// A parameter as it is.
struct Found {
    kind: ParameterType,
    value: String,
    tags: Tags,
}

async fn find(cx: &Run, name: &str) -> Result<Option<Found>> {
    let get = || cx.ssm.get_parameter().name(name).with_decryption(true).send();
    let found = async { cx.call("ssm:GetParameter", get).await.or_missing() };
    let (found, tags) = tokio::join!(found, tags(cx, name));
    let Some(parameter) = found?.and_then(|answer| answer.parameter) else { return Ok(None) };
    let Some(tags) = tags? else { return Ok(None) };
    let kind = parameter.r#type.unwrap_or(ParameterType::String);
    let value = parameter.value.unwrap_or_default();
    if kind == ParameterType::SecureString {
        cx.secrets.keep(&Secret::new(value.clone()));
    }
    Ok(Some(Found { kind, value, tags }))
}

async fn tags(cx: &Run, name: &str) -> Result<Option<Tags>> {
    let kind = ResourceTypeForTagging::Parameter;
    let request =
        || cx.ssm.list_tags_for_resource().resource_type(kind.clone()).resource_id(name).send();
    match cx.call("ssm:ListTagsForResource", request).await {
        Ok(answer) => {
            let pairs = answer.tag_list.unwrap_or_default().into_iter();
            Ok(Some(pairs.map(|tag| (tag.key, tag.value)).collect()))
        }
        // What SSM says of a parameter that isn't there.
        Err(failure) if failure.is("InvalidResourceId") || failure.is_missing() => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Makes it with its tags; refused by SSM if it is there.
async fn put_new(cx: &Run, name: &str, kind: ParameterType, value: &str) -> Result<(), Failure> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build().ok();
    let tags: Vec<Tag> = cx.env.tags().iter().filter_map(tag).collect();
    let request = || {
        let request = cx.ssm.put_parameter().name(name).value(value).r#type(kind.clone());
        request.overwrite(false).set_tags(Some(tags.clone())).send()
    };
    cx.call("ssm:PutParameter", request).await.map(drop)
}

fn exists(failure: &Failure) -> bool {
    failure.is("ParameterAlreadyExists")
}

async fn delete(cx: &Run, name: &str) -> Result<()> {
    gone(cx.call("ssm:DeleteParameter", || cx.ssm.delete_parameter().name(name).send()).await)
}

impl Resource<Run> for Parameter {
    const KIND: &'static str = "parameter";
    type Output = ();

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ()>>> {
        let Some(found) = find(cx, &self.name).await? else { return Ok(None) };
        let name = self.name.clone();
        Ok(Some(Live {
            owner: owner(&cx.env, &found.tags),
            output: (),
            id: name.clone(),
            props: Self { name, value: found.value },
        }))
    }

    async fn create(&self, cx: &Run) -> Result<()> {
        let make = || put_new(cx, &self.name, ParameterType::String, &self.value);
        make_or_adopt(make, exists, || adopt(self, cx)).await.map(drop)
    }

    async fn update(&self, cx: &Run, live: &Live<Self, ()>) -> Result<()> {
        // Every Put is a new version of which SSM keeps a hundred, so none without need. Tags
        // can't be sent along with Overwrite, and need not: without them it wouldn't be ours.
        if live.props.value != self.value {
            let request = || {
                let request = cx.ssm.put_parameter().name(&self.name).value(&self.value);
                request.r#type(ParameterType::String).overwrite(true).send()
            };
            cx.call("ssm:PutParameter", request).await?;
        }
        Ok(())
    }

    async fn delete(cx: &Run, id: &str) -> Result<()> {
        delete(cx, id).await
    }

    /// Everything below the stage's path, the secret one too.
    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let (mut owned, mut token) = (vec![], None);
        loop {
            let request = || {
                let request = cx.ssm.get_parameters_by_path().path(cx.env.parameter_path());
                request.recursive(true).set_next_token(token.clone()).send()
            };
            // A page may be empty and yet not the last.
            let page = cx.call("ssm:GetParametersByPath", request).await?;
            let found = page.parameters().iter().map(async |parameter| {
                let name = parameter.name().unwrap_or_default().to_owned();
                let ours = tags(cx, &name).await?.is_some_and(|tags| is_ours(&cx.env, &tags));
                Ok::<_, anyhow::Error>(ours.then(|| Owned { id: name.clone(), name }))
            });
            owned.extend(try_join_all(found).await?.into_iter().flatten());
            token = page.next_token;
            if token.is_none() {
                return Ok(owned);
            }
        }
    }
}

/// A readable parameter and when it was last written (seconds since 1970).
///
/// # Errors
/// When SSM can't be asked. What isn't there is `None`.
pub async fn fact(cx: &Run, name: &str) -> Result<Option<(String, i64)>> {
    let request = || cx.ssm.get_parameter().name(name).send();
    let answer = cx.call("ssm:GetParameter", request).await.or_missing()?;
    Ok(answer.and_then(|answer| answer.parameter).map(|parameter| {
        let at = parameter.last_modified_date().map_or(0, |date| date.secs());
        (parameter.value.unwrap_or_default(), at)
    }))
}

impl SecretParameter {
    pub fn new(name: String) -> Self {
        Self { name, kind: ParameterType::SecureString.as_str().to_owned() }
    }

    /// Whether it is the one that callers of the API send.
    fn is_api_key(&self, cx: &Run) -> bool {
        self.name == cx.env.parameter("api-key")
    }

    /// In place of a parameter that was deleted by hand: the value of the API key that callers use. A new key would
    /// lock all of them out.
    async fn orphaned(&self, cx: &Run) -> Result<Option<Live<Self, Secret>>> {
        if !self.is_api_key(cx) {
            return Ok(None);
        }
        let Some((key, value)) = keys::orphaned(cx).await? else { return Ok(None) };
        self.keep(cx, &value);
        let kind = format!("{MISSING}; the value of API key {key} is stored again");
        let name = self.name.clone();
        let props = Self { name: name.clone(), kind };
        Ok(Some(Live { owner: Owner::Ours, output: value, id: name, props }))
    }

    /// Smoke tests needn't ask for the API key again.
    fn keep(&self, cx: &Run, value: &Secret) {
        if self.is_api_key(cx) {
            *cx.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(value.clone());
        }
    }

    /// The value where it is, as it is handed to AWS and to smoke tests.
    ///
    /// # Errors
    /// When it isn't there, or isn't ours.
    pub async fn value(cx: &Run, name: &str) -> Result<Secret> {
        match Self::value_if_there(cx, name).await? {
            Some(value) => Ok(value),
            None => bail!("parameter {name} is not there"),
        }
    }

    /// The stage's API key, as this run knows it already, or else as [`value`](Self::value) reads it.
    ///
    /// # Errors
    /// When it isn't there, or isn't ours.
    pub async fn api_key(cx: &Run) -> Result<Secret> {
        let known = cx.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(key) => Ok(key),
            None => Self::value(cx, &cx.env.parameter("api-key")).await,
        }
    }

    /// # Errors
    /// When it isn't ours.
    pub async fn value_if_there(cx: &Run, name: &str) -> Result<Option<Secret>> {
        let Some(found) = find(cx, name).await? else { return Ok(None) };
        if !is_ours(&cx.env, &found.tags) {
            bail!("parameter {name} does not bear our tags");
        }
        Ok(Some(Secret::new(found.value)))
    }

    /// Holds another value from now on. It must have been read and found ours.
    pub(super) async fn replace(cx: &Run, name: &str, value: &Secret) -> Result<()> {
        let request = || {
            let request = cx.ssm.put_parameter().name(name).value(value.reveal());
            request.r#type(ParameterType::SecureString).overwrite(true).send()
        };
        cx.call("ssm:PutParameter", request).await?;
        Ok(())
    }
}

impl Resource<Run> for SecretParameter {
    const KIND: &'static str = Parameter::KIND;
    type Output = Secret;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, Secret>>> {
        let Some(found) = find(cx, &self.name).await? else { return self.orphaned(cx).await };
        let ours = owner(&cx.env, &found.tags);
        let length = found.value.chars().count();
        // API Gateway takes 20 to 128 characters (CreateApiKey).
        let fits = !self.is_api_key(cx) || (20..=128).contains(&length);
        if ours == Owner::Ours && !fits {
            bail!(
                "parameter {} holds {length} characters and an API key has 20 to 128; delete the \
                 parameter to have a new key made",
                self.name
            );
        }
        if ours == Owner::Ours {
            self.keep(cx, &Secret::new(found.value.clone()));
        }
        let name = self.name.clone();
        Ok(Some(Live {
            owner: ours,
            output: Secret::new(found.value),
            id: name.clone(),
            props: Self { name, kind: found.kind.as_str().to_owned() },
        }))
    }

    async fn create(&self, cx: &Run) -> Result<Secret> {
        let value = random_key()?;
        cx.secrets.keep(&value);
        let kind = ParameterType::from(self.kind.as_str());
        let make = || put_new(cx, &self.name, kind.clone(), value.reveal());
        let key = match make_or_adopt(make, exists, || adopt(self, cx)).await? {
            Made::New(()) => value,
            // The one that is there counts: it may be in use already.
            Made::Adopted(there) => there,
        };
        self.keep(cx, &key);
        Ok(key)
    }

    async fn update(&self, cx: &Run, live: &Live<Self, Secret>) -> Result<Secret> {
        // Overwriting cannot change the type, and a key in clear is no secret: make it anew. Should
        // we be stopped in between, the next run makes a new value and a new key of it.
        if live.props.kind != self.kind {
            if !live.props.kind.starts_with(MISSING) {
                delete(cx, &self.name).await?;
            }
            let kind = ParameterType::from(self.kind.as_str());
            let make = || put_new(cx, &self.name, kind.clone(), live.output.reveal());
            // SSM asks for 30 s between the two (DeleteParameter).
            let same = async || {
                let there = find(cx, &self.name).await?;
                Ok(there.filter(|found| found.kind == kind).map(drop))
            };
            make_or_adopt(make, exists, same).await?;
        }
        Ok(live.output.clone())
    }

    async fn delete(cx: &Run, id: &str) -> Result<()> {
        delete(cx, id).await
    }
}
