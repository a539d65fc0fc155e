"""Lists of a bucket's objects, page by page; and bucket policies, of which S3 refuses the malformed ones.

The emulator keeps any text as a bucket policy. What belongs in one: IAM's user guide, "Grammar of the IAM JSON policy
language", and S3's, "Policies and permissions in Amazon S3". The error is in S3's API reference, "Error responses"
(MalformedPolicy, 400); its messages are those recorded in github.com/versity/versitygw (issues 564, 645, 648, 649),
github.com/noobaa/noobaa-core/issues/10058 and github.com/hashicorp/terraform/issues/28688.
"""

import json
import re

from ministack.services import s3

from plugin.patching import around

FIELDS = {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
OPERATORS = re.compile(
    r"((ForAllValues|ForAnyValue):)?"
    r"(Null|Bool|BinaryEquals|(Not)?IpAddress|String(Not)?(Equals(IgnoreCase)?|Like)|Arn(Not)?(Equals|Like)"
    r"|(Numeric|Date)((Not)?Equals|LessThan(Equals)?|GreaterThan(Equals)?))(IfExists)?"
)
PRINCIPALS = {
    "AWS": re.compile(r"\*|\d{12}|arn:[\w-]+:(iam|sts)::\d{12}:.+"),
    "Service": re.compile(r"[\w.-]+\.amazonaws\.com(\.cn)?"),
    "Federated": re.compile(r".+"),
    "CanonicalUser": re.compile(r"[0-9a-f]{64}"),
}


@around(s3, "_list_object_versions")
def list_object_versions(list_versions, bucket, query):
    """After the version `null` of an object without versions comes the next object; the emulator repeats it for ever."""
    if s3._qp(query, "version-id-marker", "") == "null":
        query = {name: value for name, value in query.items() if name != "version-id-marker"}
    return list_versions(bucket, query)


@around(s3, "_put_bucket_policy")
def put_bucket_policy(put, name, body):
    problem = name in s3._buckets and _problem(name, body)
    return s3._error("MalformedPolicy", problem, 400, f"/{name}") if problem else put(name, body)


def _problem(bucket, body):
    try:
        policy = json.loads(body)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        return "Policies must be valid JSON and the first byte must be '{'"
    if policy.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        return "The policy must contain a valid version string"
    if "Statement" not in policy:
        return "Missing required field Statement"
    if not policy["Statement"]:
        return "Could not parse the policy: Statement is empty!"
    problems = (_statement_problem(bucket, statement) for statement in _list(policy["Statement"]))
    return next(filter(None, problems), None)


def _statement_problem(bucket, statement):
    unknown = statement.keys() - FIELDS
    if unknown:
        return f"Unknown field {min(unknown)}"
    if "Effect" not in statement:
        return "Missing required field Effect"
    if statement["Effect"] not in ("Allow", "Deny"):
        return f"Invalid effect: {statement['Effect']}"
    found = []
    for field in ("Principal", "Action", "Resource"):
        if field not in statement and f"Not{field}" not in statement:
            return f"Missing required field {field}"
        found.append(statement.get(field, statement.get(f"Not{field}")))
    principal, actions, resources = found
    if not _is_principal(principal):
        return "Invalid principal in policy"
    if not all(re.fullmatch(r"\*|s3:[\w*?]+", action) for action in _list(actions)):
        return "Policy has invalid action"
    own = re.compile(rf"arn:[\w-]+:s3:::{re.escape(bucket)}(/.*)?")
    if not all(own.fullmatch(resource) for resource in _list(resources)):
        return "Policy has invalid resource"
    for operator, keys in statement.get("Condition", {}).items():
        if not OPERATORS.fullmatch(operator):
            return f"Invalid Condition type : {operator}"
        if not all(re.match(r"(aws|s3):\w", key) for key in keys):
            return "Policy has an invalid condition key"
    return None


def _is_principal(principal):
    if not isinstance(principal, dict):
        return principal == "*"
    return all(
        kind in PRINCIPALS and all(PRINCIPALS[kind].fullmatch(name) for name in _list(names))
        for kind, names in principal.items()
    )


def _list(one_or_many):
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]
