"""AWS::Batch::* for CloudFormation: each type is created by the call of the Batch API that it stands for."""

from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceProvider

FREE_FORM = {"tags", "parameters", "options"}
"""Maps whose keys are the user's own and keep their case."""


def to_api(value):
    """CloudFormation writes PascalCase where the API has camelCase."""
    if isinstance(value, list):
        return [to_api(one) for one in value]
    if not isinstance(value, dict):
        return value
    camel = {key[0].lower() + key[1:]: one for key, one in value.items()}
    return {key: one if key in FREE_FORM else to_api(one) for key, one in camel.items()}


class BatchProvider(ResourceProvider):
    kind: str
    """`JobQueue` for AWS::Batch::JobQueue; the resource's ARN and name are `JobQueueArn` and `JobQueueName`."""
    create_call: str
    update_call: str | None = None
    """None where every change makes a new revision."""
    delete_call: str
    template_only: frozenset[str] = frozenset()
    """Properties that tell CloudFormation what to do and are not part of the API's request."""

    def __init_subclass__(cls):
        arn = f"/properties/{cls.kind}Arn"
        cls.TYPE = f"AWS::Batch::{cls.kind}"
        cls.SCHEMA = {
            "typeName": cls.TYPE,
            "properties": {f"{cls.kind}Arn": {"type": "string"}, f"{cls.kind}Name": {"type": "string"}},
            "primaryIdentifier": [arn],
            "readOnlyProperties": [arn],
        }

    @property
    def arn(self):
        return f"{self.kind}Arn"

    @property
    def parameter(self):
        """The API's name for "which one": jobQueue."""
        return self.kind[0].lower() + self.kind[1:]

    def create(self, request):
        model = request.desired_state
        model.setdefault(f"{self.kind}Name", f"{request.stack_name}-{request.logical_resource_id}")
        answer = self.call(request, self.create_call, self.body(model))
        model[self.arn] = answer[f"{self.parameter}Arn"]
        return done(model)

    def update(self, request):
        before, model = request.previous_state, request.desired_state
        model[f"{self.kind}Name"] = before[f"{self.kind}Name"]
        if self.update_call is None:
            return self.create(request)
        model[self.arn] = before[self.arn]
        body = self.body(model)
        body.pop(f"{self.parameter}Name")
        self.call(request, self.update_call, self.updatable(body) | {self.parameter: model[self.arn]})
        return done(model)

    def read(self, request):
        return done(request.desired_state)

    def delete(self, request):
        arn = request.desired_state[self.arn]
        self.call(request, self.delete_call, {self.parameter: arn})
        return done(request.desired_state)

    def body(self, model):
        skipped = self.template_only | {self.arn}
        return to_api({key: value for key, value in model.items() if key not in skipped})

    def updatable(self, body):
        """What of a creation's request an update takes."""
        return {key: value for key, value in body.items() if key != "tags"}

    @staticmethod
    def call(request, name, body):
        return getattr(request.aws_client_factory.batch, name)(**body)


class ComputeEnvironmentProvider(BatchProvider):
    kind = "ComputeEnvironment"
    create_call = "create_compute_environment"
    update_call = "update_compute_environment"
    delete_call = "delete_compute_environment"
    template_only = frozenset({"ReplaceComputeEnvironment", "UpdatePolicy"})

    def updatable(self, body):
        """The emulator has no instances: a change of their kind changes nothing here."""
        return {key: value for key, value in body.items() if key in ("state", "serviceRole")}

    def body(self, model):
        body = super().body(model)
        # This one says how CloudFormation replaces instances; the API's request has no such field.
        body.get("computeResources", {}).pop("updateToLatestImageVersion", None)
        return body


class JobQueueProvider(BatchProvider):
    kind = "JobQueue"
    create_call = "create_job_queue"
    update_call = "update_job_queue"
    delete_call = "delete_job_queue"


class JobDefinitionProvider(BatchProvider):
    kind = "JobDefinition"
    create_call = "register_job_definition"
    delete_call = "deregister_job_definition"
    template_only = frozenset({"ResourceRetentionPolicy"})


def done(model):
    return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)
