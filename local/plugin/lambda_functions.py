"""Functions: what Lambda refuses and the emulator lets pass, and what it returns of a function."""

import hashlib
import json

from ministack.core.responses import error_response_json as refuse
from ministack.core.responses import get_region
from ministack.services import iam, lambda_svc
from ministack.services import s3

from plugin.patching import around

# How long a function is Pending or InProgress: long enough that a deployer which doesn't wait is refused.
lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = 0.05


@around(lambda_svc, "_create_function")
def create_function(create, data):
    """Role and code must be there before the function: the deployer's graph has these edges."""
    if data.get("FunctionName") not in lambda_svc._functions:
        problem = _role_problem(data) or _code_problem(data.get("Code", {}))
        if problem:
            return problem
    return create(data)


@around(lambda_svc, "_update_config")
def update_function_configuration(update, name, data):
    return _busy(name) or _role_problem(data) or update(name, data)


@around(lambda_svc, "_update_code")
def update_function_code(update, name, data):
    return _busy(name) or _code_problem(data) or update(name, data)


@around(lambda_svc, "_publish_version")
def publish_version(publish, name, data):
    """Publishing waits for an update in progress, and is held to the hash that the caller names."""
    return _busy(name) or _other_code(name, data) or publish(name, data)


@around(lambda_svc, "_put_function_concurrency")
def put_function_concurrency(put, name, data):
    """A hundred of an account's thousand stay for functions without a reservation."""
    reserved = [function.get("concurrency") or 0 for other, function in lambda_svc._functions.items() if other != name]
    if 1000 - sum(reserved) - data.get("ReservedConcurrentExecutions", 0) < 100:
        message = "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution"
        return refuse("InvalidParameterValueException", f"{message} below its minimum value of [100].", 400)
    return put(name, data)


@around(lambda_svc, "_delete_alias")
def delete_alias(delete, name, alias):
    """An alias that isn't there counts as deleted."""
    if name in lambda_svc._functions and alias not in lambda_svc._functions[name]["aliases"]:
        return 204, {}, b""
    return delete(name, alias)


def _busy(name):
    function = lambda_svc._functions.get(name)
    if not function or function["config"].get("LastUpdateStatus") != "InProgress":
        return None
    message = "The operation cannot be performed at this time. An update is in progress for resource: "
    return refuse("ResourceConflictException", message + function["config"]["FunctionArn"], 409)


def _role_problem(data):
    arn = data.get("Role")
    if arn is None:
        return None
    role = iam._roles.get(arn.rsplit("/", 1)[-1], {})
    if role.get("Arn") == arn and "lambda.amazonaws.com" in json.dumps(role.get("AssumeRolePolicyDocument")):
        return None
    message = "The role defined for the function cannot be assumed by Lambda."
    return refuse("InvalidParameterValueException", message, 400)


def _code_problem(code):
    if "S3Bucket" not in code:
        return None
    problem = lambda_svc._s3_code_region_error(code["S3Bucket"])
    if problem or lambda_svc._fetch_code_from_s3(code["S3Bucket"], code.get("S3Key"), code.get("S3ObjectVersion")):
        return problem
    if code["S3Bucket"] in s3._buckets:
        reason = "NoSuchKey. S3 Error Message: The specified key does not exist."
    else:
        reason = "NoSuchBucket. S3 Error Message: The specified bucket does not exist"
    return refuse("InvalidParameterValueException", f"Error occurred while GetObject. S3 Error Code: {reason}", 400)


def _other_code(name, data):
    current = lambda_svc._functions.get(name, {}).get("config", {}).get("CodeSha256")
    stated = data.get("CodeSha256")
    if not stated or not current or stated == current:
        return None
    message = f"CodeSHA256 ({stated}) is different from current CodeSHA256 in $LATEST ({current})."
    return refuse("InvalidParameterValueException", message, 400)


@around(lambda_svc, "json_response")
def json_response(respond, data, *rest, **options):
    """What Lambda returns of a function, as localstack has recorded it from AWS.

    In tests/aws/services/lambda_/test_lambda_api.snapshot.json: test_function_lifecycle and
    test_notfound_and_invalid_routingconfigs.
    """
    if "Configuration" in data:
        data = data | {"Configuration": _returned(data["Configuration"])}
    elif "Versions" in data or "Functions" in data:
        data = {key: [_returned(one) for one in value] if isinstance(value, list) else value for key, value in data.items()}
    elif {"FunctionArn", "CodeSha256", "RevisionId"} <= data.keys():
        data = _returned(data)
    return respond(data, *rest, **options)


def _returned(config):
    """Reasons only of what isn't done, no member without a value, and always a log format and a runtime's version.

    While it is updated, a function stays active.
    """
    returned = dict(config)
    if returned["StateReasonCode"] == "Creating":
        returned["LastUpdateStatus"] = ""
    elif returned["StateReasonCode"] == "Updating":
        reason = {"LastUpdateStatusReason": "The function is being created.", "LastUpdateStatusReasonCode": "Creating"}
        returned |= {"State": "Active", "StateReason": "", "StateReasonCode": ""} | reason
    if not returned["VpcConfig"].get("SubnetIds"):
        returned["VpcConfig"] = ""
    group = f"/aws/lambda/{config['FunctionName']}"
    returned["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": group} | config["LoggingConfig"]
    runtime = f"arn:aws:lambda:{get_region()}::runtime:{hashlib.sha256(config['Runtime'].encode()).hexdigest()}"
    returned["RuntimeVersionConfig"] = {"RuntimeVersionArn": runtime}
    return {name: value for name, value in returned.items() if value not in ("", []) or name == "Description"}
