import { Choice, Condition, type INextable, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { MapSlices } from './map-slices.ts';
import { defaultOf, Step, type StepProps } from './step.ts';

/**
 * Scores the stage's candidate pool: probe the influence of hold-out rows on the current checkpoint, fit the influence
 * model to them, score every row of the pool. A method that probes no hold-out rows skips the probing; a stage whose
 * rows are taken at random skips all of it.
 *
 * In: `{run, stage, plan, ...}`. Out: the same. Writes `probe-model/`, `probes/`, `influence-model/`, `scorer.json` and
 * `scores/` of the stage.
 */
export class ScorePool extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id, props);
    const prepare = this.guard(props.jobs['prepare-probe'].submit(this, 'Prepare the probe', { stage: true }));
    const probe = new MapSlices(this, 'ProbeSlices', {
      ...props,
      mapId: 'Probe the influence',
      sliceId: 'Probe a slice',
      task: 'probe',
      itemsKeyPath: '$.plan.probeItemsKey',
    });
    const fit = this.guard(props.jobs['fit-influence'].submit(this, 'Fit the influence model', { stage: true }));
    const score = new MapSlices(this, 'ScoreSlices', {
      ...props,
      mapId: 'Score the pool',
      sliceId: 'Score a slice',
      task: 'score',
      itemsKeyPath: '$.plan.scoreItemsKey',
    });
    const isSo = (field: string) => Condition.booleanEquals(`$.plan.${field}`, true);
    const probed = new Choice(this, 'Are hold-out rows probed?').when(isSo('probed'), probe).otherwise(fit);
    const prepared = new Choice(this, 'Does the probe need preparing?')
      .when(isSo('preparesProbe'), prepare)
      .otherwise(probed);
    const scored = new Choice(this, 'Is the pool scored?').when(isSo('scored'), prepared);
    prepare.next(probed);
    probe.next(fit).next(score);
    this.startState = scored;
    this.endStates = [defaultOf(scored), ...score.endStates];
  }
}
