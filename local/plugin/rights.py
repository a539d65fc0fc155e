"""What a request needs of IAM, where the emulator asks for something else than AWS, or for less.

Rights are looked at with AUTH=true in the environment only.
"""

import dataclasses
import json
import re
from contextvars import ContextVar
from urllib.parse import quote

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import apigateway_v1 as v1
from ministack.services import iam, lambda_svc, tagging

from plugin import cbor
from plugin.patches import tags_of
from plugin.patching import around

GATEWAY = "ops.apigateway.amazonaws.com"

# Pairs of action and ARN (and keys for conditions) that the request needs besides its own.
_besides = ContextVar("what the request needs besides", default=())
_lacking = ContextVar("which of these is lacking", default=None)
_keys = ContextVar("condition keys of IAM's own that the request carries", default={})
_tags_refused = ContextVar("why GetFunction may not return the function's tags", default=None)


@around(iam_actions, "_lambda_action")
def lambda_action(find, method, path):
    if path.rstrip("/").endswith("/account-settings"):
        return "GetAccountSettings"
    if re.search(r"/functions/[^/]+/urls?$", path.rstrip("/")):
        listed = path.rstrip("/").endswith("/urls")
        return "ListFunctionUrlConfigs" if listed else {"DELETE": "DeleteFunctionUrlConfig"}.get(method, find(method, path))
    if method == "DELETE" and "/event-source-mappings/" in path:
        return "DeleteEventSourceMapping"
    if re.search(r"/functions/[^/]+/aliases/.", path):
        return {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}.get(method)
    return find(method, path)


@around(iam_actions, "extract_iam_action")
def action(find, service, method, path, headers, body, params):
    """AWS's SDKs name CloudWatch's operations in the path."""
    if service == "monitoring" and "/operation/" in path:
        return f"cloudwatch:{path.rsplit('/', 1)[-1]}"
    return find(service, method, path, headers, body, params)


def _watching(path, body, region, account):
    """The alarm or the dashboard."""
    fields = cbor.loads(body) if body else {}
    page = fields.get("DashboardName") or (fields.get("DashboardNames") or [None])[0]
    if page:
        return f"arn:aws:cloudwatch::{account}:dashboard/{page}"
    names = fields.get("AlarmNames") if path.endswith("/DeleteAlarms") else None
    name = fields.get("AlarmName") or (names or [None])[0]
    return fields.get("ResourceARN") or (f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}" if name else "*")


@around(iam_actions, "extract_resource_arn")
def resource(find, service, method, path, headers, body, params, region, account):
    """On what the request acts; and, as this is asked once a request, what else it needs."""
    cbor_said = service == "monitoring" and "/operation/" in path
    arn = find(service, method, path, headers, b"" if cbor_said else body, params, region, account)
    fields = {} if cbor_said else _fields(body)
    if cbor_said:
        arn = _watching(path, body, region, account)
    elif service == "iam" and params.get("RoleName"):
        name = _one(params["RoleName"])
        role = iam._roles.get(name) or {"Path": _one(params.get("Path", "/"))}
        arn = f"arn:aws:iam::{account}:role{role['Path']}{name}"
    elif service == "iam" and params.get("PolicyDocument") and params.get("PolicyName") and arn == "*":
        arn = f"arn:aws:iam::{account}:policy{_one(params.get('Path', '/'))}{_one(params['PolicyName'])}"
    elif service == "iam" and params.get("PolicySourceArn"):
        arn = _one(params["PolicySourceArn"])
    elif service == "iam" and params.get("OpenIDConnectProviderArn"):
        arn = _one(params["OpenIDConnectProviderArn"])
    elif service == "iam" and params.get("Url"):
        arn = f"arn:aws:iam::{account}:oidc-provider/{_one(params['Url']).split('://')[-1]}"
    elif service == "ssm" and fields.get("Path"):
        arn = f"arn:aws:ssm:{region}:{account}:parameter{fields['Path']}"
    elif service == "logs" and fields.get("logStreamName"):
        arn = f"{arn}:log-stream:{fields['logStreamName']}"
    elif service == "lambda" and arn == "*" and fields.get("FunctionName"):
        arn = f"arn:aws:lambda:{region}:{account}:function:{fields['FunctionName']}"
    elif service == "lambda" and params.get("Qualifier"):
        arn = f"{arn}:{_one(params['Qualifier'])}"
    _lacking.set(None)
    _keys.set(_iam_keys(params) if service == "iam" else _mapping_keys(path))
    _besides.set(tuple(_needed(service, method, path, arn, body, fields, params)))
    return arn


