//! How a stage is watched: a line a request in a log group, and traces.

use super::{LogGroupName, Value};
use crate::env::Env;
use aws_sdk_apigateway::operation::get_stage::GetStageOutput;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use serde::Serialize;

/// What API Gateway writes of each request, as JSON (AWS: "Variables for access logging"). Of the key
/// only the id. Not the path as it was sent: callers could write fields of their own into the line.
const FORMAT: &str = concat!(
    r#"{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","#,
    r#""functionRequestId":"$context.awsEndpointRequestId","ip":"$context.identity.sourceIp","#,
    r#""method":"$context.httpMethod","route":"$context.resourcePath","#,
    r#""status":"$context.status","milliseconds":"$context.responseLatency","#,
    r#""functionMilliseconds":"$context.integrationLatency","#,
    r#""functionStatus":"$context.integrationStatus","error":"$context.error.message","#,
    r#""functionError":"$context.integrationErrorMessage","apiKeyId":"$context.identity.apiKeyId"}"#,
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

    /// What makes a stage be watched so.
    pub(super) fn patch(&self, env: &Env) -> Vec<PatchOperation> {
        let replace = |path: &str, value: String| {
            PatchOperation::builder().op(Op::Replace).path(path).value(value).build()
        };
        let mut patch = vec![replace("/tracingEnabled", self.traced.to_string())];
        if let Some(group) = name(self) {
            // Without `:*` at its end: AWS refuses that here.
            patch.push(replace("/accessLogSettings/destinationArn", env.log_group_arn(group)));
            patch.push(replace("/accessLogSettings/format", self.access_log_format.clone()));
        }
        patch
    }
}

fn name(observation: &Observation) -> Option<&str> {
    observation.access_log.as_ref()?.known().map(LogGroupName::as_str)
}

#[cfg(test)]
mod tests {
    use super::FORMAT;

    /// AWS refuses a format without an id of the request, or of several lines.
    #[test]
    fn the_format_is_one_line_of_json_and_tells_no_key() {
        let fields: serde_json::Value = serde_json::from_str(FORMAT).unwrap();
        assert_eq!(fields["requestId"], "$context.requestId");
        assert!(!FORMAT.contains('\n') && !FORMAT.contains("identity.apiKey\""), "{FORMAT}");
    }
}
