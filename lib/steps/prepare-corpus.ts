import type { INextable, State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { Step, type StepProps } from './step.ts';

/**
 * Tokenizes and shards the corpus; ends at once if the run names a prepared corpus. One that it has already prepared is
 * kept, if the files that it was made of still have the same hashes.
 *
 * In: `{run, ...}`. Out: the same. Writes `corpus/` of the run.
 */
export class PrepareCorpus extends Step {
  readonly startState: State;
  readonly endStates: INextable[];

  constructor(scope: Construct, id: string, props: StepProps) {
    super(scope, id, props);
    const prepare = this.guard(props.jobs.prepare.submit(this, 'Prepare the corpus'));
    this.startState = prepare;
    this.endStates = [prepare];
  }
}
