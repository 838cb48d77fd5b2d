"""Two corrections to LocalStack's Distributed Map, where it differs from the States Language:
the tolerated failures are parsed and never applied, and a whole-number ToleratedFailurePercentage is a syntax error.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

import re

from localstack.runtime import hooks

WHOLE_PERCENTAGE = re.compile(r'("ToleratedFailurePercentage"\s*:\s*\d+)(?=\s*[,}])')


@hooks.on_infra_start()
def mates_distributed_map():
    from localstack.aws.api.stepfunctions import HistoryEventType, MapRunFailedEventDetails
    from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
    from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name_type import (
        StatesErrorNameType,
    )
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.iteration import (
        distributed_iteration_component as distributed,
    )
    from localstack.services.stepfunctions.asl.eval.event.event_detail import EventDetails
    from localstack.services.stepfunctions.asl.parse.asl_parser import AmazonStateLanguageParser

    component = distributed.DistributedIterationComponent
    run_items, parse = component._map_run, AmazonStateLanguageParser.parse

    def map_run(self, env, eval_input):
        run_items(self, env=env, eval_input=eval_input)
        record = eval_input.map_run_record
        items = record.item_counter
        failed = items.failed.get() + items.timed_out.get()
        if not exceeds(failed, items.total.get(), record.tolerated_failure_count, record.tolerated_failure_percentage):
            return
        kind = StatesErrorNameType.StatesExceedToleratedFailureThreshold
        details = MapRunFailedEventDetails(
            error=kind.to_name(), cause="The specified tolerated failure threshold was exceeded"
        )
        raise FailureEventException(
            FailureEvent(
                env=env,
                error_name=StatesErrorName(typ=kind),
                event_type=HistoryEventType.MapRunFailed,
                event_details=EventDetails(mapRunFailedEventDetails=details),
            )
        )

    def parse_definition(definition):
        return parse(WHOLE_PERCENTAGE.sub(r"\1.0", definition))

    component._map_run = map_run
    AmazonStateLanguageParser.parse = staticmethod(parse_definition)


def exceeds(failed, total, count, percentage):
    """Either threshold breaks the map where it is given; without both none is tolerated."""
    by_count = failed > count if count or not percentage else False
    by_percentage = 100 * failed / max(total, 1) > percentage if percentage else False
    return by_count or by_percentage
