//! Whose a resource is, by its tags; and what follows when it is created or deleted.

use crate::aws::{Failure, Missing};
use crate::engine::{Foreign, Live, Owner, Resource};
use crate::env::{Env, Tags};
use crate::run::Run;
use anyhow::{Result, bail};

/// Whose a resource is: ours if it bears all our tags.
pub(super) fn owner(env: &Env, tags: &Tags) -> Owner {
    let ours = env.tags();
    if ours.iter().all(|(key, value)| tags.get(key) == Some(value)) {
        return Owner::Ours;
    }
    let show = |(key, value): (&String, &String)| format!("{key}={value}");
    let list = |tags: &Tags| tags.iter().map(show).collect::<Vec<_>>().join(" ");
    Owner::Other(match tags.is_empty() {
        true => format!("it has no tags (ours would be {})", list(&ours)),
        false => format!("its tags are {} (ours would be {})", list(tags), list(&ours)),
    })
}

pub(super) fn is_ours(env: &Env, tags: &Tags) -> bool {
    owner(env, tags) == Owner::Ours
}

/// After AWS answered a create with "it exists already": updates the live resource if it bears our tags. None if reading
/// finds no resource.
///
/// # Errors
/// When it isn't ours: it is not touched.
pub(super) async fn adopt<R: Resource<Run>>(wanted: &R, cx: &Run) -> Result<Option<R::Output>> {
    match wanted.read(cx).await? {
        Some(Live { owner: Owner::Other(whose), .. }) => {
            let title = format!("{} {}", R::KIND, wanted.name());
            bail!(Foreign(vec![format!("{title} exists and is not ours: {whose}")]))
        }
        Some(live) => wanted.update(cx, &live).await.map(Some),
        None => Ok(None),
    }
}

/// Deleting what is gone already is success.
pub(super) fn gone<T>(result: Result<T, Failure>) -> Result<()> {
    match result {
        Err(failure) if !failure.is_missing() => Err(failure.into()),
        _ => Ok(()),
    }
}

/// The same for what API Gateway lets us delete by its tags alone: what is gone has no tags, so the repeat of a DELETE
/// whose answer was lost is denied, and not answered with NotFound.
pub(super) async fn gateway_gone<T>(
    cx: &Run,
    path: &str,
    result: Result<T, Failure>,
) -> Result<()> {
    match result {
        Err(failure) if failure.is_denied() => match gateway_tags(cx, path).await {
            Ok(None) => Ok(()),
            _ => Err(failure.into()),
        },
        result => gone(result),
    }
}

/// Tags of an API Gateway object. None when it is gone: lists tell of it for a while, and don't always
/// tell the tags.
pub(super) async fn gateway_tags(cx: &Run, path: &str) -> Result<Option<Tags>> {
    let arn = cx.env.gateway_arn(path);
    let answer =
        cx.call("apigateway:GetTags", || cx.apigateway.get_tags().resource_arn(&arn).send());
    let answer = Missing::or_missing(answer.await)?;
    Ok(answer.map(|answer| answer.tags.unwrap_or_default().into_iter().collect()))
}
