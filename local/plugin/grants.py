"""As whom a version runs: its role must exist, and must be the one that Lambda gave its key's grant to.

With environment variables and the default key, Lambda gives the function's role a KMS grant to decrypt them when the
function is created and when its role changes. The grantee is the role's unique id, not its ARN, so a role that is
deleted and created again under the same name doesn't have the grant, and every invocation fails (AWS re:Post, "How do
I resolve "KMS Exception" permissions errors from my Lambda function?"; hashicorp/terraform-provider-aws#6352;
aws/chalice#1103). The remedy of both: set another role, and then the right one again. That a published version keeps
the grant that `$LATEST` had when it was published is no more than likely: so is the worse case for a deployer.
Without environment variables a new role of the same name does.

A role that doesn't exist is noticed by Lambda when it is invoked (awslabs/swift-aws-lambda-runtime#676).
"""

from ministack.core.responses import error_response_json as refuse
from ministack.services import apigateway_v1 as v1
from ministack.services import iam, lambda_svc

from plugin.patching import around

GONE = "The role defined for the function cannot be assumed by Lambda."
DENIED = (
    "Lambda was unable to decrypt the environment variables because KMS access was denied. "
    "Please check the function's KMS key settings. KMS Exception: AccessDeniedException KMS Message: "
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
    "or you are not allowed to access."
)


class Refused(Exception):
    """An invocation that Lambda refuses before the function is started."""

    def __init__(self, code, message, status):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def _role(config):
    role = iam._roles.get(config["Role"].rsplit("/", 1)[-1])
    return role if role and role["Arn"] == config["Role"] else None


def _variables(config):
    return (config.get("Environment") or {}).get("Variables")


def _grant(name, version="$LATEST"):
    """Gives the present role of a version the grant."""
    function = lambda_svc._functions[name]
    role = _role(function["config"])
    function.setdefault("grants", {})[version] = role and role["RoleId"]


@around(lambda_svc, "_create_function")
def create_function(create, data):
    name = data.get("FunctionName")
    answer = create(data)
    if answer[0] == 201:
        for version in ["$LATEST", *lambda_svc._functions[name]["versions"]]:
            _grant(name, version)
    return answer


@around(lambda_svc, "_update_config")
def update_function_configuration(update, name, data):
    before = dict(lambda_svc._functions.get(name, {}).get("config", {}))
    answer = update(name, data)
    if answer[0] == 200:
        config = lambda_svc._functions[name]["config"]
        if config["Role"] != before["Role"] or _variables(config) and not _variables(before):
            _grant(name)
    return answer


@around(lambda_svc, "_publish_version")
def publish_version(publish, name, data):
    answer = publish(name, data)
    if answer[0] == 201:
        grants = lambda_svc._functions[name].setdefault("grants", {})
        for version in lambda_svc._functions[name]["versions"]:
            grants.setdefault(version, grants.get("$LATEST"))
    return answer


@around(lambda_svc, "_execute_function")
def execute(execute, function, event):
    config = function.get("config") or function
    if not lambda_svc._function_config_scope_mismatch(config):  # else it comes back here in its own account
        _check(config)
    return execute(function, event)


def _check(config):
    role = _role(config)
    if role is None:
        raise Refused("AccessDeniedException", GONE, 403)
    grants = lambda_svc._functions.get(config["FunctionName"], {}).get("grants", {})
    if _variables(config) and grants.get(config["Version"], role["RoleId"]) != role["RoleId"]:
        raise Refused("KMSAccessDeniedException", DENIED, 502)


@around(lambda_svc, "_invoke")
async def invoke(invoke, *request, **options):
    try:
        return await invoke(*request, **options)
    except Refused as refused:
        return refuse(refused.code, refused.message, refused.status)


@around(v1, "_call_lambda_raw")
async def call(call, *request, **scope):
    """Callers of the API get a 500."""
    try:
        return await call(*request, **scope)
    except Refused as refused:
        return None, refused.message
