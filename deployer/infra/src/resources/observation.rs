//! How a stage is watched: a line a request in a log group, and traces.

use super::ownership::gone;
use crate::aws::Aws;
use crate::engine::Value;
use crate::env::Env;
use crate::ids::LogGroupName;
use anyhow::Result;
use aws_sdk_apigateway::operation::get_stage::GetStageOutput;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use serde::Serialize;

/// The access log format: one line of JSON a request (API Gateway's developer guide, "Variables for access logging").
///
/// API Gateway escapes nothing, so no variable is text that a caller or a function chooses:
/// - `error.responseType` and status numbers, not `error.message` or `integrationErrorMessage`;
/// - `resourcePath`, the route's path as declared, not `path`;
/// - `extendedRequestId`, not `requestId`, which a caller sets with the header `x-amzn-RequestId`.
///
/// Each value has quotes of its own, numbers too: a missing value is logged as `-`. Of the API key, only the id is logged.
const FORMAT: &str = concat!(
    r#"{"extendedRequestId":"$context.extendedRequestId","#,
    r#""functionRequestId":"$context.awsEndpointRequestId","ip":"$context.identity.sourceIp","#,
    r#""method":"$context.httpMethod","route":"$context.resourcePath","#,
    r#""status":"$context.status","milliseconds":"$context.responseLatency","#,
    r#""functionMilliseconds":"$context.integrationLatency","#,
    r#""functionStatus":"$context.integrationStatus","functionAnswer":"$context.integration.status","#,
    r#""error":"$context.error.responseType","apiKeyId":"$context.identity.apiKeyId"}"#,
);

#[derive(Clone, Debug, Serialize)]
pub struct Observation {
    /// The log group that gets a line a request. None on a live stage: no group does.
    pub access_log: Option<Value<LogGroupName>>,
    pub access_log_format: String,
    /// Whether X-Ray gets a sample of the requests.
    pub traced: bool,
}

impl Observation {
    pub fn in_group(group: Value<LogGroupName>) -> Self {
        Self { access_log: Some(group), access_log_format: FORMAT.to_owned(), traced: true }
    }

    pub(super) fn of(stage: &GetStageOutput, env: &Env) -> Self {
        let log = stage.access_log_settings();
        let group = log.and_then(|log| log.destination_arn()).map(|arn| {
            // Where it isn't one of our groups: the ARN itself.
            let here = env.log_group_arn("");
            LogGroupName(arn.strip_prefix(&here).unwrap_or(arn).to_owned()).into()
        });
        let format = log.and_then(|log| log.format()).unwrap_or_default().to_owned();
        Self { access_log: group, access_log_format: format, traced: stage.tracing_enabled() }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        let all =
            |o: &Self| (name(o).map(ToOwned::to_owned), o.access_log_format.clone(), o.traced);
        all(self) == all(other)
    }

    /// What makes a stage be watched so: values, by the path that UpdateStage has for each.
    pub(super) fn settings(&self, env: &Env) -> Vec<(String, String)> {
        let mut settings = vec![("/tracingEnabled".to_owned(), self.traced.to_string())];
        if let Some(group) = name(self) {
            let log = |leaf: &str| format!("/accessLogSettings/{leaf}");
            // Without `:*` at its end: AWS refuses that here.
            settings.push((log("destinationArn"), env.log_group_arn(group)));
            settings.push((log("format"), self.access_log_format.clone()));
        }
        settings
    }
}

/// Stops the access log of the stage, before its API and its log group are deleted: an API goes on serving for a while
/// after it was deleted, and API Gateway creates the group again for each line
/// (github.com/hashicorp/terraform/issues/32693).
///
/// # Errors
/// When the stage can't be changed. That there is no stage or no access log is fine.
pub(super) async fn stop_access_log(cx: &Aws, api: &str) -> Result<()> {
    let remove = PatchOperation::builder().op(Op::Remove).path("/accessLogSettings").build();
    let request = || {
        let request = cx.apigateway.update_stage().rest_api_id(api).stage_name(&cx.env.stage);
        request.patch_operations(remove.clone()).send()
    };
    match cx.call("apigateway:UpdateStage", request).await {
        // API Gateway refuses to remove other settings that aren't there; of an API that is gone it says for ever
        // that another change is being made. The group is looked for again in any case.
        Err(failure) if failure.is("BadRequestException") || failure.is("ConflictException") => {
            Ok(())
        }
        answer => gone(answer),
    }
}

fn name(observation: &Observation) -> Option<&str> {
    observation.access_log.as_ref()?.known().map(LogGroupName::as_str)
}

#[cfg(test)]
mod tests {
    use super::FORMAT;

    /// AWS refuses a format without a request id, or of several lines.
    #[test]
    fn access_log_format_is_one_line_of_quoted_values_without_the_key() {
        let fields: serde_json::Value = serde_json::from_str(FORMAT).unwrap();
        assert_eq!(fields["extendedRequestId"], "$context.extendedRequestId");
        assert!(fields.as_object().unwrap().values().all(serde_json::Value::is_string));
        assert!(!FORMAT.contains('\n') && !FORMAT.contains("identity.apiKey\""), "{FORMAT}");
    }
}
