"""Writes down who has called which operation on what, a line of JSON each, so that tests can hold it against the roles'
policies, which LocalStack does not enforce. Who it was, jobs and functions say in their user agent (AWS_SDK_UA_APP_ID).
"""

import json
import os
import re

from localstack.runtime import hooks

APP = re.compile(r"\bapp/([\w.-]+)")


@hooks.on_infra_start()
def mates_record_calls():
    path = os.environ.get("MATES_CALLS_FILE")
    if not path:
        return
    from localstack.aws.handlers import run_custom_response_handlers

    file = open(path, "w", buffering=1)

    def record(_chain, context, response):
        who = APP.search(context.request.headers.get("user-agent", "")) if context.operation else None
        if who is None:
            return
        parameters = context.service_request or {}
        call = {"who": who[1], "service": context.service.service_name, "operation": context.operation.name}
        file.write(json.dumps(call | {name: parameters.get(name) for name in ("Bucket", "Key", "Prefix")}) + "\n")

    run_custom_response_handlers.append(record)
