"""What SSM refuses of parameters (SSM API Reference, and "Managing parameter tiers")."""

from ministack.core.responses import error_response_json
from ministack.services import ssm

from plugin.patching import around

LARGEST_STANDARD = 4096


@around(ssm, "_list_tags_for_resource")
def list_tags_for_resource(list_tags, data):
    """A parameter that isn't there has no tags: InvalidResourceId, not an empty list."""
    name = data.get("ResourceId", "")
    if data.get("ResourceType") == "Parameter" and not ssm._lookup_parameter(name, flexible_name=True)[1]:
        return error_response_json("InvalidResourceId", "", 400)
    return list_tags(data)


@around(ssm, "_put_parameter")
def put_parameter(put, data):
    """The message is as github.com/hashicorp/terraform-provider-aws/issues/18521 quotes it."""
    existing = ssm._parameters.get(data.get("Name"))
    value = data.get("Value", "")
    tier = data.get("Tier") or ssm._default_tier(data, value, existing)
    if tier == "Standard" and len(value.encode()) > LARGEST_STANDARD:
        message = (
            f"Standard tier parameters support a maximum parameter value of {LARGEST_STANDARD} characters. To create"
            " a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
        )
        return error_response_json("ValidationException", message, 400)
    return put(data)
