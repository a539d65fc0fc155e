"""Log events: each has an id of its own, and `nextToken` leads through more than one page of them.

Who follows a log knows by the ids what it has seen. The emulator tells none.
"""

import itertools
import json
import time

from ministack.services import cloudwatch_logs as logs

from plugin.patching import around

_number = itertools.count()


@around(logs, "_append_log_events")
def append(append, stream, events):
    return append(stream, [{"eventId": f"{time.time_ns()}{next(_number):037d}"} | event for event in events])


@around(logs, "_filter_log_events")
def filter_log_events(find, data):
    """Pages of as many as are asked for; the token says how many have been told."""
    told, limit = int(data.get("nextToken") or 0), min(data.get("limit", 10000), 10000)
    status, headers, body = find(data | {"limit": 10000})
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    events = answer["events"]
    answer["events"] = events[told : told + limit]
    if len(events) > told + limit:
        answer["nextToken"] = str(told + limit)
    return status, headers, json.dumps(answer).encode()
