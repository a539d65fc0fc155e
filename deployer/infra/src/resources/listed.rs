//! What API Gateway's lists tell of, and nothing more: whether they have noticed what a run has done.

use crate::aws::Failure;
use crate::run::Run;
use anyhow::Result;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// The ids of all APIs, keys and usage plans of the account that the lists tell of.
///
/// # Errors
/// When API Gateway can't be asked.
pub async fn listed_ids(cx: &Run) -> Result<BTreeSet<String>> {
    let apis = pages(async |at| {
        let list = || cx.apigateway.get_rest_apis().limit(500).set_position(at.clone()).send();
        let page = cx.call("apigateway:GetRestApis", list).await?;
        Ok((page.items.unwrap_or_default().into_iter().map(|api| api.id).collect(), page.position))
    });
    let keys = pages(async |at| {
        let list = || cx.apigateway.get_api_keys().limit(500).set_position(at.clone()).send();
        let page = cx.call("apigateway:GetApiKeys", list).await?;
        Ok((page.items.unwrap_or_default().into_iter().map(|key| key.id).collect(), page.position))
    });
    let plans = pages(async |at| {
        let list = || cx.apigateway.get_usage_plans().limit(500).set_position(at.clone()).send();
        let page = cx.call("apigateway:GetUsagePlans", list).await?;
        Ok((page.items.unwrap_or_default().into_iter().map(|p| p.id).collect(), page.position))
    });
    let (apis, keys, plans) = tokio::try_join!(apis, keys, plans)?;
    Ok(apis.into_iter().chain(keys).chain(plans).collect())
}

/// Makes something that only lists tell of, and gives its id. A run that ends before they do says so in the
/// lease, and the next one waits for them; but not for what AWS has refused to make.
pub(super) async fn make_unlisted(
    cx: &Run,
    make: impl Future<Output = Result<Option<String>, Failure>>,
) -> Result<String, Failure> {
    // Before it is sent: the run may be stopped while it is under way.
    cx.unlisted.fetch_add(1, Ordering::Relaxed);
    let made = make.await;
    if made.as_ref().is_err_and(|failure| !failure.ambiguous) {
        cx.unlisted.fetch_sub(1, Ordering::Relaxed);
    }
    let id = made?;
    cx.lists.made().extend(id.clone());
    Ok(id.unwrap_or_default())
}

/// Of each page of a list, the ids, and where the next begins.
type Page = (Vec<Option<String>>, Option<String>);

async fn pages(read: impl AsyncFn(Option<String>) -> Result<Page>) -> Result<Vec<String>> {
    let (mut found, mut position) = (vec![], None);
    loop {
        let (ids, next) = read(position).await?;
        found.extend(ids.into_iter().flatten());
        position = next;
        if position.is_none() {
            return Ok(found);
        }
    }
}
