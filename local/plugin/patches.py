"""PATCH requests and tags of API Gateway, where the emulator keeps something else than what was said.

The operations carry every value as a string. Kept so, a rate of "10" or a flag of "false" comes back with a type that
no SDK reads, and "false" even counts as true.
"""

import json

from ministack.services import apigateway_v1 as v1

from plugin.patching import around

TYPES = {
    "apiKeyRequired": lambda value: value == "true",
    "enabled": lambda value: value == "true",
    "disableExecuteApiEndpoint": lambda value: value == "true",
    "minimumCompressionSize": int,
    "rateLimit": float,
    "burstLimit": int,
    "limit": int,
    "offset": int,
}


@around(v1, "_apply_patch")
def apply_patch(apply, target, operations):
    for operation in operations:
        path, value = operation.get("path", ""), operation.get("value")
        leaf = path.rsplit("/", 1)[-1]
        if path == "/apiStages":
            _patch_api_stages(target, operation)
        elif path.startswith("/apiStages/") and leaf == "throttle":
            _patch_shares(target, operation)
        elif value is not None and leaf in TYPES and not path.startswith("/variables/"):
            apply(target, [operation | {"value": TYPES[leaf](value)}])
        else:
            apply(target, [operation])
    return target


def _patch_api_stages(plan, operation):
    """`add` and `remove` name one stage as `API:STAGE`; the emulator would replace or drop the whole list."""
    api_id, _, stage = operation["value"].partition(":")
    others = [s for s in plan.get("apiStages", []) if (s["apiId"], s["stage"]) != (api_id, stage)]
    added = [{"apiId": api_id, "stage": stage}] if operation.get("op") != "remove" else []
    plan["apiStages"] = others + added


def _patch_shares(plan, operation):
    """What keys may call of the methods of one stage, as one value of JSON."""
    api_id, _, stage = operation["path"].split("/")[2].partition(":")
    for covered in plan.get("apiStages", []):
        if (covered["apiId"], covered["stage"]) == (api_id, stage):
            covered["throttle"] = json.loads(operation.get("value") or "{}")


def tags_of(arn):
    """The tags of the record itself, and the refusal where there is none.

    The emulator answers GetTags from a second list, which CreateStage, CreateApiKey and CreateUsagePlan never fill
    and GetRestApi never reads.
    """
    key, refusal = v1._resolve_v1_tag_resource_arn(arn)
    if refusal:
        return None, refusal
    kind, *names = key.split(":", 5)[5].strip("/").split("/")
    if len(names) == 3:
        record = v1._stages_v1[names[0]][names[2]]
    else:
        stores = {"restapis": v1._rest_apis, "apikeys": v1._api_keys, "usageplans": v1._usage_plans}
        record = stores[kind][names[0]] if kind in stores else v1._domain_names[names[0]]
    return record.setdefault("tags", {}), None


@around(v1, "_get_v1_tags")
def get_tags(_, arn):
    tags, refusal = tags_of(arn)
    return refusal or v1._v1_response({"tags": tags})


@around(v1, "_tag_v1_resource")
def tag_resource(_, arn, data):
    tags, refusal = tags_of(arn)
    if refusal:
        return refusal
    tags.update(data.get("tags", {}))
    return 204, {}, b""


@around(v1, "_untag_v1_resource")
def untag_resource(_, arn, keys):
    tags, refusal = tags_of(arn)
    if refusal:
        return refusal
    for key in keys:
        tags.pop(key, None)
    return 204, {}, b""
