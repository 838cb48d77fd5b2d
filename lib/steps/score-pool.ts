import { Choice, Condition, type INextable, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { MapSlices } from './map-slices.ts';
import { defaultOf, Step, type StepProps } from './step.ts';

/**
 * Scores the stage's candidate pool by the current model's own preference: probe the oracle influence of hold-out
 * rows, fit the influence model to them, score every row of the pool. A stage that is not model-aware passes by.
 *
 * In: `{run, stage, plan, ...}`. Out: the same. Writes `probes/`, `influence-model/` and `scores/` of the stage.
 */
export class ScorePool extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id, props);
    const probe = new MapSlices(this, 'ProbeSlices', {
      ...props,
      mapId: 'Probe the oracle influence',
      sliceId: 'Probe a slice',
      task: 'probe',
      itemsKeyPath: '$.plan.probeItemsKey',
    });
    const fit = this.guard(props.jobs['fit-influence'].submit(this, 'Fit the influence model', { stage: true }));
    const score = new MapSlices(this, 'ScoreSlices', {
      ...props,
      mapId: 'Score the shards',
      sliceId: 'Score a slice',
      task: 'score',
      itemsKeyPath: '$.plan.scoreItemsKey',
    });
    const modelAware = new Choice(this, 'Is the stage model-aware?').when(
      Condition.booleanEquals('$.plan.modelAware', true),
      probe.next(fit).next(score),
    );
    this.startState = modelAware;
    this.endStates = [defaultOf(modelAware), ...score.endStates];
  }
}
