import type { IChainable } from 'aws-cdk-lib/aws-stepfunctions';
import { Fail } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { AdvanceStage } from './steps/advance-stage.ts';
import { FinishRun } from './steps/finish-run.ts';
import { PlanStage } from './steps/plan-stage.ts';
import { PrepareCorpus } from './steps/prepare-corpus.ts';
import { PretrainArms, type PretrainArmsProps } from './steps/pretrain-arms.ts';
import { ScorePool } from './steps/score-pool.ts';
import { SelectDocuments } from './steps/select-documents.ts';
import { ValidateRun } from './steps/validate-run.ts';

/** The stage loop: what the machine does, in order. */
export class Pipeline extends Construct {
  readonly definition: IChainable;

  constructor(scope: Construct, id: string, given: Omit<PretrainArmsProps, 'failed'>) {
    super(scope, id);
    const failed = new Fail(this, 'Run failed', { errorPath: '$.error.Error', causePath: '$.error.Cause' });
    const props = { ...given, failed };
    const plan = new PlanStage(this, 'PlanStage', props);
    this.definition = new ValidateRun(this, 'ValidateRun', props)
      .next(new PrepareCorpus(this, 'PrepareCorpus', props))
      .next(plan)
      .next(new ScorePool(this, 'ScorePool', props))
      .next(new SelectDocuments(this, 'SelectDocuments', props))
      .next(new PretrainArms(this, 'PretrainArms', props))
      .next(new AdvanceStage(this, 'AdvanceStage', { ...props, again: plan.startState }))
      .next(new FinishRun(this, 'FinishRun', props));
  }
}
