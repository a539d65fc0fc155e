"""Functions' processes end beside whatever else the cloud does: AWS answers before they have, and waits for none."""

import threading

from ministack.core import lambda_runtime

from plugin.patching import around


@around(lambda_runtime, "kill_workers")
def kill_workers(kill, workers):
    threading.Thread(target=kill, args=(list(workers),)).start()
