"""Alarms on several metrics and an expression of them: kept, told again, and judged.

The emulator knows alarms of one metric: it drops the rest of what it is told, and so never lets such an alarm go off.
"""

import re
import time

from ministack.services import cloudwatch

from plugin import metrics  # noqa: F401 (what is judged is counted there)
from plugin.patching import around

EXPRESSION = re.compile(r"IF\((\w+) >= (\d+), 100 \* (\w+) / (\w+), 0\)")


@around(cloudwatch, "_put_metric_alarm")
def put_metric_alarm(put, params, data, is_cbor, is_json=False):
    queries = (data or {}).get("Metrics")
    problem = _problem(queries) if queries else None
    if problem:
        return cloudwatch._error("ValidationError", problem, 400, use_json=is_json, use_cbor=is_cbor)
    answer = put(params, data, is_cbor, is_json)
    alarm = cloudwatch._alarms.get((data or {}).get("AlarmName"))
    if answer[0] == 200 and queries and alarm:
        for name in ("MetricName", "Namespace", "Statistic", "Period"):
            alarm.pop(name, None)
        alarm["Metrics"] = queries
    return answer


def _problem(queries):
    """What AWS refuses of an alarm's metrics (PutMetricAlarm; MetricDataQuery: the id begins with a lower-case letter,
    and one of the queries alone returns data)."""
    ids = [query.get("Id", "") for query in queries]
    for name in ids:
        if not re.fullmatch(r"[a-z][a-zA-Z0-9_]{0,254}", name):
            return f"Invalid metrics list: id {name!r} must begin with a lower-case letter and have letters, digits and _"
        if ids.count(name) > 1:
            return f"Invalid metrics list: duplicate id {name}"
    if sum(bool(query.get("ReturnData", True)) for query in queries) != 1:
        return "Exactly one element of the metrics list should return data."
    for query in queries:
        if ("MetricStat" in query) == ("Expression" in query):
            return f"Invalid metrics list: {query['Id']} must have either MetricStat or Expression"
        for used in re.findall(r"\b[a-z][a-zA-Z0-9_]*\b", query.get("Expression", "")):
            if used not in ids:
                return f"Invalid metrics list: expression of {query['Id']} refers to {used}, which isn't in the list"
    return None


@around(cloudwatch, "_cbor_alarm")
def cbor_alarm(encode, alarm):
    """A member that isn't set is left out; as null, SDKs don't read it."""
    return {name: value for name, value in encode(alarm).items() if value is not None}


@around(cloudwatch, "_describe_alarms")
def describe_alarms(describe, *request, **how):
    cloudwatch._evaluate_all_alarms()
    return describe(*request, **how)


@around(cloudwatch, "_evaluate_alarm")
def evaluate(evaluate, alarm):
    if "Metrics" not in alarm:
        return evaluate(alarm)
    values = {query["Id"]: _value(query["MetricStat"]) for query in alarm["Metrics"] if "MetricStat" in query}
    judged = next(query for query in alarm["Metrics"] if query.get("ReturnData", True))
    value = values[judged["Id"]] if judged["Id"] in values else _computed(judged["Expression"], values)
    off = value is not None and value > alarm["Threshold"]  # the one comparison that is used, and silence is good
    state, reason = ("ALARM", "Threshold Crossed") if off else ("OK", "Threshold not crossed")
    if alarm["StateValue"] != state:
        alarm |= {"StateValue": state, "StateReason": f"{reason}: {value}", "StateUpdatedTimestamp": int(time.time())}
    return None


def _value(stat):
    """Of the periods that are over or under way the last one in which something was measured."""
    metric = stat["Metric"]
    key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(
        {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}))
    since = time.time() - 2 * int(stat["Period"])
    points = [point for point in cloudwatch._metrics.get(key, []) if point["Timestamp"] >= since]
    return cloudwatch._stat_value(cloudwatch._calc_stats(points), stat["Stat"], points) if points else None


def _computed(expression, values):
    """The one expression that is used. Another is an error here, for it would be silent."""
    at_least, number, errors, requests = EXPRESSION.fullmatch(expression).groups()
    if (values[at_least] or 0) < int(number):
        return 0
    return 100 * (values[errors] or 0) / values[requests]
