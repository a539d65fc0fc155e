"""Cold starts: where a call had to wait for its environment, its `REPORT` says for how long."""

import threading
import time

from ministack.core.lambda_runtime import ProvidedWorker
from ministack.services import cloudwatch_logs as logs

from plugin.patching import around

_this = threading.local()  # a call is answered and logged by one thread
_spawn = ProvidedWorker._spawn


def spawn(worker, *options, **named):
    began = time.monotonic()
    _spawn(worker, *options, **named)
    _this.init = (time.monotonic() - began) * 1000


ProvidedWorker._spawn = spawn


@around(logs, "_append_log_events")
def append(append, stream, events):
    report = next((event for event in events if event["message"].startswith("REPORT RequestId: ")), None)
    init, _this.init = getattr(_this, "init", None), None
    if report and init is not None:
        report["message"] += f"\tInit Duration: {init:.2f} ms"
    return append(stream, events)
