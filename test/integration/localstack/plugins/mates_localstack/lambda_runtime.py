"""Lambda's runtime for Node.js 24, which this version of LocalStack does not know. The functions run on the Node.js that is there."""

from localstack.runtime import hooks

RUNTIME = "nodejs24.x"


@hooks.on_infra_start()
def mates_lambda_runtime():
    from localstack.services.lambda_ import runtimes

    if RUNTIME not in runtimes.ALL_RUNTIMES:
        runtimes.IMAGE_MAPPING[RUNTIME] = "nodejs:24"
        runtimes.ALL_RUNTIMES.append(RUNTIME)
