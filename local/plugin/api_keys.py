"""API keys and the usage plans that admit them, as strict as AWS is."""

import json

from ministack.services import apigateway_v1 as v1

from plugin.patching import around


@around(v1, "_create_api_key")
def create_api_key(create, data):
    """A value exists once in an account and region: the deployer finds a lost answer by that conflict.

    And a key is disabled unless the request says otherwise.
    """
    if any(key["value"] == data.get("value") for key in v1._api_keys.values()):
        return v1._v1_error("ConflictException", "API Key already exists", 409)
    return create({"enabled": False} | data)


@around(v1, "_delete_api_key")
def delete_api_key(delete, key_id):
    """Deleting a key takes it out of its plans."""
    for keys in v1._usage_plan_keys.values():
        keys.pop(key_id, None)
    return delete(key_id)


@around(v1, "_resolve_api_key")
def resolve_api_key(_, value):
    """A key opens APIs of its own account and region; elsewhere another key may have the same value."""
    return next((key for key in v1._api_keys.values() if key["value"] == value and key["enabled"]), None)


@around(v1, "handle_request")
async def withhold_values(serve, method, path, headers, body, query):
    """Values are told only to those who ask for them."""
    status, answer_headers, answer = await serve(method, path, headers, body, query)
    asked = "true" in (v1._qp(query, "includeValue"), v1._qp(query, "includeValues"))
    if method == "GET" and path.strip("/").split("/")[0] == "apikeys" and status == 200 and not asked:
        found = json.loads(answer)
        for key in found.get("item", [found]):
            key.pop("value", None)
        return v1._v1_response(found)
    return status, answer_headers, answer


@around(v1, "_create_usage_plan")
def create_usage_plan(create, data):
    """A plan's stages must exist, so a plan comes after its stage."""
    for covered in data.get("apiStages", []):
        if covered.get("stage") not in v1._stages_v1.get(covered.get("apiId"), {}):
            return v1._v1_error("NotFoundException", "Invalid API Stage specified", 404)
    return create(data)


@around(v1, "_delete_usage_plan")
def delete_usage_plan(delete, plan_id):
    """A plan is detached from its stages before it is deleted."""
    covered = v1._usage_plans.get(plan_id, {}).get("apiStages", [])
    stages = [f"{c['apiId']}:{c['stage']}" for c in covered if c["stage"] in v1._stages_v1.get(c["apiId"], {})]
    if stages:
        message = f"Cannot delete Usage Plan {plan_id} because there are API Stages associated with it"
        return v1._v1_error("BadRequestException", f"{message}, including {stages[0]}", 400)
    return delete(plan_id)


@around(v1, "_create_usage_plan_key")
def create_usage_plan_key(create, plan_id, data):
    """A plan takes a key that exists, once."""
    key_id = data.get("keyId")
    if plan_id in v1._usage_plans and key_id not in v1._api_keys:
        return v1._v1_error("NotFoundException", "Invalid API Key identifier specified", 404)
    if key_id in v1._usage_plan_keys.get(plan_id, {}):
        return v1._v1_error("ConflictException", f"Usage plan key already exists: {key_id}", 409)
    return create(plan_id, data)
