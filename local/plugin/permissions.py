"""API Gateway may invoke a function only if the policy of exactly that function, version or alias allows it.

The emulator invokes without looking, so a permission forgotten, or put on the wrong qualifier, would pass.
"""

import logging

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import request_scope
from ministack.services import apigateway_v1 as v1
from ministack.services import lambda_svc

from plugin.execution_log import note
from plugin.patching import around

log = logging.getLogger("permissions")


async def _invoke(invoke, integration, api_id, stage_name, stage, resource, path, method, *rest, **scope):
    function = v1._extract_lambda_ref_from_integration_uri(integration["uri"])
    account, region = scope["owner_account_id"], scope["owner_region"]
    source = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage_name}/{method}{resource['path']}"
    if integration.get("credentials") or _allowed(function, source, account, region):
        return await invoke(integration, api_id, stage_name, stage, resource, path, method, *rest, **scope)
    log.warning("invalid permissions on Lambda function: the policy of %s doesn't let %s invoke it", function, source)
    note("Execution failed due to configuration error: Invalid permissions on Lambda function")
    return v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")


around(v1, "_invoke_lambda_proxy_v1")(_invoke)
around(v1, "_invoke_lambda_custom_v1")(_invoke)


def _allowed(function, source, account, region):
    with request_scope(account, region):
        found = lambda_svc.function_policy_for_arn(function)
    if found is None:
        return False
    request = EvalContext(
        principal_arn="apigateway.amazonaws.com",
        principal_type="AWSService",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=function,
        region=region,
        service_context={"aws:sourcearn": source, "aws:sourceaccount": account},
    )
    return evaluate_resource_policy(found[0], request, service="apigateway.amazonaws.com").decision == "Allow"
