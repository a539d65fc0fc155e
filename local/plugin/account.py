"""API Gateway's account settings, and the access logs that depend on them: refused as AWS refuses, and written.

Without a role to write them as, a stage can't have access logs. The emulator takes any role and any destination, and
never writes a line.

API Gateway puts the values into the format as they are and escapes nothing; for a value that is missing it writes `-`
(github.com/DataBiosphere/azul/issues/4348 has lines that quotes in a User-Agent broke). Some values are callers' text:
`$context.path`, `$context.identity.userAgent`, and `$context.requestId`, which is the header `x-amzn-RequestId` if the
caller sends one (API Gateway's developer guide, "Set up CloudWatch logging for REST APIs").

The role may create log groups, so API Gateway creates two by itself, without tags and retention: `/aws/apigateway/welcome`
when a role is set (github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2312), and the access log's again
when it has a line for it (github.com/hashicorp/terraform/issues/32693).
"""

import json
import re
import time
from contextvars import ContextVar

from ministack.core.responses import new_uuid
from ministack.services import apigateway_v1 as v1
from ministack.services import cloudwatch_logs, iam, lambda_svc

from plugin.patching import around

VARIABLE = re.compile(r"\$context\.([A-Za-z.]+)")

_facts = ContextVar("what the access log tells of the request being answered", default=None)


@around(v1, "_update_account")
def update_account(update, data):
    for patch in data.get("patchOperations", []):
        if patch.get("path") == "/cloudwatchRoleArn" and not _may_write(patch.get("value", "")):
            message = "The role ARN does not have required permissions set to API Gateway"
            return v1._v1_error("BadRequestException", message, 400)
        if patch.get("path") == "/cloudwatchRoleArn":
            cloudwatch_logs._create_log_group({"logGroupName": "/aws/apigateway/welcome"})
    return update(data)


def _may_write(arn):
    role = iam._roles.get(arn.rsplit("/", 1)[-1], {})
    trusted = "apigateway.amazonaws.com" in json.dumps(role.get("AssumeRolePolicyDocument"))
    return role.get("Arn") == arn and trusted and "PushToCloudWatchLogs" in json.dumps(role.get("AttachedPolicies"))


@around(v1, "_update_stage")
def update_stage(update, api_id, stage_name, data):
    for patch in data.get("patchOperations", []):
        if patch["path"].startswith("/accessLogSettings") and patch.get("op") != "remove":
            problem = _problem(patch)
            if problem:
                return v1._v1_error("BadRequestException", problem, 400)
    return update(api_id, stage_name, data)


def _problem(patch):
    if not (v1._account_settings.get("settings") or {}).get("cloudwatchRoleArn"):
        return "CloudWatch Logs role ARN must be set in account settings to enable logging"
    if patch["path"].endswith("/destinationArn") and not re.fullmatch(r"arn:[\w:/.#-]+", patch["value"]):
        return "Access log destination must only contain characters a-z, A-Z, 0-9, '_', '-', '/', '.', '#' and ':'"
    if patch["path"].endswith("/format") and not re.search(r"\$context\.(requestId|extendedRequestId)\b", patch["value"]):
        return "Access log format must be single line, new line character is allowed only at end of the format"
    return None


@around(v1, "_handle_execute_in_scope")
async def handle(handle, api_id, stage_name, method, path, headers, *rest):
    facts = {"extendedRequestId": new_uuid(), "httpMethod": method, "path": f"/{stage_name}{path}", "stage": stage_name}
    facts["requestId"] = headers.get("x-amzn-requestid", facts["extendedRequestId"])
    facts |= {"identity.sourceIp": "127.0.0.1", "identity.userAgent": headers.get("user-agent", "-")}
    token, began = _facts.set(facts), time.monotonic()
    try:
        answer = await handle(api_id, stage_name, method, path, headers, *rest)
    finally:
        _facts.reset(token)
    facts |= {"status": answer[0], "responseLatency": _since(began)}
    settings = v1._stages_v1.get(api_id, {}).get(stage_name, {}).get("accessLogSettings") or {}
    if settings.get("destinationArn"):
        _write(settings, facts)
    return answer


@around(v1, "_gateway_error_response")
def gateway_error_response(respond, error, request):
    _tell({"error.message": error.message, "error.responseType": error.response_type})
    return respond(error, request)


@around(v1, "_check_api_key")
def check_api_key(check, *request):
    error, key = check(*request)
    _tell({"identity.apiKeyId": (key or {}).get("id")})
    return error, key


async def _invoke(invoke, integration, api_id, stage_name, stage, resource, *rest, **scope):
    _tell({"resourcePath": resource["path"]})
    began = time.monotonic()
    answer = await invoke(integration, api_id, stage_name, stage, resource, *rest, **scope)
    _tell({"integrationLatency": _since(began)})
    return answer


around(v1, "_invoke_lambda_proxy_v1")(_invoke)


@around(v1, "_check_throttle")
def check_throttle(check, stage, api_id, stage_name, resource_path, *rest):
    _tell({"resourcePath": resource_path})
    return check(stage, api_id, stage_name, resource_path, *rest)


@around(lambda_svc, "_execute_function_dispatch")
def execute(execute, function, config, event, request_id, *rest):
    """In a thread, which has a copy of the context: the same facts."""
    result = execute(function, config, event, request_id, *rest)
    _tell({"awsEndpointRequestId": request_id, "integrationStatus": 200})
    said = result.get("body")
    if isinstance(said, dict):
        failed = ("integrationErrorMessage", "errorMessage")
        name, field = failed if result.get("error") else ("integration.status", "statusCode")
        _tell({name: said.get(field)})
    return result


def _tell(facts):
    if _facts.get() is not None:
        _facts.get().update({name: value for name, value in facts.items() if value is not None})


def _since(began):
    return round((time.monotonic() - began) * 1000)


def _write(settings, facts):
    name = settings["destinationArn"].split(":", 6)[-1]
    if name not in cloudwatch_logs._log_groups:
        cloudwatch_logs._create_log_group({"logGroupName": name})
    group = cloudwatch_logs._log_groups[name]
    now = int(time.time() * 1000)
    empty = {"events": [], "creationTime": now, "uploadSequenceToken": "1", "firstEventTimestamp": None}
    stream = group["streams"].setdefault("access", empty | {"lastEventTimestamp": None, "lastIngestionTime": None})
    line = VARIABLE.sub(lambda name: str(facts.get(name[1], "-")), settings["format"])
    cloudwatch_logs._append_log_events(stream, [{"timestamp": now, "message": line, "ingestionTime": now}])
