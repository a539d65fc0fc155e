//! `deployer key`: the one way to see the API key; and to have another take its place.

use super::deploy::listed;
use super::explain::{self, NotDeployed, Preflight};
use super::releases::utc;
use super::run::{connect, look_at_lease, mind_interrupts, take_lease, with_lease};
use super::screen::{BAD, DIM, GOOD, agrees, paint, result, say};
use super::values::{TIMEOUT, duration, number};
use super::{Common, Exit, Patience};
use crate::engine::{Action, Report, Step, Stopped};
use crate::ids::ApiId;
use crate::lease::Intent;
use crate::resources::keys::{self, Keys, Place, StageKey};
use crate::resources::{SecretParameter, api_id, retiring};
use crate::run::Run;
use crate::smoke::await_key;
use anyhow::{Context, Result, bail};
use std::time::Duration;

pub const EXAMPLES: &str = "\
Example:
  curl -H \"x-api-key: $(deployer key show)\" \"$(deployer outputs --json | jq -r .url)/health\"";

const ROTATION: &str = "\
Another key is made, and the API is called with it, each time by a new connection, until all calls
of ten seconds are let in; only then do the SSM parameter and `key show` tell it. The old one works
on for the grace time; the first deploy, rotation or `key list --prune` afterwards deletes it.

Examples:
  deployer key rotate               callers have a day to fetch the new key
  deployer key rotate --grace 7d
  deployer key rotate --grace 0s    it has leaked: the old key is deleted at once";

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Print the key's value on stdout
    Show,
    /// Have another key take its place, and let the old one work on for a while
    #[command(after_help = ROTATION)]
    Rotate(Rotate),
    /// List the stage's keys: which is current, and until when the others work; never their values
    List(List),
    /// Delete a key before its time
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// How long the old key works on: 0s, 30m, 24h, 7d
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = duration(90))]
    grace: Duration,
    /// How many seconds AWS may take until the new key is known everywhere
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    #[arg(value_parser = number("seconds", TIMEOUT))]
    timeout: u64,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Delete those whose time is over
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// As `key list` tells it
    id: String,
    #[command(flatten)]
    patience: Patience,
}

impl Verb {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Show => "key show",
            Self::Rotate(_) => "key rotate",
            Self::List(_) => "key list",
            Self::Revoke(_) => "key revoke",
        }
    }
}

pub async fn run(common: &Common, verb: &Verb) -> Result<Exit> {
    match verb {
        Verb::Show => show(common).await,
        Verb::Rotate(args) => rotate(common, args).await,
        Verb::List(args) if !args.prune => list(common).await,
        Verb::List(args) => {
            let none = |_: &Keys| Ok(None);
            change(common, &args.patience, "key list --prune", none, async |_, _| Ok(vec![])).await
        }
        Verb::Revoke(args) => revoke(common, args).await,
    }
}

async fn show(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    let name = aws.env.parameter("api-key");
    let key = match SecretParameter::value_if_there(&aws, &name).await? {
        None if api_id(&aws).await?.is_none() => bail!(NotDeployed(common.stage.clone())),
        key => key.with_context(|| format!("parameter {name} is not there"))?,
    };
    result(key.reveal());
    Ok(Exit::Done)
}

async fn list(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    print(common, &Keys::read(&aws).await?, aws.clock.now());
    Ok(Exit::Done)
}

async fn rotate(common: &Common, args: &Rotate) -> Result<Exit> {
    let question = |keys: &Keys| {
        let Some(current) = keys.current() else { bail!(NotDeployed(common.stage.clone())) };
        Ok(Some(format!("Have another key take the place of {}?", current.id)))
    };
    change(common, &args.patience, "key rotate", question, async |aws, keys| {
        let Some(api) = api_id(aws).await? else { bail!(NotDeployed(common.stage.clone())) };
        replace(common, aws, &api, keys, args).await
    })
    .await
}

async fn revoke(common: &Common, args: &Revoke) -> Result<Exit> {
    let find = |keys: &Keys| match keys.all.iter().find(|key| key.id == args.id) {
        Some(key) if key.place == Place::Current => {
            bail!(
                "{} is the current key; `key rotate --grace 0s` ends it, and puts another in its place",
                key.id
            )
        }
        Some(key) => Ok(key.clone()),
        None => {
            bail!("stage {} has no key {}; `key list` tells which it has", common.stage, args.id)
        }
    };
    let question = |keys: &Keys| Ok(Some(format!("Delete key {}?", find(keys)?.id)));
    change(common, &args.patience, "key revoke", question, async |aws, keys| {
        let key = find(keys)?;
        keys.delete(aws, &key).await?;
        Ok(vec![step(Action::Delete, &key.name, &key.id)])
    })
    .await
}

