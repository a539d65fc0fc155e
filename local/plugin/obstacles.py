"""What AWS refuses to delete: APIs that a custom domain maps to, and log groups with deletion protection.

API Gateway: recorded for a REST API with a base path mapping ("Please remove all base path mappings related to the RestApi
in your domains"). CloudWatch Logs: PutLogGroupDeletionProtection, and `deletionProtectionEnabled` in DescribeLogGroups
(API reference); the refusal is a ValidationException.
"""

import json

from ministack.core.responses import error_response_json, json_response
from ministack.services import apigateway_v1 as v1
from ministack.services import cloudwatch_logs as logs

from plugin.patching import around


@around(v1, "_delete_rest_api")
def delete_rest_api(delete, api_id):
    domains = [d for d in v1._domain_names if any(m["restApiId"] == api_id for m in v1._base_path_mappings[d].values())]
    if domains:
        message = (
            f"Deleting RestApi {api_id} failed. Please remove all base path mappings related to the RestApi in your "
            f"domains: {', '.join(domains)}"
        )
        return v1._v1_error("BadRequestException", message, 400)
    return delete(api_id)


@around(logs, "_delete_log_group")
def delete_log_group(delete, data):
    if logs._log_groups.get(data.get("logGroupName"), {}).get("deletionProtectionEnabled"):
        message = (
            "The log group cannot be deleted because deletion protection is enabled. Disable deletion protection and try "
            "again."
        )
        return error_response_json("ValidationException", message, 400)
    return delete(data)


@around(logs, "_describe_log_groups")
def describe_log_groups(describe, data):
    status, headers, body = describe(data)
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    for group in answer["logGroups"]:
        group["deletionProtectionEnabled"] = logs._log_groups[group["logGroupName"]].get("deletionProtectionEnabled", False)
    return status, headers, json.dumps(answer).encode()


@around(logs, "handle_request")
async def route(serve, method, path, headers, body, query):
    if headers.get("x-amz-target", "").endswith(".PutLogGroupDeletionProtection"):
        return _put_log_group_deletion_protection(json.loads(body))
    return await serve(method, path, headers, body, query)


def _put_log_group_deletion_protection(data):
    name = data["logGroupIdentifier"].rsplit(":log-group:")[-1]
    if name not in logs._log_groups:
        return error_response_json("ResourceNotFoundException", "The specified log group does not exist.", 400)
    logs._log_groups[name]["deletionProtectionEnabled"] = data["deletionProtectionEnabled"]
    return json_response({})