def _iam_keys(params):
    """A role's boundary is that of the request, where it sets one, or else the one that it has."""
    role = iam._roles.get(_one(params.get("RoleName", ""))) or {}
    boundary = _one(params.get("PermissionsBoundary", "")) or role.get("PermissionsBoundary")
    keys = {"iam:policyarn": _one(params.get("PolicyArn", "")), "iam:permissionsboundary": boundary}
    return {key: value for key, value in keys.items() if value}


def _mapping_keys(path):
    """Of an event source mapping, the function ("Condition keys for AWS Lambda": lambda:FunctionArn)."""
    mapping = lambda_svc._esms.get(path.rstrip("/").rpartition("/event-source-mappings/")[2])
    return {"lambda:functionarn": mapping["FunctionArn"]} if mapping else {}


def _needed(service, method, path, arn, body, fields, params):
    if service == "monitoring" and re.search("/Put(MetricAlarm|Dashboard)$", path) and cbor.loads(body).get("Tags"):
        yield "cloudwatch:TagResource", arn, {}
    operation = iam_actions.extract_iam_action(service, method, path, {}, body, params)
    if operation == "cloudwatch:DeleteAlarms":
        for name in cbor.loads(body).get("AlarmNames", [])[1:]:
            yield operation, f"{arn.rpartition(':')[0]}:{name}", {}
    if service == "lambda" and fields.get("Role"):
        yield "iam:PassRole", fields["Role"], {"iam:passedtoservice": "lambda.amazonaws.com"}
    if service == "apigateway" and path.rstrip("/").endswith("/account") and method == "PATCH":
        for patch in fields.get("patchOperations", []):
            yield "iam:PassRole", patch.get("value"), {"iam:passedtoservice": "apigateway.amazonaws.com"}
    if service == "lambda":
        code = fields.get("Code", fields)
        if code.get("S3Bucket"):
            yield "s3:GetObject", f"arn:aws:s3:::{code['S3Bucket']}/{code['S3Key']}", {}
        if operation == "lambda:CreateFunction" and fields.get("Tags"):
            yield "lambda:TagResource", arn, {}
    if operation == "iam:CreateRole" and "Tags.member.1.Key" in params:
        yield "iam:TagRole", arn, {}
    if operation == "iam:CreateOpenIDConnectProvider" and "Tags.member.1.Key" in params:
        yield "iam:TagOpenIDConnectProvider", arn, {}
    if operation == "iam:CreatePolicy" and "Tags.member.1.Key" in params:
        yield "iam:TagPolicy", arn, {}
    if service == "ssm" and fields.get("Tags"):
        # By its documentation AWS looks at the parameter's ARN; it was seen to look at one with two slashes
        # (pepperize/cdk-ssm-parameters-cross-region#442). A policy must allow both.
        yield "ssm:AddTagsToResource", arn, {}
        yield "ssm:AddTagsToResource", arn.replace(":parameter/", ":parameter//"), {}
    if service == "logs" and fields.get("tags") and "logGroupName" in fields:
        yield "logs:TagResource", arn, {}
    if operation == "s3:CreateBucket" and b"<Tag>" in (body or b""):
        yield "s3:TagResource", arn, {}
    if service == "apigateway" and method == "POST" and path.rstrip("/") == "/restapis" and not len(v1._rest_apis):
        # With the first API of an account API Gateway makes its service-linked role as the caller ("Using
        # service-linked roles for API Gateway"; amplify-education/serverless-domain-manager#112).
        linked = f"arn:aws:iam::{get_account_id()}:role/aws-service-role/{GATEWAY}/AWSServiceRoleForAPIGateway"
        yield "iam:CreateServiceLinkedRole", linked, {"iam:awsservicename": GATEWAY}
    if service == "apigateway" and method == "POST" and fields.get("tags"):
        head, _, made = arn.partition("::")
        yield "apigateway:PUT", f"{head}::/tags/{quote(f'{head}::{made}/', safe='')}*", {}


@around(iam_evaluator, "_resolve_condition_key")
def condition_key(find, key, context):
    """The way to this cloud has no TLS, and stands for one that has."""
    if key.lower() in _keys.get():
        return _keys.get()[key.lower()]
    return "true" if key.lower() == "aws:securetransport" else find(key, context)


