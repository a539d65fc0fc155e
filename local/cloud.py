"""Start the local cloud: ministack with the plugin of this directory in its process.

    python cloud.py [--host 127.0.0.1] [--port 4566] [--home DIR]

`cargo xtask local up` runs this with the locked requirements; docker-compose.yml does so in a container.
It stays in the foreground and stops on SIGTERM or Ctrl-C, having saved its state.
"""

import argparse
import fcntl
import json
import os
import resource
import sys
import time
from pathlib import Path

# What the stack needs, and nothing that would listen on a port of its own.
SERVICES = "apigateway,iam,lambda,logs,monitoring,s3,ssm,sts"

# The sources stay as they were checked out: no __pycache__ among them.
sys.dont_write_bytecode = True

import plugin  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description="the local cloud: ministack and the plugin beside this file")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=4566, type=int, help="port to listen on (default: %(default)s)")
    parser.add_argument("--home", type=Path, help="directory that keeps the state over restarts (default: keep none)")
    return parser.parse_args()


def occupy(home, record):
    """Lock `home/cloud.json` for as long as this process lives, and write into it who that is.

    The lock is how others know that a local cloud runs here: the system releases it however the process ends, and a
    process id alone may by then be another's.
    """
    home.mkdir(parents=True, exist_ok=True)
    # A bare descriptor, which nothing closes before the process ends.
    file = os.open(home / "cloud.json", os.O_RDWR | os.O_CREAT, 0o644)
    patience = time.monotonic() + 1  # to look whether it is locked, others lock it for a moment
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > patience:
                raise RuntimeError(f"another local cloud keeps its state in {home}") from None
            time.sleep(0.01)
    os.truncate(file, 0)
    os.write(file, json.dumps(record).encode())


def configure(args):
    """Tell ministack through its environment, which it reads once, when it is imported."""
    settings = {
        "GATEWAY_PORT": str(args.port),
        "SERVICES": SERVICES,
        "IOT_MTLS_ENABLED": "0",
        # Functions run as plain processes: no Docker, whatever the caller's shell has set.
        "LAMBDA_EXECUTOR": "local",
        # More than one process of a function only while there are calls for it: hundreds that idle slow all down.
        "LAMBDA_WARM_TTL_SECONDS": "10",
    }
    if args.home:
        state = args.home.resolve() / "state"
        # ministack would go on without a word, and lose the state at the end.
        (state / "services").mkdir(parents=True, exist_ok=True)
        settings |= {
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "s3"),
        }
    os.environ.update(settings)
    os.environ.setdefault("LOG_LEVEL", "WARNING")


def allow_many_files():
    """Every connection is one, and every warm function has some: as many as the system allows anybody."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says "unlimited" and refuses more than this.
    wanted = 10_240 if most == resource.RLIM_INFINITY else most
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    except (ValueError, OSError):
        pass  # then it stays as it was


def main():
    args = arguments()
    allow_many_files()
    home = str(args.home.resolve()) if args.home else None
    record = {
        "pid": os.getpid(),
        "port": args.port,
        "started": int(time.time()),
        "ministack": plugin.check(),
        "home": home,
    }
    if args.home:
        occupy(args.home, record)
    configure(args)

    app = plugin.application(record)

    import uvicorn

    uvicorn.run(
        app,
        host=args.host,
        port=args.port,
        http="httptools",
        ws="none",
        loop="asyncio",
        # Its own are ministack's affair.
        date_header=False,
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        # Longer than the deployer keeps an idle connection (90 s), so that it never sends a request into one that
        # is being closed.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, ImportError, OSError) as error:
        sys.exit(f"starting the local cloud: {error}")
