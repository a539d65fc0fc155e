"""API Gateway's answers: a member that was never set is left out, and some members are always there.

ministack answers `null`, `""` or `{}` for the former. So AWS was recorded (localstack, tests/aws/services/apigateway,
snapshots of TestApiGatewayApiRestApi, TestStages, TestUsagePlans and test_method_lifecycle).
"""

from ministack.services import apigateway_v1 as v1

from plugin.patching import around

# Left out when they are empty. `tags`, `methodSettings` and lists of items are told all the same.
LEFT_OUT = {
    *("description", "version", "pathPart", "binaryMediaTypes", "resourceMethods", "variables", "accessLogSettings"),
    *("throttle", "quota", "requestParameters", "requestModels", "requestTemplates", "methodResponses"),
    *("integrationResponses", "operationName"),
}
# A record that has all of these members has this one too.
ALWAYS = [
    ({"stageName", "deploymentId"}, "cacheClusterStatus", "NOT_AVAILABLE"),
    ({"limit", "period"}, "offset", 0),
    ({"types"}, "ipAddressType", "ipv4"),
]
# Whose members are the caller's own names.
FREE = {"tags", "variables"}


@around(v1, "_v1_response")
def respond(respond, data, status=200):
    return respond(_as_told(data), status)


def _as_told(value):
    if isinstance(value, list):
        return [_as_told(item) for item in value]
    if not isinstance(value, dict):
        return value
    told = {
        name: member if name in FREE else _as_told(member)
        for name, member in value.items()
        if member is not None and not (name in LEFT_OUT and member in ("", [], {}))
    }
    return {name: default for signs, name, default in ALWAYS if signs <= told.keys()} | told