/// Changes the stage's keys with the lease in hand, deletes those whose time is over, and tells which
/// there are now.
async fn change(
    common: &Common,
    patience: &Patience,
    doing: &'static str,
    question: impl Fn(&Keys) -> Result<Option<String>>,
    act: impl AsyncFn(&Run, &Keys) -> Result<Vec<Step>>,
) -> Result<Exit> {
    let aws = connect(common).await?;
    let seen = look_at_lease(common, &aws).await?;
    let asked = question(&Keys::read(&aws).await.context(Preflight)?).context(Preflight)?;
    if let Some(asked) = asked.filter(|_| !common.yes)
        && !agrees(asked, aws.stop()).await?
    {
        say("nothing was changed");
        return Ok(Exit::Preflight);
    }
    mind_interrupts(aws.stop());
    let intent = Intent { doing, git_sha: "", makes_bucket: false, patience: patience.time() };
    take_lease(common, &aws, seen, &intent).await?;
    if aws.lease.get().is_none() {
        bail!(NotDeployed(common.stage.clone()));
    }
    with_lease(common, &aws, async {
        // Under the lease, whatever was seen before.
        match go(common, &aws, &question, &act).await {
            Ok(()) => Ok(Exit::Done),
            Err(error) if error.chain().any(|cause| cause.is::<Stopped>()) => {
                say(format!("stopped; run {doing} again to go on"));
                Ok(Exit::Interrupted)
            }
            Err(error) => {
                explain::print(&error, common);
                say(paint(BAD, format!("the current key works; run {doing} again to go on")));
                Ok(Exit::PartlyDone)
            }
        }
    })
    .await
}

async fn go(
    common: &Common,
    aws: &Run,
    check: &impl Fn(&Keys) -> Result<Option<String>>,
    act: &impl AsyncFn(&Run, &Keys) -> Result<Vec<Step>>,
) -> Result<()> {
    let keys = Keys::read(aws).await?;
    check(&keys)?;
    let mut done = act(aws, &keys).await?;
    if aws.stop().asked() {
        say("what was asked for is done; `key list` tells which keys there are");
        return Ok(());
    }
    // What was made isn't in any list yet, perhaps; what was there is.
    for key in keys.retired(aws.clock.now()) {
        if !done.iter().any(|step| step.id.as_ref() == Some(&key.id)) {
            keys.delete(aws, key).await?;
            done.push(step(Action::Delete, &key.name, &key.id));
        }
    }
    listed(common, aws, &Report { done, ..Report::default() }).await?;
    print(common, &Keys::read(aws).await?, aws.clock.now());
    Ok(())
}

/// See [`keys`]: in which order, and why.
async fn replace(
    common: &Common,
    aws: &Run,
    api: &ApiId,
    keys: &Keys,
    args: &Rotate,
) -> Result<Vec<Step>> {
    let tell = |text: &str| {
        if !common.quiet {
            say(paint(DIM, text));
        }
    };
    if keys.is_switched() {
        tell("the last rotation had come to its end but for clearing up");
        keys::clear_up(aws).await?;
        return Ok(vec![]);
    }
    let Some(old) = keys.current() else { bail!(NotDeployed(common.stage.clone())) };
    let (new, value) = keys.make_next(aws).await?;
    let Some(endpoint) = common.app.endpoints.first() else { bail!("the API has no endpoint") };
    let url = format!("{}{}", aws.url(api.as_str()), endpoint.path);
    let deadline = Duration::from_secs(args.timeout);
    tokio::select! {
        () = aws.outage().begun() => bail!(aws.outage().failure("execute-api:Invoke", true)),
        known = await_key(&aws.http, &url, &value, deadline, aws.stop(), &tell) => known?,
    }
    let grace = i64::try_from(args.grace.as_secs())?;
    keys.switch(aws, &value, aws.clock.now() + grace).await?;
    let mut done = vec![step(Action::Create, &old.name, new.as_str())];
    if args.grace.is_zero() {
        keys.delete(aws, old).await?;
        done.push(step(Action::Delete, &old.name, &old.id));
    }
    Ok(done)
}

fn step(action: Action, name: &str, id: &str) -> Step {
    let (kind, name, id) = ("api key".to_owned(), name.to_owned(), Some(id.to_owned()));
    Step { action, kind, name, id, changes: vec![] }
}

fn print(common: &Common, keys: &Keys, now: i64) {
    let until = |key: &StageKey| match key.place {
        Place::Retiring(until) => Some(until),
        _ => None,
    };
    if common.json {
        let json = |key: &StageKey| {
            serde_json::json!({
                "id": key.id,
                "name": key.name,
                "enabled": key.enabled,
                "created": key.created,
                "current": key.place == Place::Current,
                "retire_at": until(key),
            })
        };
        let list: Vec<_> = keys.all.iter().map(json).collect();
        result(serde_json::to_string_pretty(&list).unwrap_or_default());
        return;
    }
    if keys.all.is_empty() {
        result(format!("stage {} has no key", common.stage));
    }
    for key in &keys.all {
        let (style, place) = match key.place {
            Place::Current => (GOOD, "current".to_owned()),
            Place::Next => (DIM, "of a rotation that isn't finished".to_owned()),
            Place::Retiring(at) if at > now => (DIM, format!("works until {}", utc(at))),
            Place::Retiring(at) => (DIM, format!("retired {}; a deploy deletes it", utc(at))),
            Place::Unused => (DIM, "not used; a deploy deletes it".to_owned()),
        };
        let enabled = if key.enabled { "enabled" } else { "disabled" };
        let created = utc(key.created);
        result(format!(
            "{}  {}  {enabled}  made {created}  {}",
            key.id,
            key.name,
            paint(style, place)
        ));
    }
}

/// What a plan and a status say of keys that were rotated and still work.
pub fn still_working(aws: &Run) -> Vec<String> {
    let until =
        |(id, until): (String, i64)| format!("key {id} was rotated and works until {}", utc(until));
    retiring(aws).into_iter().map(until).collect()
}
