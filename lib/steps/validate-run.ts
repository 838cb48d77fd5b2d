import { Choice, Condition, type INextable, JsonPath, type State, Succeed } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { defaultOf, Step, type StepProps } from './step.ts';

/**
 * Checks the whole input before anything costs money, and that no other execution works on the run.
 *
 * In: the execution's input, any object; `{}` is the smoke configuration. Out: `{run: {id, uri, bucket, prefix,
 * trainer, dryRun, maxCostUsd}, stage: 0, stages}`; for a dry run also `plan`, what it would do and cost; and
 * `warnings` if a job's or the run's time is too short, or the memory too small. Fails with ConfigError or InputError;
 * the cause names the field or file. A dry run ends here.
 */
export class ValidateRun extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id, props);
    const validate = this.guard(
      props.functions['validate-run'].invoke(this, 'Validate the run', {
        payload: {
          input: JsonPath.entirePayload,
          execution: JsonPath.stringAt('$$.Execution.Id'),
          executionName: JsonPath.stringAt('$$.Execution.Name'),
        },
      }),
    );
    const dryRun = new Choice(this, 'Is this a dry run?').when(
      Condition.booleanEquals('$.run.dryRun', true),
      new Succeed(this, 'Dry run: report the plan'),
    );
    validate.next(dryRun);
    this.startState = validate;
    this.endStates = [defaultOf(dryRun)];
  }
}
