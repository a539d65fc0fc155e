//! The keys of a stage, while one takes another's place.
//!
//! Callers read the current one's value in the parameter `api-key`. A rotation goes on where another has
//! died, and whenever that was, the parameter holds a key that opens the API:
//!
//! 1. the new value is stored, in `api-key-next`: as AWS takes a value only once, no lost answer makes a
//!    second key of it;
//! 2. a key is made of it, and the usage plan admits it ([`Keys::make_next`]);
//! 3. the API is called with it by new connections, until all calls of ten seconds are let in;
//! 4. the old key gets a tag that says until when it works, and so is no leftover to any deploy;
//! 5. the new value is stored in `api-key`, and `api-key-next` deleted ([`Keys::switch`]).
//!
//! Nobody waits for the old key's time to end: the next run that comes by afterwards deletes it.

use super::api_key::{ApiKey, Key, list, retire, retires};
use super::ownership::is_ours;
use super::parameter::{Parameter, SecretParameter};
use super::usage_plan::admit;
use crate::engine::{Resource, Secret};
use crate::ids::ApiKeyId;
use crate::rebuild::CannotTell;
use crate::run::Run;
use anyhow::{Result, bail};

/// What a key is to its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its value is what callers are told.
    Current,
    /// A rotation made it, and didn't finish.
    Next,
    /// It was rotated, and works until then (seconds since 1970).
    Retiring(i64),
    /// Nobody knows of it: a leftover.
    Unused,
}

/// A key of ours.
#[derive(Clone, Debug)]
pub struct StageKey {
    pub id: String,
    pub name: String,
    pub enabled: bool,
    /// Seconds since 1970.
    pub created: i64,
    pub place: Place,
}

/// All keys of the stage, as they were read.
pub struct Keys {
    /// The oldest first.
    pub all: Vec<StageKey>,
    current: Option<Secret>,
    next: Option<Secret>,
}

impl Keys {
    /// Only those that bear our tags, whatever else has their name.
    ///
    /// # Errors
    /// When AWS can't be asked, or a parameter of ours by name isn't ours by tag.
    pub async fn read(cx: &Run) -> Result<Self> {
        let (current, next) = (cx.env.parameter("api-key"), next_parameter(cx));
        let (current, next) = tokio::try_join!(
            SecretParameter::value_if_there(cx, &current),
            SecretParameter::value_if_there(cx, &next),
        )?;
        let place = |key: &Key| match retires(&key.tags) {
            _ if current.as_ref() == Some(&key.value) => Place::Current,
            _ if next.as_ref() == Some(&key.value) => Place::Next,
            Some(until) => Place::Retiring(until),
            None => Place::Unused,
        };
        let name = cx.env.name();
        let keys = list(cx, &name).await?.into_iter();
        let ours = keys.filter(|key| key.name == name && is_ours(&cx.env, &key.tags));
        let all = ours.map(|key| StageKey {
            place: place(&key),
            id: key.id,
            name: key.name,
            enabled: key.enabled,
            created: key.created,
        });
        Ok(Self { all: all.collect(), current, next })
    }

    pub fn current(&self) -> Option<&StageKey> {
        self.all.iter().find(|key| key.place == Place::Current)
    }

    /// Those whose time is over.
    pub fn retired(&self, now: i64) -> impl Iterator<Item = &StageKey> {
        let over = move |place| matches!(place, Place::Retiring(until) if until <= now);
        self.all.iter().filter(move |key| over(key.place))
    }

    /// Whether a rotation has stored its key as the current one, and only has to clear up.
    pub fn is_switched(&self) -> bool {
        self.next.is_some() && self.next == self.current
    }

    /// A new key, which the usage plan admits; or the one that the last rotation didn't finish.
    ///
    /// # Errors
    /// What AWS refuses. What is made by then, the next call finds.
    pub async fn make_next(&self, cx: &Run) -> Result<(ApiKeyId, Secret)> {
        let value = match &self.next {
            Some(value) => value.clone(),
            None => SecretParameter::new(next_parameter(cx)).create(cx).await?,
        };
        let key = ApiKey { name: cx.env.name(), enabled: true, value: value.clone().into() };
        let id = match key.read(cx).await?.filter(|live| live.props.enabled) {
            Some(live) => live.output,
            None => key.create(cx).await?,
        };
        admit(cx, &id).await?;
        Ok((id, value))
    }

    /// Callers are told `value` from now on. The key that they know works until `until`.
    ///
    /// # Errors
    /// What AWS refuses. Until the very end they are told the old one, which works.
    pub async fn switch(&self, cx: &Run, value: &Secret, until: i64) -> Result<()> {
        if let Some(old) = self.current() {
            retire(cx, &old.id, until).await?;
        }
        SecretParameter::replace(cx, &cx.env.parameter("api-key"), value).await?;
        clear_up(cx).await
    }

    /// Deletes one. If it is a rotation's, the rotation is off.
    ///
    /// # Errors
    /// What AWS refuses.
    pub async fn delete(&self, cx: &Run, key: &StageKey) -> Result<()> {
        if key.place == Place::Next {
            clear_up(cx).await?;
        }
        ApiKey::delete(cx, &key.id).await
    }
}

/// The key that callers use while the parameter that holds its value is missing: its id and value. None if the stage
/// has no key.
///
/// # Errors
/// [`CannotTell`] if it has several, and none of them is a rotation's.
pub(super) async fn orphaned(cx: &Run) -> Result<Option<(String, Secret)>> {
    let name = cx.env.name();
    let mut keys = list(cx, &name).await?;
    keys.retain(|key| key.name == name && is_ours(&cx.env, &key.tags));
    if keys.is_empty() {
        return Ok(None);
    }
    // Rotated keys are no longer what callers are to use. Nor is the next one, unless the rotation got as far as
    // marking the one before it.
    let next = SecretParameter::value_if_there(cx, &next_parameter(cx)).await?;
    let is_next = |key: &Key| next.as_ref() == Some(&key.value);
    keys.retain(|key| is_next(key) || retires(&key.tags).is_none());
    if keys.len() > 1 {
        keys.retain(|key| !is_next(key));
    }
    match &keys[..] {
        [] => Ok(None),
        [key] => Ok(Some((key.id.clone(), key.value.clone()))),
        several => {
            let ids = several.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ");
            let parameter = cx.env.parameter("api-key");
            bail!(CannotTell {
                why: format!(
                    "parameter {parameter}, which holds the value of the API key, is missing, and the stage has \
                     several keys: {ids}"
                ),
                next: "delete those that no caller uses (`key list`, `key revoke ID`), then run it again; the \
                       deploy stores the value of the one that is left"
                    .to_owned(),
            })
        }
    }
}

/// Forgets the new value: it is the current one now, or nobody's.
///
/// # Errors
/// What AWS refuses.
pub async fn clear_up(cx: &Run) -> Result<()> {
    Parameter::delete(cx, &next_parameter(cx)).await
}

fn next_parameter(cx: &Run) -> String {
    cx.env.parameter("api-key-next")
}
