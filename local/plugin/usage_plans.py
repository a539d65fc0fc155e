"""What API Gateway refuses of a usage plan: too many method limits, limits of methods that aren't served, stages that
can't be unbound.

Amazon API Gateway quotas: "Method-level throttling settings for a stage in a usage plan", 20. A wildcard is refused
(github.com/hashicorp/terraform-provider-aws, issue 26128), and a method that the stage doesn't serve is not found
(github.com/aws/aws-cdk, issue 15426). Which error the 21st limit gets was not recorded. Texts about stages are as AWS was
recorded (localstack, tests/aws/services/apigateway, snapshot of test_usage_plan_crud).
"""

import copy

from ministack.services import apigateway_v1 as v1

from plugin import deployments
from plugin.patching import around

MOST_METHODS = 20


@around(v1, "_create_usage_plan")
def create_usage_plan(create, data):
    return _bad_limits(data.get("apiStages", [])) or create(data)


@around(v1, "_update_usage_plan")
def update_usage_plan(update, plan_id, data):
    plan, operations = v1._usage_plans.get(plan_id), data.get("patchOperations", [])
    if plan is None:
        return v1._v1_error("NotFoundException", "Invalid Usage Plan ID specified", 404)
    patched = v1._apply_patch(copy.deepcopy(plan), operations)
    changed = [stage for stage in patched.get("apiStages", []) if stage not in plan.get("apiStages", [])]
    return _bad_unbinding(plan, operations) or _bad_limits(changed) or update(plan_id, data)


def _bad_limits(stages):
    for covered in stages:
        limits = covered.get("throttle") or {}
        if len(limits) > MOST_METHODS:
            message = f"At most {MOST_METHODS} method-level throttling settings are allowed for a stage in a usage plan"
            return v1._v1_error("LimitExceededException", message, 429)
        served = _served(covered.get("apiId"), covered.get("stage"))
        for method in limits:
            if "*" in method:
                return v1._v1_error("BadRequestException", f"Invalid method {method} specified", 400)
            if served is not None and method not in served:
                return v1._v1_error("NotFoundException", f"Invalid method {method} specified", 404)
    return None


def _served(api_id, stage_name):
    """`/health/GET` for each method of the stage's deployment, `//GET` for the root's. None where there is no stage."""
    stage = v1._stages_v1.get(api_id, {}).get(stage_name)
    if stage is None:
        return None
    resources = v1._resources.get(deployments.snapshot(api_id, stage["deploymentId"]), {}).values()
    return {f"{r['path']}/{method}" for r in resources for method in r.get("resourceMethods", {})}


def _bad_unbinding(plan, operations):
    """A stage that is gone can't be unbound, and nor can one that the plan doesn't list."""
    bound = {(s["apiId"], s["stage"]) for s in plan.get("apiStages", [])}
    for operation in operations:
        if (operation.get("op"), operation["path"]) != ("remove", "/apiStages"):
            continue
        api_id, _, stage = (operation.get("value") or "").partition(":")
        if not stage:
            return v1._v1_error("BadRequestException", "Invalid API Stage specified", 400)
        if (api_id, stage) not in bound or stage not in v1._stages_v1.get(api_id, {}):
            message = f"Invalid API Stage {{api: {api_id}, stage: {stage}}} specified for usageplan {plan['id']}"
            return v1._v1_error("NotFoundException", message, 404)
    return None
