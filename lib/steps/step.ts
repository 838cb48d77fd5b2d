import {
  Chain,
  type Choice,
  type Fail,
  type IChainable,
  type INextable,
  type State,
  StateMachineFragment,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { TaskName } from '../../core/tasks.ts';
import type { FunctionName } from '../compute/function-code.ts';
import type { PipelineFunction } from '../compute/pipeline-function.ts';
import type { PipelineJob } from '../compute/pipeline-job.ts';
import type { Settings } from '../settings.ts';

/** What the steps are built from. */
export interface StepProps {
  functions: Record<FunctionName, PipelineFunction>;
  jobs: Record<TaskName, PipelineJob>;
  settings: Settings;
  /** Where every failure goes. */
  failed: Fail;
}

/**
 * One step of the loop. The comment of each says what it reads from the state and what it leaves there. The state
 * carries URIs, keys and counters, never data.
 */
export abstract class Step extends StateMachineFragment {
  abstract override readonly startState: State;
  abstract override readonly endStates: INextable[];
  protected readonly props: StepProps;

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id);
    this.props = props;
  }

  /** Sends whatever the state does not retry to "Run failed", which keeps the error's name and cause. */
  protected guard<S extends { addCatch(handler: IChainable, props: object): unknown }>(state: S): S {
    state.addCatch(this.props.failed, { errors: ['States.ALL'], resultPath: '$.error' });
    return state;
  }
}

/** A Choice's default branch as the end of a step, so that `step.next(x)` means `choice.otherwise(x)`. */
export function defaultOf(choice: Choice): INextable {
  return {
    next: (next) => {
      choice.otherwise(next);
      return Chain.sequence(choice, next);
    },
  };
}
