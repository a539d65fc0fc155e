"""Function URLs: the ARN of an alias's URL, and what a list says of a function that isn't there."""

import json

from ministack.core.responses import error_response_json as refuse
from ministack.services import lambda_svc

from plugin.patching import around


@around(lambda_svc, "_create_function_url_config")
def create_function_url_config(create, name, data, qualifier):
    status, headers, body = create(name, data, qualifier)
    if status == 201 and qualifier and qualifier != "$LATEST":
        config = lambda_svc._function_urls[lambda_svc._url_config_key(name, qualifier)]
        config["FunctionArn"] += f":{qualifier}"
        body = json.dumps(config).encode()
    return status, headers, body


@around(lambda_svc, "_list_function_url_configs")
def list_function_url_configs(list_, name, query):
    if name not in lambda_svc._functions:
        message = f"Function not found: {lambda_svc._func_arn(name)}"
        return refuse("ResourceNotFoundException", message, 404)
    return list_(name, query)
