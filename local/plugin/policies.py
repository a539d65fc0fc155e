"""A function has a policy, and so has each version and alias of it; what goes takes its policy along.

The emulator keeps the statements of all in one list: it refuses an id that another of them has, tells and removes
statements of others where no qualifier is given, and still knows them when the version or alias is made again.
"""

from contextlib import contextmanager

from ministack.core.responses import error_response_json as refuse
from ministack.services import lambda_svc

from plugin.patching import around


@contextmanager
def _policy_of(name, qualifier):
    """Meanwhile the statements of this policy are all that the function has."""
    policy = lambda_svc._functions.get(name, {}).get("policy", {"Statement": []})
    arn = lambda_svc._policy_resource_arn(name, qualifier)
    others = [statement for statement in policy["Statement"] if statement["Resource"] != arn]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Resource"] == arn]
    try:
        yield policy
    finally:
        policy["Statement"] = others + policy["Statement"]


@around(lambda_svc, "_add_permission")
def add_permission(add, name, data, query=None, path_qualifier=None):
    with _policy_of(name, lambda_svc._qualifier_from_path_or_query(path_qualifier, query)):
        return add(name, data, query, path_qualifier)


@around(lambda_svc, "_remove_permission")
def remove_permission(remove, name, statement_id, query, path_qualifier=None):
    with _policy_of(name, lambda_svc._qualifier_from_path_or_query(path_qualifier, query)):
        return remove(name, statement_id, query, path_qualifier)


@around(lambda_svc, "_get_policy")
def get_policy(get, name, query=None, path_qualifier=None):
    """A policy without statements is none."""
    with _policy_of(name, lambda_svc._qualifier_from_path_or_query(path_qualifier, query)) as policy:
        if name in lambda_svc._functions and not policy["Statement"]:
            return refuse("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        return get(name, query, path_qualifier)


def drop_policy(name, qualifier):
    with _policy_of(name, qualifier) as policy:
        policy["Statement"] = []


@around(lambda_svc, "_delete_alias")
def delete_alias(delete, name, alias):
    drop_policy(name, alias)
    return delete(name, alias)
