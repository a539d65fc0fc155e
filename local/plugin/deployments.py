"""Deployments and stages: a deployment is a snapshot, and a stage serves its deployment.

The emulator serves the API as it stands, so a deployer that forgets to deploy its change would pass.
A snapshot lies beside the API's live resources, under the name `API/DEPLOYMENT`, which no API can have.
"""

import copy
import json
from contextvars import ContextVar

from ministack.services import apigateway_v1 as v1

from plugin.patching import around

_served = ContextVar("the snapshot that answers the request being served", default=None)


def snapshot(api_id, deployment_id):
    return f"{api_id}/{deployment_id}"


@around(v1, "_create_deployment")
def create_deployment(create, api_id, data):
    """A request of the tests with `localSnapshotOf: before` is of the API before its last import, as AWS's control
    plane may take it right after one (github.com/hashicorp/terraform-provider-aws, issue 17604).
    """
    status, headers, body = create(api_id, data)
    if status == 201:
        stale = before_import(api_id) if data.get("localSnapshotOf") == "before" else None
        held = v1._resources[api_id] if stale is None else stale
        v1._resources[snapshot(api_id, json.loads(body)["id"])] = copy.deepcopy(held)
    return status, headers, body


def before_import(api_id):
    return v1._resources.get(snapshot(api_id, "before"))


def keep_before_import(api_id, resources):
    v1._resources[snapshot(api_id, "before")] = resources


@around(v1, "handle_request")
async def route(serve, method, path, headers, body, query):
    status, answer_headers, answer = await serve(method, path, headers, body, query)
    match method, path.strip("/").split("/"):
        case "GET", ["restapis", api_id, "deployments", deployment_id] if status == 200:
            if "apisummary" in query.get("embed", []):
                answer = json.dumps(json.loads(answer) | {"apiSummary": _summary(api_id, deployment_id)}).encode()
    return status, answer_headers, answer


def _summary(api_id, deployment_id):
    """What GetDeployment tells with `embed=apisummary` (API Gateway's model: PathToMapOfMethodSnapshot)."""
    held = v1._resources.get(snapshot(api_id, deployment_id), {}).values()
    return {
        resource["path"]: {
            verb: {
                "authorizationType": method.get("authorizationType", "NONE"),
                "apiKeyRequired": bool(method.get("apiKeyRequired")),
            }
            for verb, method in resource["resourceMethods"].items()
        }
        for resource in held
        if resource["resourceMethods"]
    }


@around(v1, "_delete_deployment")
def delete_deployment(delete, api_id, deployment_id):
    """A deployment that a stage serves can't be deleted."""
    if any(stage["deploymentId"] == deployment_id for stage in v1._stages_v1.get(api_id, {}).values()):
        message = "Active stages pointing to this deployment must be moved or deleted"
        return v1._v1_error("BadRequestException", message, 400)
    v1._resources.pop(snapshot(api_id, deployment_id), None)
    return delete(api_id, deployment_id)


@around(v1, "_delete_rest_api")
def delete_rest_api(delete, api_id):
    for deployment_id in v1._deployments_v1.get(api_id, {}):
        v1._resources.pop(snapshot(api_id, deployment_id), None)
    v1._resources.pop(snapshot(api_id, "before"), None)
    return delete(api_id)


@around(v1, "_create_stage")
def create_stage(create, api_id, data):
    """A stage is made once, on a deployment that exists; the emulator would replace it, on any."""
    if data.get("stageName") in v1._stages_v1.get(api_id, {}):
        return v1._v1_error("ConflictException", "Stage already exists", 409)
    if api_id in v1._rest_apis and data.get("deploymentId") not in v1._deployments_v1.get(api_id, {}):
        return v1._v1_error("BadRequestException", "Deployment id does not exist", 400)
    return create(api_id, data)


@around(v1, "_update_stage")
def update_stage(update, api_id, stage_name, data):
    for patch in data.get("patchOperations", []):
        if patch["path"] == "/deploymentId" and patch["value"] not in v1._deployments_v1.get(api_id, {}):
            return v1._v1_error("BadRequestException", "Deployment id does not exist", 400)
    return update(api_id, stage_name, data)


@around(v1, "find_api_scope")
def find_api_scope(find, api_id):
    """Callers of a deployed API have no credentials, so no account: the id alone tells whose it is."""
    everywhere = (scope[:2] for scope, _ in v1._rest_apis.all_items() if scope[2] == api_id)
    return find(api_id) or next(everywhere, None)


@around(v1, "_execute_in_scope")
async def execute(serve, request, api_id, stage_name, *rest):
    stage = v1._stages_v1.get(api_id, {}).get(stage_name, {})
    token = _served.set(snapshot(api_id, stage.get("deploymentId")))
    try:
        return await serve(request, api_id, stage_name, *rest)
    finally:
        _served.reset(token)


@around(v1, "_match_resource_tree")
def match_resource_tree(match, api_id, segments):
    return match(_served.get() or api_id, segments)


@around(v1, "_match_greedy_fallback")
def match_greedy_fallback(match, api_id, segments, http_method):
    return match(_served.get() or api_id, segments, http_method)
