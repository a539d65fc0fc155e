"""What the local cloud adds to ministack, and where it corrects it, so that it answers as AWS does.

Each module is one subject. Importing it puts its functions in the place of the emulator's (see `patching`). They lean
on internals, so they hold for one version only; `check` refuses any other.

Corrected is only what would let a wrong deployer pass here and fail on AWS, or break a right one.
"""

from importlib.metadata import PackageNotFoundError, version

WRITTEN_FOR = "1.5.33"
REMEDY = "pip install --require-hashes -r local/requirements.txt"


def check():
    """The version of ministack, or an error if it isn't the one."""
    try:
        found = version("ministack")
    except PackageNotFoundError:
        raise RuntimeError(f"ministack is not installed\n  next: {REMEDY}") from None
    if found != WRITTEN_FOR:
        raise RuntimeError(
            f"the plugin is written for ministack {WRITTEN_FOR}, found {found}\n"
            f"  next: {REMEDY}, or port local/plugin to {found} and change WRITTEN_FOR"
        )
    return found


def application(record):
    """The ASGI application to serve: the emulator with every part in place. `record` says who serves it."""
    check()

    from plugin import (  # noqa: F401
        account,
        alarms,
        aliases,
        answers,
        api_keys,
        buckets,
        cbor,
        cold_starts,
        dashboards,
        deployments,
        front,
        function_urls,
        grants,
        iam,
        lambda_functions,
        log_events,
        metrics,
        obstacles,
        openapi,
        parameters,
        patches,
        permissions,
        policies,
        proxy_answers,
        rights,
        simulation,
        stage_settings,
        stage_variables,
        test_invoke,
        throttling,
        tls,
        usage_plans,
        versions,
        workers,
    )

    return front.application(record)
