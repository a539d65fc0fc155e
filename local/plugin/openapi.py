"""ImportRestApi and PutRestApi, which ministack lacks: an OpenAPI document becomes the routes of a REST API.

The document is JSON, OpenAPI 3.0 or Swagger 2.0. What the operations do is what AWS documents and what was seen of it:
PutRestApi renames the API to `info.title` in both modes; `overwrite` also drops routes and settings that the document
does not state; id, tags, creation date, endpoint type, stages and deployments stay, and so do the ids of kept paths.
"""

import copy
import json

from ministack.services import apigateway_v1 as v1

from plugin import deployments
from plugin.patching import around

VERBS = {"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"}


class Refused(Exception):
    """The document, or a part of it, is not what API Gateway takes."""


@around(v1, "handle_request")
async def route(serve, method, path, headers, body, query):
    match method, path.strip("/").split("/"):
        case "POST", ["restapis"] if v1._qp(query, "mode") == "import":
            return _import_rest_api(body, query)
        case "PUT", ["restapis", api_id]:
            return _put_rest_api(api_id, body, query)
        case "GET", ["restapis", _, "resources"]:
            return _without_methods(await serve(method, path, headers, body, query), query)
    return await serve(method, path, headers, body, query)


def _without_methods(answer, query):
    """GetResources names the methods of a resource, and tells what they do only with `embed=methods`."""
    status, headers, body = answer
    if status != 200 or "methods" in query.get("embed", []):
        return answer
    found = json.loads(body)
    for resource in found["item"]:
        if "resourceMethods" in resource:
            resource["resourceMethods"] = {verb: {} for verb in resource["resourceMethods"]}
    return v1._v1_response(found)


def _import_rest_api(body, query):
    try:
        document = _parse(body, query)
        endpoint = v1._qp(query, "endpointConfigurationTypes", "EDGE")
        _, _, created = v1._create_rest_api({"endpointConfiguration": {"types": [endpoint]}})
        api_id = json.loads(created)["id"]
        try:
            _write(api_id, document, overwrite=True)
        except Refused:
            v1._delete_rest_api(api_id)
            raise
    except Refused as refused:
        return v1._v1_error("BadRequestException", str(refused), 400)
    return v1._v1_response(v1._rest_api_view(v1._rest_apis[api_id]), 201)


def _put_rest_api(api_id, body, query):
    if api_id not in v1._rest_apis:
        return v1._v1_error("NotFoundException", "Invalid API identifier specified", 404)
    before = copy.deepcopy((v1._resources[api_id], v1._authorizers_v1.get(api_id, {})))
    try:
        document = _parse(body, query)
        _write(api_id, document, overwrite=v1._qp(query, "mode", "merge") == "overwrite")
    except Refused as refused:
        v1._resources[api_id], v1._authorizers_v1[api_id] = before
        return v1._v1_error("BadRequestException", str(refused), 400)
    deployments.keep_before_import(api_id, before[0])
    return v1._v1_response(v1._rest_api_view(v1._rest_apis[api_id]))


def _parse(body, query):
    """The document, or `Refused` in AWS's words when it is none."""
    try:
        document = json.loads(body)
        stated = str(document.get("openapi") or document.get("swagger"))
        usable = stated.startswith("3.0") or stated == "2.0"
        usable = usable and isinstance(document["info"]["title"], str) and document["info"]["title"] != ""
        usable = usable and all(
            path.startswith("/") and isinstance(item, dict) for path, item in document["paths"].items()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise Refused("Invalid OpenAPI input.")
    if v1._qp(query, "basepath", "ignore") != "ignore":
        raise Refused("the local cloud knows basepath=ignore only")
    return document


def _write(api_id, document, overwrite):
    resources = v1._resources[api_id]
    authorizers = v1._authorizers_v1.setdefault(api_id, {})
    schemes = v1._security_schemes(document)
    for key, authorizer in list(authorizers.items()):
        if overwrite or authorizer["name"] in schemes:
            del authorizers[key]
    if overwrite:
        for resource in resources.values():
            resource["resourceMethods"] = {}

    security = v1._import_security_schemes(api_id, document)
    for path, item in document["paths"].items():
        resource = _resource_at(api_id, path)
        for verb, operation in item.items():
            if verb.lower() in VERBS:
                _put_operation(api_id, resource, verb, operation, security, document.get("security"))

    if overwrite:
        _drop_unused(resources)
    _set_properties(v1._rest_apis[api_id], document, overwrite)


def _resource_at(api_id, path):
    """The resource of a path, made with its parents where it does not exist."""
    v1._import_path_item(api_id, path, {})
    wanted = "/" + path.strip("/")
    return next(r for r in v1._resources[api_id].values() if r["path"] == wanted)


def _put_operation(api_id, resource, verb, operation, security, default_security):
    verb = "ANY" if verb.lower() == "x-amazon-apigateway-any-method" else verb.upper()
    method = v1._method_security(operation.get("security", default_security), security)
    v1._put_method(api_id, resource["id"], verb, method)

    integration = operation.get("x-amazon-apigateway-integration")
    if integration is None:
        return
    # AWS upper-cases the two enumerations; nulls would override the emulator's defaults.
    stated = {key: value for key, value in integration.items() if value is not None and key != "responses"}
    for enumeration in ("type", "passthroughBehavior"):
        if enumeration in stated:
            stated[enumeration] = str(stated[enumeration]).upper()
    problem = _integration_problem(stated)
    if problem:
        raise Refused(
            "Errors found during import:\n\t"
            f"Unable to put integration on '{verb}' for resource at path '{resource['path']}': {problem}"
        )
    v1._put_integration(api_id, resource["id"], verb, stated)


def _integration_problem(integration):
    """What AWS refuses about an integration with Lambda, in its words."""
    if not integration.get("type", "").startswith("AWS"):
        return None
    if not integration.get("httpMethod"):
        return "Enumeration value for HttpMethod must be non-empty"
    parts = str(integration.get("uri", "")).split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or parts[2] != "apigateway":
        return "Invalid ARN specified in the request"
    if not parts[5].startswith(("path/", "action/")):
        return "AWS ARN for integration must contain path or action"
    return None


def _drop_unused(resources):
    """Drop the paths that neither have a method nor lead to one."""
    used = {"/"}
    for resource in resources.values():
        if resource["resourceMethods"]:
            while resource:
                used.add(resource["path"])
                resource = resources.get(resource["parentId"])
    for key in [key for key, resource in resources.items() if resource["path"] not in used]:
        del resources[key]


def _set_properties(api, document, overwrite):
    info = document["info"]
    api["name"] = info["title"]
    stated = {
        "description": info.get("description"),
        "version": info.get("version"),
        "apiKeySource": document.get("x-amazon-apigateway-api-key-source"),
        "binaryMediaTypes": document.get("x-amazon-apigateway-binary-media-types"),
        "minimumCompressionSize": document.get("x-amazon-apigateway-minimum-compression-size"),
        "policy": document.get("x-amazon-apigateway-policy"),
        "securityPolicy": document.get("x-amazon-apigateway-security-policy"),
        "endpointAccessMode": document.get("x-amazon-apigateway-endpoint-access-mode"),
    }
    unstated = {
        "description": "",
        "version": "",
        "apiKeySource": "HEADER",
        "binaryMediaTypes": [],
        "minimumCompressionSize": None,
        "policy": None,
    }
    for name, value in stated.items():
        if value is not None:
            api[name] = value
        elif overwrite and name in unstated:
            api[name] = unstated[name]
