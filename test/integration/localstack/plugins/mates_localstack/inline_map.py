"""A correction to LocalStack's inline Map: when its execution is stopped in the middle of an iteration, it takes the
iteration's end for a failure, whose description it cannot read, and the execution FAILED with States.Runtime instead of
ABORTED.
"""

from localstack.runtime import hooks


@hooks.on_infra_start()
def mates_inline_map():
    from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import FailureEventException
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.iteration import (
        inline_iteration_component as inline,
    )
    from localstack.services.stepfunctions.asl.eval.program_state import ProgramStopped

    component = inline.InlineIterationComponent
    evaluate = component._eval_body

    def eval_body(self, env):
        try:
            evaluate(self, env)
        except FailureEventException:
            if not isinstance(env.program_state(), ProgramStopped):
                raise
            env.stack.append([])  # nobody looks at it: the program ends before its next state

    component._eval_body = eval_body
