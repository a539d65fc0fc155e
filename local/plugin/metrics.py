"""What Lambda and API Gateway count in CloudWatch, under the dimensions that AWS uses.

The emulator counts direct invocations only, by the function alone, and keeps a point of each for two weeks. Here equal
values of one minute are one point, and of each metric about a day is kept.
"""

import threading
import time
from contextvars import ContextVar

from ministack.services import apigateway_v1 as v1
from ministack.services import cloudwatch, lambda_svc

from plugin.patching import around

MINUTE = 60
KEPT = 2 * 24 * 60  # points: a day of minutes with a success and a failure each

_counting = threading.RLock()  # functions run in threads
_newest_first = ContextVar("the order in which the request being answered wants its values")


def _count(namespace, dimension_sets, unit, values):
    """Adds a value to each of these metrics, under each of these sets of dimensions."""
    with _counting:
        for dimensions in dimension_sets:
            for metric, value in values.items():
                points = cloudwatch._metric_bucket((namespace, metric, cloudwatch._dims_key(dimensions)))
                _add(points, {"Value": value, "Unit": unit, "Dimensions": dimensions})


def _add(points, point):
    minute = time.time() // MINUTE * MINUTE
    for other in reversed(points):
        if other["Timestamp"] != minute:
            break
        if other["Value"] == point["Value"]:
            other["Count"] += 1
            return
    points.append({"Timestamp": minute, "Count": 1} | point)
    del points[:-KEPT]


@around(lambda_svc, "_execute_function_dispatch")
def execute(execute, function, config, *rest):
    """Each invocation, by whichever way it came."""
    began = time.monotonic()
    result = execute(function, config, *rest)
    dimensions, error = _of_function(config), 1 if result.get("error") else 0
    _count("AWS/Lambda", dimensions, "Count", {"Invocations": 1, "Errors": error})
    _count("AWS/Lambda", dimensions, "Milliseconds", {"Duration": _since(began)})
    return result


@around(lambda_svc, "_acquire_execution_slot")
def acquire(acquire, function, config):
    """What gets no slot is throttled, and no invocation."""
    slot, limit = acquire(function, config)
    if slot is None:
        _count("AWS/Lambda", _of_function(config), "Count", {"Throttles": 1})
    return slot, limit


@around(lambda_svc, "_emit_lambda_metrics")
def emit(*_, **__):
    """All that the emulator counts here is counted above."""


def _of_function(config):
    name, version = config["FunctionName"], config.get("Version", "$LATEST")
    _, qualifier = lambda_svc._resolve_name_and_qualifier(config["FunctionArn"])
    sets = [{"FunctionName": name}, {"FunctionName": name, "Resource": f"{name}:{qualifier}" if qualifier else name}]
    if qualifier not in (None, version):
        sets.append(sets[-1] | {"ExecutedVersion": version})
    return sets


@around(v1, "_handle_execute_in_scope")
async def handle(handle, api_id, stage_name, *rest):
    """Each request to a stage, whoever answers it."""
    began = time.monotonic()
    answer = await handle(api_id, stage_name, *rest)
    if stage_name in v1._stages_v1.get(api_id, {}):
        api, kind = {"ApiName": v1._rest_apis[api_id]["name"]}, answer[0] // 100
        dimensions = [api, api | {"Stage": stage_name}]
        counts = {"Count": 1, "4XXError": 1 if kind == 4 else 0, "5XXError": 1 if kind == 5 else 0}
        _count("AWS/ApiGateway", dimensions, "Count", counts)
        _count("AWS/ApiGateway", dimensions, "Milliseconds", {"Latency": _since(began)})
    return answer


def _since(began):
    return round((time.monotonic() - began) * 1000)


_evicted = time.monotonic()


@around(cloudwatch, "_evict_old_metrics")
def evict(evict):
    """Each request would look through the metrics of all accounts: what is two weeks old can wait for an hour."""
    global _evicted
    if time.monotonic() - _evicted > 3600:
        _evicted = time.monotonic()
        with _counting:
            evict()


@around(cloudwatch, "_get_metric_data")
def get_metric_data(get, params, data, *encodings):
    """A start within a minute means all of that minute; the newest comes first unless the request says otherwise."""
    start = cloudwatch._parse_ts(data.get("StartTime"))
    if start:
        data = data | {"StartTime": start // MINUTE * MINUTE}
    token = _newest_first.set(data.get("ScanBy") != "TimestampAscending")
    try:
        with _counting:
            return get(params, data, *encodings)
    finally:
        _newest_first.reset(token)


@around(cloudwatch, "_cbor_metric_data_result")
def metric_data_result(encode, result):
    """Values are fractions, whole ones too: AWS's SDKs take no others, and one count's percentile is that count."""
    result = result | {"Values": [float(value) for value in result["Values"]]}
    if _newest_first.get():
        result = result | {name: result[name][::-1] for name in ("Timestamps", "Values")}
    return encode(result)
