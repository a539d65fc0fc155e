"""What a function in Python is: the interpreter, the runtime's loop, and a handler that answers what our root does."""

import http.client
import json
import os

INVOCATION = "/2018-06-01/runtime/invocation/"


def handler(event, context):
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"message": "Hello, World!"}),
    }


def main():
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", INVOCATION + "next")
        invocation = api.getresponse()
        event = json.loads(invocation.read())
        request_id = invocation.headers["lambda-runtime-aws-request-id"]
        answer = json.dumps(handler(event, None))
        api.request("POST", f"{INVOCATION}{request_id}/response", answer)
        api.getresponse().read()


main()
