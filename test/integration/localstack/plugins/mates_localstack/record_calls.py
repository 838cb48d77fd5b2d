"""Writes down who has called which operation on what, a line of JSON each, so that tests can hold it against the roles'
policies, which LocalStack does not enforce. Jobs and functions say in their user agent who they are (AWS_SDK_UA_APP_ID);
Step Functions calls by credentials of the machine's role, which LocalStack assumes for it.
"""

import json
import os
import re

from localstack.runtime import hooks

APP = re.compile(r"\bapp/([\w.-]+)")
CONTENTS = {"Body", "Payload", "containerOverrides"}
"""Parameters that say nothing about permissions and may be large."""


@hooks.on_infra_start()
def mates_record_calls():
    path = os.environ.get("MATES_CALLS_FILE")
    if not path:
        return
    from localstack.aws.handlers import run_custom_response_handlers
    from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

    file = open(path, "w", buffering=1)
    roles = {}  # by access key

    def record(_chain, context, response):
        if context.operation is None:
            return
        parameters = context.service_request or {}
        if context.operation.name == "AssumeRole" and context.service_response:
            roles[context.service_response["Credentials"]["AccessKeyId"]] = parameters["RoleArn"]
            return
        app = APP.search(context.request.headers.get("user-agent", ""))
        role = roles.get(extract_access_key_id_from_auth_header(context.request.headers))
        if not app and not role:
            return
        call = {
            "who": app[1] if app else None,
            "role": role,
            "service": context.service.service_name,
            "operation": context.operation.name,
            "parameters": {name: value for name, value in parameters.items() if name not in CONTENTS},
        }
        file.write(json.dumps(call, default=str) + "\n")

    run_custom_response_handlers.append(record)
