"""Dashboards with tags: told by whose they are, as alarms are. And what isn't there is named as AWS names it.

Names and bodies are held to what AWS takes (PutDashboard; "Dashboard body structure and syntax"), and a body is returned
as another text of the same JSON: AWS promises the value, not the text.
"""

import json
import re

from ministack.core.responses import get_account_id
from ministack.services import cloudwatch

from plugin.patching import around


def _arn(name):
    return f"arn:aws:cloudwatch::{get_account_id()}:dashboard/{name}"


@around(cloudwatch, "_put_dashboard")
def put_dashboard(put, params, data, *encodings):
    """Tags are heeded when it is new, and ignored when it is replaced."""
    name, new = data.get("DashboardName"), data.get("DashboardName") not in cloudwatch._dashboards
    problem = _name_problem(name or "") or _body_problem(data.get("DashboardBody") or "")
    if problem:
        use_cbor, use_json = (*encodings, False)[:2]
        return cloudwatch._error("InvalidParameterInput", problem, 400, use_json=use_json, use_cbor=use_cbor)
    answer = put(params, data, *encodings)
    if answer[0] == 200 and new:
        cloudwatch._resource_tags[_arn(name)] = {tag["Key"]: tag["Value"] for tag in data.get("Tags") or []}
    return answer


def _name_problem(name):
    if re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name):
        return None
    return "The field DashboardName must only contain alphanumerics, dash and underscore, and at most 255 of them"


def _body_problem(text):
    try:
        body = json.loads(text)
    except ValueError:
        return "The field DashboardBody must be a valid JSON object"
    widgets = body.get("widgets") if isinstance(body, dict) else None
    if not isinstance(widgets, list) or len(widgets) > 500:
        return "The dashboard body is invalid: /widgets must be an array of at most 500"
    for number, widget in enumerate(widgets):
        if not isinstance(widget, dict) or widget.get("type") not in ("metric", "text", "log", "alarm", "explorer", "custom"):
            return f"The dashboard body is invalid: /widgets/{number}/type"
        if not isinstance(widget.get("properties"), dict):
            return f"The dashboard body is invalid: /widgets/{number}/properties"
        for field, least, most in (("x", 0, 23), ("y", 0, None), ("width", 1, 24), ("height", 1, 1000)):
            value = widget.get(field, least)
            if not isinstance(value, int) or value < least or (most is not None and value > most):
                return f"The dashboard body is invalid: /widgets/{number}/{field}"
        if widget["type"] == "metric" and not widget["properties"].get("region"):
            return f"The dashboard body is invalid: /widgets/{number}/properties/region"
    return None


@around(cloudwatch, "_get_dashboard")
def get_dashboard(get, params, data, *encodings):
    page = cloudwatch._dashboards.get(data.get("DashboardName")) if data else None
    if page is None:
        return get(params, data, *encodings)
    told = page | {"DashboardBody": json.dumps(_retold(json.loads(page["DashboardBody"])), indent=1)}
    cloudwatch._dashboards[data["DashboardName"]] = told
    try:
        return get(params, data, *encodings)
    finally:
        cloudwatch._dashboards[data["DashboardName"]] = page


def _retold(value):
    """The same value, with fields in another order and whole numbers written as 1.0."""
    if isinstance(value, dict):
        return {key: _retold(value[key]) for key in reversed(sorted(value))}
    if isinstance(value, list):
        return [_retold(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@around(cloudwatch, "_validate_alarm_tag_arn")
def validate_tag_arn(validate, arn, **encodings):
    if any(arn == _arn(name) for name in cloudwatch._dashboards):
        return None
    return validate(arn, **encodings)


@around(cloudwatch, "_delete_dashboards")
def delete_dashboards(delete, params, data, is_cbor, is_json=False):
    missing = [name for name in data.get("DashboardNames", []) if name not in cloudwatch._dashboards]
    if missing:
        message = f"Dashboard {', '.join(missing)} does not exist"
        return cloudwatch._error("ResourceNotFound", message, 404, use_json=is_json, use_cbor=is_cbor)
    return delete(params, data, is_cbor, is_json)


@around(cloudwatch, "_list_dashboards")
def list_dashboards(find, params, data, is_cbor, is_json=False):
    """Without times, which the emulator writes in CBOR so that no SDK reads them."""
    if not is_cbor:
        return find(params, data, is_cbor, is_json)
    pages = sorted(cloudwatch._dashboards.items())
    named = [page for name, page in pages if name.startswith(data.get("DashboardNamePrefix") or "")]
    told = ("DashboardName", "DashboardArn", "Size")
    return cloudwatch._cbor_ok({"DashboardEntries": [{key: page[key] for key in told} for page in named]})
