"""TestInvokeMethod, which ministack lacks: it calls one method of the API as it stands, whatever the stages serve.

Nobody needs a key for it or is asked who he is; the function's policy must let it, for the stage `test-invoke-stage`.
Whatever becomes of the call is told in an answer of 200.
"""

import json
import time
from urllib.parse import parse_qs, urlsplit

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import apigateway_v1 as v1

from plugin.execution_log import kept, note
from plugin.patching import around

STAGE = "test-invoke-stage"


@around(v1, "handle_request")
async def route(serve, method, path, headers, body, query):
    match method, path.strip("/").split("/"):
        case "POST", ["restapis", api_id, "resources", resource_id, "methods", verb]:
            return await _test_invoke_method(api_id, resource_id, verb, json.loads(body or b"{}"))
    return await serve(method, path, headers, body, query)


async def _test_invoke_method(api_id, resource_id, verb, data):
    if api_id not in v1._rest_apis:
        return _not_found("API")
    resource = v1._resources[api_id].get(resource_id)
    if not resource:
        return _not_found("Resource")
    method = resource["resourceMethods"].get(verb) or resource["resourceMethods"].get("ANY")
    if not method:
        return _not_found("Method")

    called = urlsplit(data.get("pathWithQueryString") or resource["path"])
    request_id = new_uuid()
    request = {
        "api_id": api_id,
        "stage_name": STAGE,
        "stage": {"variables": data.get("stageVariables")},
        "headers": (data.get("headers") or {}) | (data.get("multiValueHeaders") or {}),
        "query_params": parse_qs(called.query, keep_blank_values=True),
        "path_params": _path_parameters(resource["path"], called.path),
        "resource_path": resource["path"],
        "request_id": request_id,
    }
    began = time.monotonic()
    with kept() as log:
        note(f"Starting execution for request: {request_id}")
        note(f"HTTP Method: {verb}, Resource Path: {called.path}")
        answer = await _call(request, resource, method, verb, called.path, (data.get("body") or "").encode())
        if isinstance(answer, v1._GatewayError):
            answer = v1._gateway_error_response(answer, request)
        status, headers, body = answer
        note(f"Method completed with status: {status}")
    every = {name: value if isinstance(value, list) else [str(value)] for name, value in headers.items()}
    return v1._v1_response({
        "status": status,
        "body": body.decode("utf-8", errors="replace"),
        "headers": {name: values[-1] for name, values in every.items()},
        "multiValueHeaders": every,
        "log": "\n".join([f"Execution log for request {request_id}", *log]) + "\n",
        "latency": int((time.monotonic() - began) * 1000),
    })


async def _call(request, resource, method, verb, path, body):
    """What the method answers, after the checks that need no caller."""
    api_id, headers, query = request["api_id"], request["headers"], request["query_params"]
    integration = method.get("methodIntegration")
    if not integration:
        note("Execution failed due to configuration error: No integration defined for method")
        return v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
    refused = v1._check_request_validation(method, api_id, request, headers, body, query)
    refused = refused or v1._check_passthrough_behavior(integration, headers)
    if refused:
        return refused
    if integration["type"] == "MOCK":
        return v1._invoke_mock_v1(integration)
    if integration["type"].startswith("HTTP"):
        return await v1._invoke_http_proxy_v1(
            integration, path, verb, headers, body, query, request["path_params"]
        )
    invoke = v1._invoke_lambda_proxy_v1 if integration["type"] == "AWS_PROXY" else v1._invoke_lambda_custom_v1
    return await invoke(
        integration, api_id, STAGE, request["stage"], resource, path, verb,
        headers, body, query, request["path_params"],
        owner_account_id=get_account_id(),
        owner_region=get_region(),
        binary_media_types=v1._rest_apis[api_id].get("binaryMediaTypes") or [],
    )


@around(v1, "_build_lambda_event_v1")
def build_event(build, api_id, stage_name, *rest, **options):
    """Tests come from nowhere, and without headers those are null."""
    event = build(api_id, stage_name, *rest, **options)
    if stage_name == STAGE:
        for headers in ("headers", "multiValueHeaders"):
            event[headers] = event[headers] or None
        event["requestContext"]["path"] = event["path"]
        event["requestContext"]["identity"]["sourceIp"] = "test-invoke-source-ip"
    return event


def _path_parameters(template, path):
    found = {}
    parts = path.strip("/").split("/")
    for position, part in enumerate(template.strip("/").split("/")):
        if part.startswith("{") and position < len(parts):
            rest = parts[position:] if part.endswith("+}") else parts[position : position + 1]
            found[part.strip("{+}")] = "/".join(rest)
    return found


def _not_found(what):
    return v1._v1_error("NotFoundException", f"Invalid {what} identifier specified", 404)
