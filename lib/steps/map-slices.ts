import { Duration } from 'aws-cdk-lib';
import {
  DistributedMap,
  type INextable,
  JsonPath,
  S3JsonItemReader,
  type State,
  StateMachineType,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { mapConcurrency } from '../settings.ts';
import { Step, type StepProps } from './step.ts';

export interface MapSlicesProps extends StepProps {
  /** State ids of the map and of the job in it. */
  mapId: string;
  sliceId: string;
  task: 'probe' | 'score';
  /** Path to the full key of the items' file, in the run's bucket. */
  itemsKeyPath: string;
}

/**
 * Runs one Batch job for each item of a JSON array on S3, which the planner has written: neither the items nor the
 * results pass through the state. It is a Distributed Map because an inline one would write each job's events to the
 * parent's history, which is limited to 25,000.
 *
 * In: `{run, stage, plan, ...}`. Out: the same. The jobs' keys are fixed by the item's index.
 * Fails as soon as one job has failed for good: no failures are tolerated, which is the default.
 */
export class MapSlices extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: MapSlicesProps) {
    super(scope, id, props);
    const slice = props.jobs[props.task].submit(this, props.sliceId, { stage: true, item: true });
    const map = new DistributedMap(this, props.mapId, {
      label: id, // otherwise it is made from the state's path, and changes with it
      // Express children end after five minutes.
      mapExecutionType: StateMachineType.STANDARD,
      maxConcurrency: mapConcurrency(props.settings),
      toleratedFailurePercentage: 0,
      itemReader: new S3JsonItemReader({
        bucketNamePath: JsonPath.stringAt('$.run.bucket'),
        key: JsonPath.stringAt(props.itemsKeyPath),
      }),
      itemSelector: {
        run: JsonPath.objectAt('$.run'),
        stage: JsonPath.numberAt('$.stage'),
        item: JsonPath.objectAt('$$.Map.Item.Value'),
      },
      resultPath: JsonPath.DISCARD,
    }).itemProcessor(slice);
    // S3 was out of reach for a moment. No job has begun then, so that none is started twice. Once, for the history's sake.
    map.addRetry({
      errors: ['States.ItemReaderFailed'],
      interval: Duration.minutes(2),
      maxAttempts: 1,
    });
    this.guard(map);
    this.startState = map;
    this.endStates = [map];
  }
}
