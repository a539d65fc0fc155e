"""UpdateStage: the operations that API Gateway takes, and the key under which a stage tells a method's settings.

The texts, and what a stage answers, are as AWS was recorded (localstack, tests/aws/services/apigateway, snapshots of
test_create_update_stages, test_update_stage_remove_wildcard, test_stage_access_log_settings_validation). What AWS says
of removing a variable that isn't there was not recorded; it gets the text of all other removals here.
"""

import re

from ministack.services import apigateway_v1 as v1

from plugin.patching import around

# "Update size too large" was met at about so many (github.com/DianaIonita/serverless-api-gateway-caching, issue 46).
MOST_OPERATIONS = 80

SETTINGS = [
    f"{category}/{name}"
    for category, names in {
        "metrics": ["enabled"],
        "logging": ["dataTrace", "loglevel"],
        "throttling": ["burstLimit", "rateLimit"],
        "caching": [
            "ttlInSeconds",
            "enabled",
            "dataEncrypted",
            "requireAuthorizationForCacheControl",
            "unauthorizedCacheControlHeaderStrategy",
        ],
    }.items()
    for name in names
]
SETTING = re.compile(rf"/(.+/[A-Z*]+)/({'|'.join(SETTINGS)})")
LOG_PATHS = ["/accessLogSettings/destinationArn", "/accessLogSettings/format"]
PATHS = [
    *("/deploymentId", "/description", "/cacheClusterEnabled", "/cacheClusterSize", "/clientCertificateId"),
    *("/accessLogSettings", *LOG_PATHS),
    *(f"/{{resourcePath}}/{{httpMethod}}/{setting}" for setting in SETTINGS),
    *(f"/*/*/{setting}" for setting in SETTINGS),
    *("/variables/{variable_name}", "/tracingEnabled"),
]
# Patched as a whole or by member; neither is in the list that refusals tell.
UNLISTED = ("/canarySettings", "/documentationVersion")


@around(v1, "_update_stage")
def update_stage(update, api_id, stage_name, data):
    stage = v1._stages_v1.get(api_id, {}).get(stage_name)
    operations = data.get("patchOperations", [])
    problem = stage and (_too_many(operations) or _first_problem(stage, operations))
    return v1._v1_error("BadRequestException", problem, 400) if problem else update(api_id, stage_name, data)


def _too_many(operations):
    if len(operations) > MOST_OPERATIONS:
        return "Update size too large. Try updating stage in multiple UpdateStage operations"
    return None


def _first_problem(stage, operations):
    """Operations apply in order and all or none of them, so each is judged by what those before it leave."""
    settings, variables = set(stage.get("methodSettings") or {}), set(stage.get("variables") or {})
    for operation in operations:
        path = operation["path"]
        _, root, *rest = path.split("/", 2)
        if operation.get("op") == "remove":
            there = variables if root == "variables" else settings
            name = rest[0] if root == "variables" and rest else path[1:]
            if path not in ("/accessLogSettings", *UNLISTED) and name not in there:
                return f"Cannot remove method setting {path[1:]} because there is no method setting for this method "
            there.discard(name)
        elif setting := SETTING.fullmatch(path):
            settings.add(setting[1])
        elif root == "variables" and rest:
            variables.add(rest[0])
        elif root == "accessLogSettings":
            if path not in LOG_PATHS:
                return f"Invalid accessLogSettings path. Must be one of : [{', '.join(LOG_PATHS)}]"
        elif path not in PATHS and not path.startswith(UNLISTED):
            return f"Invalid method setting path: {path}. Must be one of: [{', '.join(PATHS)}]"
    return None


@around(v1, "_try_apply_method_settings_patch")
def apply(apply, stage, operation):
    """A key is what was sent: `/~1health/GET/…` is told as `~1health/GET`, `/health/GET/…` as `health/GET`.

    The emulator decodes it, so that the key that it tells names nothing that could be removed.
    """
    settings, path = stage.setdefault("methodSettings", {}), operation["path"]
    if operation.get("op") == "remove" and path[1:] in settings:
        del settings[path[1:]]
        return True
    setting = SETTING.fullmatch(path)
    if not setting:
        return False
    field = v1._method_setting_field_from_patch(setting[2].split("/"))
    entry = settings.setdefault(setting[1], _defaults())
    entry[field] = v1._parse_stage_method_setting_value(field, operation.get("value"))
    return True


def _defaults():
    """Setting one leaf makes all of them but the log level, which appears once it is set."""
    return {name: value for name, value in v1._default_method_setting_entry().items() if name != "loggingLevel"}


@around(v1, "_method_throttle_settings")
def method_throttle_settings(find, stage, resource_path, http_method):
    """Both spellings of a key count; which of them does if there are both is not documented."""
    encoded = (stage.get("methodSettings") or {}).get(f"{resource_path.replace('/', '~1')}/{http_method}")
    return encoded or find(stage, resource_path, http_method)
