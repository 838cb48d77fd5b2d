"""Versions and aliases of state machines for CloudFormation; LocalStack's Step Functions API has them."""

from localstack.runtime import hooks
from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceProvider

FIRST_REVISION = "INITIAL"
"""What a machine's StateMachineRevisionId is before its first update; the API knows it by being absent."""


@hooks.on_infra_start()
def mates_state_machine_revision():
    """Lets `Fn::GetAtt` of StateMachineRevisionId change with the machine, which is what publishes a version."""
    from localstack.services.stepfunctions.resource_providers.aws_stepfunctions_statemachine import (
        StepFunctionsStateMachineProvider as Provider,
    )

    def with_revision(operation):
        def run(self, request):
            event = operation(self, request)
            client = request.aws_client_factory.stepfunctions
            machine = client.describe_state_machine(stateMachineArn=event.resource_model["Arn"])
            event.resource_model["StateMachineRevisionId"] = machine.get("revisionId", FIRST_REVISION)
            return event

        return run

    Provider.create = with_revision(Provider.create)
    Provider.update = with_revision(Provider.update)


def arn_schema(type_name):
    return {
        "typeName": type_name,
        "properties": {"Arn": {"type": "string"}},
        "primaryIdentifier": ["/properties/Arn"],
        "readOnlyProperties": ["/properties/Arn"],
    }


class VersionProvider(ResourceProvider):
    TYPE = "AWS::StepFunctions::StateMachineVersion"
    SCHEMA = arn_schema(TYPE)

    def create(self, request):
        model = request.desired_state
        revision = model.get("StateMachineRevisionId", FIRST_REVISION)
        which = {} if revision == FIRST_REVISION else {"revisionId": revision}
        client = request.aws_client_factory.stepfunctions
        published = client.publish_state_machine_version(stateMachineArn=model["StateMachineArn"], **which)
        model["Arn"] = published["stateMachineVersionArn"]
        return done(model)

    update = create
    """Each property is create-only: a change publishes another version, and the template retains the earlier one."""

    def delete(self, request):
        client = request.aws_client_factory.stepfunctions
        client.delete_state_machine_version(stateMachineVersionArn=request.desired_state["Arn"])
        return done(request.desired_state)


class AliasProvider(ResourceProvider):
    TYPE = "AWS::StepFunctions::StateMachineAlias"
    SCHEMA = arn_schema(TYPE)

    def create(self, request):
        model = request.desired_state
        client = request.aws_client_factory.stepfunctions
        created = client.create_state_machine_alias(name=model["Name"], routingConfiguration=routing(model))
        model["Arn"] = created["stateMachineAliasArn"]
        return done(model)

    def update(self, request):
        model = request.desired_state
        model["Arn"] = request.previous_state["Arn"]
        client = request.aws_client_factory.stepfunctions
        client.update_state_machine_alias(stateMachineAliasArn=model["Arn"], routingConfiguration=routing(model))
        return done(model)

    def delete(self, request):
        client = request.aws_client_factory.stepfunctions
        client.delete_state_machine_alias(stateMachineAliasArn=request.desired_state["Arn"])
        return done(request.desired_state)


def routing(model):
    """All executions go to the version of a deployment at once; a gradual shift would need CloudWatch alarms."""
    return [{"stateMachineVersionArn": model["DeploymentPreference"]["StateMachineVersionArn"], "weight": 100}]


def done(model):
    return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)
