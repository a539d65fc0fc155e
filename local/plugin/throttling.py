"""Limits of a route within a usage plan: the narrowest limit is asked first, and what it refuses takes nothing of others.

The emulator counts a request for the whole plan before it looks at its route, so a route's flood would use up the plan
however little of it is let through.

A used-up quota is told from a throttled call by message and error type, as AWS does: `Limit Exceeded` of
LimitExceededException, and `Too Many Requests` of TooManyRequestsException (API Gateway, "Gateway response types").
"""

from ministack.services import apigateway_v1 as v1

from plugin.patching import around

v1._GATEWAY_RESPONSE_ERROR_TYPES["QUOTA_EXCEEDED"] = "LimitExceededException"

@around(v1, "_check_throttle")
def check_throttle(check, stage, api_id, stage_name, path, method, key):
    plans = v1._usage_plans_for_key(key["id"], api_id, stage_name) if key else []
    for plan_id, _, covered in plans:
        share = (covered.get("throttle") or {}).get(f"{path}/{method}")
        if share and not v1._take_token(("share", plan_id, key["id"], api_id, stage_name, path, method), share):
            return v1._gw_error("THROTTLED", v1._GATEWAY_ERROR_MESSAGES["THROTTLED"])
    return check(stage, api_id, stage_name, path, method, key)
