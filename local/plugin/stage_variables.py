"""Stage variables: an integration's URI may name them, and every request puts in those of its stage.

The emulator would look for a function that is called `${stageVariables.NAME}`. A variable that isn't set leaves an ARN
that is none. What is asked for permission is the function, version or alias that comes out.
"""

import re

from ministack.services import apigateway_v1 as v1

from plugin import permissions  # noqa: F401 (it must already be in place: its check comes after this)
from plugin.execution_log import note
from plugin.patching import around

PLACEHOLDER = re.compile(r"\$\{stageVariables\.(\w+)\}")
NAME = re.compile(r"\w+", re.ASCII)
VALUE = re.compile(r"[A-Za-z0-9\-._~:/?#&=, ]+")


async def _invoke(invoke, integration, api_id, stage_name, stage, *rest, **scope):
    variables = stage.get("variables") or {}
    if not all(variables.get(name) for name in PLACEHOLDER.findall(integration["uri"])):
        note("Execution failed due to configuration error: Invalid function ARN or invalid uri")
        return v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
    uri = PLACEHOLDER.sub(lambda name: variables[name[1]], integration["uri"])
    return await invoke(integration | {"uri": uri}, api_id, stage_name, stage, *rest, **scope)


around(v1, "_invoke_lambda_proxy_v1")(_invoke)
around(v1, "_invoke_lambda_custom_v1")(_invoke)


@around(v1, "_create_stage")
def create_stage(create, api_id, data):
    return _problem(data.get("variables") or {}) or create(api_id, data)


@around(v1, "_create_deployment")
def create_deployment(create, api_id, data):
    return _problem(data.get("variables") or {}) or create(api_id, data)


@around(v1, "_update_stage")
def update_stage(update, api_id, stage_name, data):
    """Variables are replaced, whether they are there or not, and removed."""
    for patch in data.get("patchOperations", []):
        parent, _, name = patch["path"].rpartition("/")
        if parent == "/variables" and patch.get("op") != "remove":
            problem = _problem({name: patch.get("value")})
            if problem:
                return problem
    return update(api_id, stage_name, data)


def _problem(variables):
    """What AWS refuses about names and values, `$LATEST` for one."""
    for name, value in variables.items():
        if not NAME.fullmatch(name):
            message = f"Invalid stage variable name: {name}.  Please use names with only word characters."
        elif not VALUE.fullmatch(value or ""):
            message = (
                f"Invalid stage variable value: {value}.  Please use values with alphanumeric characters and the "
                "symbols ' ', -', '.', '_', ':', '/', '?', '&', '=', and ','."
            )
        else:
            continue
        return v1._v1_error("BadRequestException", message, 400)
    return None
