"""The entry points, by kind."""

import os

from localstack.services.cloudformation.resource_provider import CloudFormationResourceProviderPlugin
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.plugins import Service, aws_provider


class NodeProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "node-process"

    def load(self, *args, **kwargs):
        from .lambda_executor import NodeProcessExecutor

        return NodeProcessExecutor


def forwarded(service: str) -> Service:
    """A service whose every operation is answered by the job runner."""
    from localstack.aws.forwarder import AwsRequestProxy
    from localstack.aws.skeleton import Skeleton
    from localstack.aws.spec import load_service

    model = load_service(service)
    proxy = AwsRequestProxy(os.environ["JOB_RUNNER_URL"])
    table = {operation: lambda context, _request: proxy.forward(context) for operation in model.operation_names}
    return Service(name=service, skeleton=Skeleton(model, table))


@aws_provider()
def batch():
    return forwarded("batch")


@aws_provider()
def sagemaker():
    return forwarded("sagemaker")


class ComputeEnvironmentPlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::Batch::ComputeEnvironment"

    def load(self):
        from .batch_resources import ComputeEnvironmentProvider

        self.factory = ComputeEnvironmentProvider


class JobQueuePlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::Batch::JobQueue"

    def load(self):
        from .batch_resources import JobQueueProvider

        self.factory = JobQueueProvider


class JobDefinitionPlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::Batch::JobDefinition"

    def load(self):
        from .batch_resources import JobDefinitionProvider

        self.factory = JobDefinitionProvider
