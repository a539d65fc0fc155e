//! How many calls of a function may run at once: a part of what the account may, reserved for it.

use super::Aws;
use anyhow::Result;

/// Reserves so many for a function, or none. Counts at once, for every version: it is no part of a release.
/// May be repeated.
///
/// # Errors
/// When Lambda refuses: at least a hundred of an account's must stay unreserved (PutFunctionConcurrency).
pub async fn reserve(cx: &Aws, name: &str, calls: Option<i32>) -> Result<()> {
    let Some(calls) = calls else {
        let request = || cx.lambda.delete_function_concurrency().function_name(name).send();
        cx.call("lambda:DeleteFunctionConcurrency", request).await?;
        return Ok(());
    };
    let request = || {
        let request = cx.lambda.put_function_concurrency().function_name(name);
        request.reserved_concurrent_executions(calls).send()
    };
    cx.call_new("lambda:PutFunctionConcurrency", request).await?;
    Ok(())
}
