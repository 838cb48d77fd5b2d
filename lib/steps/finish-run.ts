import { type INextable, JsonPath, type State, Succeed } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { Step, type StepProps } from './step.ts';

/**
 * Writes the run's summary, manifest and report, and ends the execution with links to them.
 *
 * In: `{run, stage, stages, ...}`. Out: `{run, summary, report, links}`.
 */
export class FinishRun extends Step {
  readonly startState: State;
  readonly endStates: INextable[] = [];

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id, props);
    const finish = this.guard(
      props.functions['finish-run'].invoke(this, 'Finish the run', {
        payload: { run: JsonPath.objectAt('$.run'), execution: JsonPath.stringAt('$$.Execution.Id') },
      }),
    );
    finish.next(new Succeed(this, 'Run finished'));
    this.startState = finish;
  }
}
