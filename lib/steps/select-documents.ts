import { type INextable, JsonPath, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { Step, type StepProps } from './step.ts';

/**
 * Takes the exact top k of the pool's keys, or random rows, for each arm.
 *
 * In: `{run, stage, plan, ...}`. Out: the same. Writes `selection.parquet` and `selection.json` of each arm.
 */
export class SelectDocuments extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id, props);
    const select = this.guard(
      props.functions['merge-top-k'].invoke(this, 'Select the documents', {
        payload: { run: JsonPath.objectAt('$.run'), stage: JsonPath.numberAt('$.stage') },
        keep: { fields: [], at: JsonPath.DISCARD },
      }),
    );
    this.startState = select;
    this.endStates = [select];
  }
}
