import { Choice, Condition, type INextable, JsonPath, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { defaultOf, Step, type StepProps } from './step.ts';

export interface AdvanceStageProps extends StepProps {
  /** The loop's first state. */
  again: State;
}

/**
 * Goes round the loop while there are more stages.
 *
 * In: `{run, stage, stages, ...}`. Out: `{run, stage + 1, stages, more}`; nothing else is carried to the next stage.
 */
export class AdvanceStage extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: AdvanceStageProps) {
    super(scope, id, props);
    const advance = this.guard(
      props.functions['advance-stage'].invoke(this, 'Advance the stage', {
        payload: {
          run: JsonPath.objectAt('$.run'),
          stage: JsonPath.numberAt('$.stage'),
          stages: JsonPath.numberAt('$.stages'),
        },
      }),
    );
    const more = new Choice(this, 'Are there more stages?').when(Condition.booleanEquals('$.more', true), props.again);
    advance.next(more);
    this.startState = advance;
    this.endStates = [defaultOf(more)];
  }
}
