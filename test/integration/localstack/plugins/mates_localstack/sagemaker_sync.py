"""sagemaker:createTrainingJob.sync for LocalStack's Step Functions, which knows the request alone.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
"""

from localstack.runtime import hooks


@hooks.on_infra_start()
def mates_sagemaker_sync():
    from localstack.aws.api.stepfunctions import HistoryEventType, TaskFailedEventDetails
    from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
    from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name_type import (
        StatesErrorNameType,
    )
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
        state_task_service_unsupported as unsupported,
    )
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service.resource import (
        ResourceCondition,
    )
    from localstack.services.stepfunctions.asl.eval.event.event_detail import EventDetails
    from localstack.services.stepfunctions.asl.utils.boto_client import boto_client_for
    from localstack.services.stepfunctions.asl.utils.encoding import to_json_str

    def build_sync_resolver(self, env, resource_runtime_part, normalised_parameters, state_credentials):
        region = resource_runtime_part.region
        client = boto_client_for(service="sagemaker", region=region, state_credentials=state_credentials)
        name = normalised_parameters["TrainingJobName"]
        env.stack.pop()  # the answer of CreateTrainingJob; the state's result is the described job

        def failed(job):
            kind = StatesErrorNameType.StatesTaskFailed
            details = TaskFailedEventDetails(
                resource=self._get_sfn_resource(),
                resourceType=self._get_sfn_resource_type(),
                error=kind.to_name(),
                cause=to_json_str(job),
            )
            return FailureEventException(
                FailureEvent(
                    env=env,
                    error_name=StatesErrorName(typ=kind),
                    event_type=HistoryEventType.TaskFailed,
                    event_details=EventDetails(taskFailedEventDetails=details),
                )
            )

        def resolve():
            job = client.describe_training_job(TrainingJobName=name)
            job.pop("ResponseMetadata", None)
            if job["TrainingJobStatus"] in ("Failed", "Stopped"):
                raise failed(job)
            return job if job["TrainingJobStatus"] == "Completed" else None

        return resolve

    unsupported._SUPPORTED_INTEGRATION_PATTERNS.add(ResourceCondition.Sync)
    unsupported.StateTaskServiceUnsupported._build_sync_resolver = build_sync_resolver
