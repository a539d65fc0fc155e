"""Which TLS an API takes: kept as it is created, and only with what AWS wants beside it. Lists don't tell it."""

import json

from ministack.services import apigateway_v1 as v1

from plugin.patching import around


@around(v1, "_create_rest_api")
def create_rest_api(create, data):
    policy, mode = data.get("securityPolicy", "TLS_1_0"), data.get("endpointAccessMode")
    if policy.startswith("SecurityPolicy_") and not mode:
        message = "Endpoint access mode is required for the specified security policy"
        return v1._v1_error("BadRequestException", message, 400)
    answer = create(data)
    if answer[0] != 201:
        return answer
    api = v1._rest_apis[json.loads(answer[2])["id"]]
    api["securityPolicy"] = policy
    if mode:
        api["endpointAccessMode"] = mode
    return v1._v1_response(v1._rest_api_view(api), 201)


@around(v1, "_get_rest_apis")
def get_rest_apis(get, query):
    """GetRestApi tells security policy, access mode and status; whether items of lists have them isn't documented."""
    status, headers, body = get(query)
    found = json.loads(body)
    for api in found.get("item", []):
        for name in ("securityPolicy", "endpointAccessMode", "apiStatus"):
            api.pop(name, None)
    return status, headers, json.dumps(found).encode()
