"""Stands before the emulator: tells who this process is, and logs one line a request."""

import json
import logging
import time

from ministack.app import app as ministack

log = logging.getLogger("request")
log.setLevel(logging.INFO)


def application(record):
    """The emulator's ASGI application, with `GET /_local/whoami` before it, which answers `record`."""

    async def front(scope, receive, send):
        if scope["type"] != "http":
            return await ministack(scope, receive, send)
        if scope["path"] == "/_local/whoami":
            return await _answer(send, json.dumps(record).encode())

        began = time.monotonic()

        async def log_and_send(message):
            # Before the answer leaves, so that who has read it finds it in the log.
            if message["type"] == "http.response.start":
                milliseconds = (time.monotonic() - began) * 1000
                log.info("%s %s %d %.0f ms", *_what(scope), message["status"], milliseconds)
            await send(message)

        await ministack(scope, receive, log_and_send)

    return front


async def _answer(send, body):
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _what(scope):
    """Method and path; for the services that post everything to `/`, the operation that a header names."""
    target = dict(scope["headers"]).get(b"x-amz-target")
    return scope["method"], target.decode("latin-1") if target else scope["path"]
