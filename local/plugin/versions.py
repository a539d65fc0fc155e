"""Published versions: what makes a new one, and what deleting one takes along."""

import json

from ministack.core.responses import AccountRegionScopedDict
from ministack.core.responses import error_response_json as refuse
from ministack.services import lambda_svc

from plugin.patching import around
from plugin.policies import drop_policy

# What of a function's configuration is no part of what a version publishes.
PASSING = {"RevisionId", "LastModified"}


# By the name of a function that was deleted: the number of its next version.
_next = AccountRegionScopedDict()


@around(lambda_svc, "_create_function")
def create_function(create, data):
    """Numbers are never used again, not even for a function that was deleted and made anew."""
    name = data.get("FunctionName")
    answer = create(data)
    if answer[0] == 201 and name in _next and name in lambda_svc._functions:
        lambda_svc._functions[name]["next_version"] = _next.pop(name)
    return answer


@around(lambda_svc, "_publish_version")
def publish_version(publish, name, data):
    """Code and configuration as the last version has them give that version again, even if they were sent anew.

    The emulator takes each update for a change.
    """
    function = lambda_svc._functions.get(name)
    if not function:
        return publish(name, data)
    content = _content(function["config"])
    latest = max(function["versions"].items(), key=lambda item: int(item[0]), default=(None, {}))[1]
    if latest.get("content") == content:
        latest["function_revision"] = function["config"]["RevisionId"]
    status, headers, body = publish(name, data)
    if status == 201:
        function["versions"][json.loads(body)["Version"]]["content"] = content
    return status, headers, body


def _content(config):
    stated = {key: value for key, value in config.items() if key not in PASSING}
    passing = ("State", "LastUpdateStatus")
    return json.dumps({key: stated[key] for key in sorted(stated) if not key.startswith(passing)})


@around(lambda_svc, "_delete_function")
def delete_function(delete, name, query, path_qualifier=None):
    """$LATEST goes with the function alone; the emulator would delete all of it. A version's policy goes with it."""
    qualifier = lambda_svc._qualifier_from_path_or_query(path_qualifier, query)
    if name in lambda_svc._functions and qualifier == "$LATEST":
        message = "$LATEST version cannot be deleted without deleting the function."
        return refuse("InvalidParameterValueException", message, 400)
    following = lambda_svc._functions.get(name, {}).get("next_version", 1)
    answer = delete(name, query, path_qualifier)
    if answer[0] == 204 and not qualifier:
        _next[name] = following
    if answer[0] == 204 and qualifier:
        drop_policy(name, qualifier)
    return answer
