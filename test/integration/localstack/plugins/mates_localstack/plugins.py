"""The entry points, by kind."""

import os
from importlib import import_module

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


def resource(type_name: str, module: str, provider: str) -> type[CloudFormationResourceProviderPlugin]:
    """A resource type of CloudFormation, whose provider is imported when a template first uses it."""

    class ResourcePlugin(CloudFormationResourceProviderPlugin):
        name = type_name

        def load(self):
            self.factory = getattr(import_module(f".{module}", __package__), provider)

    return ResourcePlugin


ComputeEnvironmentPlugin = resource("AWS::Batch::ComputeEnvironment", "batch_resources", "ComputeEnvironmentProvider")
JobDefinitionPlugin = resource("AWS::Batch::JobDefinition", "batch_resources", "JobDefinitionProvider")
JobQueuePlugin = resource("AWS::Batch::JobQueue", "batch_resources", "JobQueueProvider")
ElasticIpPlugin = resource("AWS::EC2::EIP", "ec2_resources", "ElasticIpProvider")
LaunchTemplatePlugin = resource("AWS::EC2::LaunchTemplate", "ec2_resources", "LaunchTemplateProvider")
StateMachineAliasPlugin = resource("AWS::StepFunctions::StateMachineAlias", "state_machines", "AliasProvider")
StateMachineVersionPlugin = resource("AWS::StepFunctions::StateMachineVersion", "state_machines", "VersionProvider")
