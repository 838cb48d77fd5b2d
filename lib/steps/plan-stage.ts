import { Choice, Condition, Fail, type INextable, JsonPath, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { defaultOf, Step, type StepProps } from './step.ts';

/**
 * Fixes what the stage does: its pool, how the maps are cut, which arms train, and whether there is budget for it.
 *
 * In: `{run, stage, stages}`.
 * Out: the same and `plan: {scored, preparesProbe, probed, arms: [{arm}], probeItemsKey, scoreItemsKey, withinBudget}`,
 * with the full bucket keys of the maps' items (the files need not exist if nothing is probed or scored).
 * Fails with CostCapReached before a stage that would pass the run's cap, `maxCostUsd` or the deployment's `maxRunCostUsd`.
 */
export class PlanStage extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id, props);
    const plan = this.guard(
      props.functions['plan-stage'].invoke(this, 'Plan the stage', {
        payload: { run: JsonPath.objectAt('$.run'), stage: JsonPath.numberAt('$.stage') },
        keep: {
          fields: ['scored', 'preparesProbe', 'probed', 'arms', 'probeItemsKey', 'scoreItemsKey', 'withinBudget'],
          at: '$.plan',
        },
      }),
    );
    const budget = new Choice(this, 'Is there budget for the stage?').when(
      Condition.booleanEquals('$.plan.withinBudget', false),
      new Fail(this, 'Cost cap reached', {
        error: 'CostCapReached',
        causePath: JsonPath.format(
          'Stage {} of run {} would exceed maxCostUsd, or maxRunCostUsd of the deployment. Finished work is kept: start the run again with a higher maxCostUsd, or after deploying with a higher maxRunCostUsd, and it continues from here.',
          JsonPath.stringAt('$.stage'),
          JsonPath.stringAt('$.run.id'),
        ),
      }),
    );
    plan.next(budget);
    this.startState = plan;
    this.endStates = [defaultOf(budget)];
  }
}
