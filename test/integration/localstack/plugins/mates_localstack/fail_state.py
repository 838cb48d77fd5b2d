"""A correction to LocalStack's Fail state: it refuses to end in a name that starts with `States.`, so that a machine which
hands a caught error on by ErrorPath ends in States.Runtime whenever a job has failed. The service has no such rule for
Fail: https://docs.aws.amazon.com/step-functions/latest/dg/state-fail.html
"""

from localstack.runtime import hooks


@hooks.on_infra_start()
def mates_fail_state():
    from localstack.services.stepfunctions.asl.component.common.error_name.custom_error_name import CustomErrorName
    from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
    from localstack.services.stepfunctions.asl.component.state.state_fail import state_fail

    def error_name(text):
        return StatesErrorName.from_name(text) if text.startswith("States.") else CustomErrorName(text)

    state_fail.CustomErrorName = error_name
