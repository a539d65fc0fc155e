"""Aliases: weights send some of the invocations to another version, and what an alias may point at is checked.

The emulator keeps weights and runs the main version whatever they say.
"""

import random
from contextvars import ContextVar

from ministack.core.responses import error_response_json as refuse
from ministack.services import lambda_svc

from plugin.patching import around

_through = ContextVar("the alias that is being invoked", default=None)


def _draw(function, qualifier):
    """The version that runs if this is the name of an alias; anything else stays as it is."""
    alias = (function or {}).get("aliases", {}).get(qualifier)
    _through.set(qualifier if alias else None)
    if not alias:
        return qualifier
    for version, weight in _weights(alias).items():
        if random.random() < weight:
            return version
    return alias["FunctionVersion"]


def _weights(alias):
    return (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


@around(lambda_svc, "_invoke")
async def invoke(invoke, name, event, headers, path_qualifier=None, query_params=None):
    qualifier = lambda_svc._qualifier_from_path_or_query(path_qualifier, query_params)
    return await invoke(name, event, headers, _draw(lambda_svc._functions.get(name), qualifier), query_params)


@around(lambda_svc, "_get_func_record_for_ref")
def find(find, reference):
    """How API Gateway finds what it invokes."""
    function, _, _ = lambda_svc._get_base_func_record_for_ref(reference)
    _, qualifier = lambda_svc._resolve_name_and_qualifier(reference)
    drawn = _draw(function, qualifier)
    return find(f"{reference.removesuffix(qualifier)}{drawn}" if qualifier else reference)


@around(lambda_svc, "_execute_function")
def execute(execute, function, event):
    """The function is told by which ARN it was invoked, so the alias's."""
    alias, config = _through.get(), function.get("config") or function
    if alias:
        arn = ":".join([*config["FunctionArn"].split(":")[:7], alias])
        function = function | {"config": config | {"FunctionArn": arn}}
    return execute(function, event)


@around(lambda_svc, "_create_alias")
def create_alias(create, name, data):
    return _problem(name, data) or create(name, data)


@around(lambda_svc, "_update_alias")
def update_alias(update, name, alias_name, data):
    """What isn't stated stays, and must go with what is."""
    aliases = lambda_svc._functions.get(name, {}).get("aliases", {})
    return _problem(name, aliases.get(alias_name, {}) | data) or update(name, alias_name, data)


def _problem(name, alias):
    """What AWS refuses about the versions, in its words."""
    function = lambda_svc._functions.get(name)
    if not function or "FunctionVersion" not in alias:
        return None
    main, weights = alias["FunctionVersion"], _weights(alias)
    versions = function["versions"] | {"$LATEST": function}
    for version, weight in weights.items():
        if not version.isdecimal() or not 0 <= weight <= 1:
            message = (
                f"1 validation error detected: Value '{{{version}={weight}}}' at "
                "'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
                "Map keys must be numbers of versions, Map values from 0.0 to 1.0"
            )
            return refuse("ValidationException", message, 400)
    if len(weights) > 1:
        return _invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for version in [main, *weights]:
        if version not in versions:
            return lambda_svc._function_qualifier_not_found(name, version)
    if main in weights:
        already = f"Function version {main} is already included in routing configuration."
        return _invalid(f"Invalid function version {main}. {already}")
    if weights and main == "$LATEST":
        return _invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    if len({versions[version]["config"]["Role"] for version in [main, *weights]}) > 1:
        return _invalid("Specified versions must be associated with the same execution role")
    return None


def _invalid(message):
    return refuse("InvalidParameterValueException", message, 400)
