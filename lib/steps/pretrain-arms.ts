import {
  Choice,
  Condition,
  type INextable,
  Map as InlineMap,
  JsonPath,
  type State,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { TrainOnSageMakerProps } from '../compute/train-on-sagemaker.ts';
import { TrainOnSageMaker } from '../compute/train-on-sagemaker.ts';
import { Step, type StepProps } from './step.ts';

export interface PretrainArmsProps extends StepProps {
  sagemaker: Omit<TrainOnSageMakerProps, 'settings'>;
}

/**
 * Pretrains each arm on its selection, on Batch or as a SageMaker training job, whichever the run says, and evaluates
 * the decay branch of its checkpoint.
 *
 * In: `{run, stage, plan, ...}`. Out: the same. Writes `checkpoint/`, `metrics.json` and `evaluation.json` of each arm.
 */
export class PretrainArms extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: PretrainArmsProps) {
    super(scope, id, props);
    const { pretrain, evaluate } = props.jobs;
    const onBatch = pretrain.submit(this, 'Pretrain', { stage: true, arm: true });
    const onSageMaker = new TrainOnSageMaker(this, 'Pretrain on SageMaker', {
      ...props.sagemaker,
      settings: props.settings,
    });
    const evaluation = evaluate.submit(this, 'Evaluate', { stage: true, arm: true });
    const where = new Choice(this, 'Where to pretrain')
      .when(Condition.stringEquals('$.run.trainer', 'sagemaker'), onSageMaker.next(evaluation))
      .otherwise(onBatch.next(evaluation));
    const arms = new InlineMap(this, 'Pretrain every arm', {
      itemsPath: JsonPath.stringAt('$.plan.arms'),
      itemSelector: {
        run: JsonPath.objectAt('$.run'),
        stage: JsonPath.numberAt('$.stage'),
        arm: JsonPath.stringAt('$$.Map.Item.Value.arm'),
      },
      maxConcurrency: props.settings.pretrainConcurrency,
      resultPath: JsonPath.DISCARD,
    }).itemProcessor(where);
    this.guard(arms);
    this.startState = arms;
    this.endStates = [arms];
  }
}
