"""Functions: what Lambda refuses and the emulator lets pass, and what it returns of a function."""

import hashlib
import json

from ministack.core.responses import error_response_json as refuse
from ministack.core.responses import get_account_id
from ministack.core.responses import get_region
from ministack.services import iam, lambda_svc
from ministack.services import s3

from plugin.patching import around

# Concurrent executions of a new account.
NEW = 10

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
    """A hundred of an account's thousand stay for functions without a reservation; of a new account's ten, all."""
    limit = NEW if _is_new(get_account_id()) else 1000
    least = min(100, limit)
    if limit - _reserved_except(name) - data.get("ReservedConcurrentExecutions", 0) < least:
        message = "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution"
        return refuse("InvalidParameterValueException", f"{message} below its minimum value of [{least}].", 400)
    return put(name, data)


def _reserved_except(name):
    return sum(function.get("concurrency") or 0 for other, function in lambda_svc._functions.items() if other != name)


def _is_new(account):
    """Accounts whose id begins so are new ones, which have ten concurrent executions until AWS raises that."""
    return account.startswith("10")


@around(lambda_svc, "_get_account_settings")
def get_account_settings(get):
    status, headers, body = get()
    if not _is_new(get_account_id()):
        return status, headers, body
    settings = json.loads(body)
    settings["AccountLimit"] |= {
        "ConcurrentExecutions": NEW,
        "UnreservedConcurrentExecutions": NEW - _reserved_except(None),
    }
    return status, headers, json.dumps(settings).encode()


@around(lambda_svc, "_acquire_execution_slot")
def acquire_execution_slot(acquire, function, config):
    """The emulator counts all accounts together, lets many more run, and doesn't see what is reserved for a function
    when a version of it is called.
    """
    _, by_function = lambda_svc.executions_in_flight()
    reserved = lambda_svc._functions.get(config["FunctionName"], {}).get("concurrency")
    if reserved is not None and by_function.get(lambda_svc._inflight_key(config), 0) >= reserved:
        return None, "function"
    account = config["FunctionArn"].split(":")[4]
    if _is_new(account):
        if sum(number for key, number in by_function.items() if key.startswith(f"{account}:")) >= NEW:
            return None, "account"
    return acquire(function, config)


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