def _service_control_policies():
    """AWS Organizations isn't there: a managed policy under this path of an account stands for one of its SCPs."""
    policies = [policy for policy in iam._policies.values() if policy["Path"] == "/organization/"]
    documents = [policy["Versions"][policy["DefaultVersionId"]]["Document"] for policy in policies]
    return [iam_evaluator.parse_policy_document(document) for document in documents]


def allowed_by_organization(context):
    """None where no SCP is in force."""
    policies = _service_control_policies()
    return _evaluate(context, policies).decision == "Allow" if policies else None


_evaluate = iam_evaluator.evaluate


@around(iam_evaluator, "evaluate")
def evaluate(judge, context, policies, *limits):
    """An SCP allows nothing by itself, and what it doesn't allow is denied ("How SCPs work", AWS Organizations)."""
    in_force = _service_control_policies()
    return judge(context, policies, *limits, *([in_force] if in_force else []))


@around(iam_evaluator, "_first_match")
def first_match(find, context, statements, effect):
    """A policy's variables stand for what is known of whoever asks."""
    return find(context, [_filled(statement, context) for statement in statements], effect)


def _filled(statement, context):
    def value(variable):
        return iam_evaluator._resolve_condition_key(variable[1], context) or variable[0]

    if not any("${" in resource for resource in statement.resources):
        return statement
    resources = [re.sub(r"\$\{([^}]+)\}", value, resource) for resource in statement.resources]
    return dataclasses.replace(statement, resources=resources)


@around(iam_actions, "request_tag_context")
def request_tags(find, service, action, body, params):
    """API Gateway's actions are verbs of HTTP, by which the emulator doesn't know a request with tags."""
    tags = _fields(body).get("tags") if service == "apigateway" else None
    if not tags:
        return find(service, action, body, params)
    keys = {f"aws:requesttag/{key}".lower(): value for key, value in tags.items()}
    return keys | {"aws:TagKeys": list(tags)}


@around(tagging, "resource_tags")
def resource_tags(find, arn):
    """What is below an API or a usage plan bears its tags too."""
    head, _, path = arn.partition("::/")
    if ":apigateway:" not in head:
        return find(arn)
    tags, _ = tags_of(f"{head}::/{'/'.join(path.split('/')[:2])}")
    return tags


@around(iam_evaluator, "enforce")
def enforce(judge, key, action, service, region, resource_arn="*", service_context=None):
    # IAM's one endpoint is there, whatever the caller's region ("AWS global condition context keys": RequestedRegion).
    region = "us-east-1" if service == "iam" else region
    denied = judge(key, action, service, region, resource_arn=resource_arn, service_context=service_context)
    for other, arn, context in _besides.get():
        if denied:
            break
        denied = judge(key, other, service, region, resource_arn=arn, service_context=context)
        _lacking.set((other, arn) if denied else None)
    if action == "lambda:GetFunction" and not denied:
        refused = judge(key, "lambda:ListTags", service, region, resource_arn=resource_arn)
        words = ("lambda:ListTags", refused.principal_arn, resource_arn, False) if refused else None
        _tags_refused.set(iam_actions.identity_denial_message(*words) if words else None)
    return denied


@around(lambda_svc, "_get_function")
def get_function(get, name, qualifier=None):
    """Tags are returned only with an explicit allow of lambda:ListTags ("Permissions required for working with tags",
    Lambda Developer Guide); without it the answer is 200 with `TagsError` (GetFunctionResponse in the service model).
    """
    status, headers, body = get(name, qualifier)
    refused = _tags_refused.get()
    if status == 200 and refused:
        answer = json.loads(body)
        answer.pop("Tags", None)
        answer["TagsError"] = {"ErrorCode": "AccessDeniedException", "Message": refused}
        body = json.dumps(answer).encode()
    return status, headers, body


@around(iam_actions, "access_denied_response")
def refuse(answer, service, action, principal, request_id, **words):
    """Every service but S3 on HEAD names action and resource."""
    action, arn = _lacking.get() or (action, words.get("resource_arn", "*"))
    own = not words.get("message") and not words.get("error_code") and not words.get("resource_policy_arn")
    if own:
        deny = words.get("explicit_deny", False)
        words |= {"message": iam_actions.identity_denial_message(action, principal, arn, deny)}
    return answer(service, action, principal, request_id, **words | {"resource_arn": arn})


def _fields(body):
    try:
        fields = json.loads(body or b"{}")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _one(value):
    return value[0] if isinstance(value, list) else value
