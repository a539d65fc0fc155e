"""Dashboards with tags: told by whose they are, as alarms are. And what isn't there is named as AWS names it."""

from ministack.core.responses import get_account_id
from ministack.services import cloudwatch

from plugin.patching import around


def _arn(name):
    return f"arn:aws:cloudwatch::{get_account_id()}:dashboard/{name}"


@around(cloudwatch, "_put_dashboard")
def put_dashboard(put, params, data, *encodings):
    """Tags are heeded when it is new, and ignored when it is replaced."""
    name, new = data.get("DashboardName"), data.get("DashboardName") not in cloudwatch._dashboards
    answer = put(params, data, *encodings)
    if answer[0] == 200 and new:
        cloudwatch._resource_tags[_arn(name)] = {tag["Key"]: tag["Value"] for tag in data.get("Tags") or []}
    return answer


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
