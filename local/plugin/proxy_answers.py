"""What a function must answer through a proxy integration: of anything else callers get a 502, and nothing more; and a
500 where Lambda refuses the call because too many run.

The emulator passes on what failed functions say, and makes an answer of what is none.
"""

import json

from ministack.services import apigateway_v1 as v1

from plugin.execution_log import note
from plugin.patching import around

# Callers get Lambda's 429 as API Gateway's own 500 (AWS re:Post, "API Gateway 5xx errors").
THROTTLED = {
    "statusCode": 500,
    "headers": {"x-amzn-ErrorType": "InternalServerErrorException"},
    "body": json.dumps({"message": "Internal server error"}),
}


@around(v1, "_lambda_proxy_response")
def proxy_response(shape, result):
    answer = result.get("body")
    if result.get("throttle"):
        note("Lambda invocation failed with status: 429.")
        return THROTTLED, None
    if result.get("error"):
        said = answer.get("errorMessage", answer) if isinstance(answer, dict) else answer
        note(f"Lambda execution failed with status 200 due to customer function error: {said}.")
        return None, "Internal server error"
    note(f"Endpoint response body before transformations: {json.dumps(answer, default=str)}")
    if not _is_proxy_answer(answer):
        note("Execution failed due to configuration error: Malformed Lambda proxy response")
        return None, "Internal server error"
    return answer | {"statusCode": int(answer["statusCode"]), "body": answer.get("body") or ""}, None


def _is_proxy_answer(answer):
    if not isinstance(answer, dict) or not isinstance(answer.get("body") or "", str):
        return False
    if not all(isinstance(answer.get(name) or {}, dict) for name in ("headers", "multiValueHeaders")):
        return False
    status = str(answer.get("statusCode"))
    return status.isdecimal() and 100 <= int(status) <= 599
