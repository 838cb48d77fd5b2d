import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Arn, ArnFormat, Stack } from 'aws-cdk-lib/core';
import {
  armLayout,
  CORPUS_FOLDER,
  checkpointMark,
  EXECUTIONS_FOLDER,
  INFLUENCE_MODEL_FILE,
  INPUTS_FILE,
  MANIFEST_FILE,
  PASSAGES_FILE,
  REPORT_FILE,
  RUN_FILE,
  SAGEMAKER_FOLDER,
  SUMMARY_FILE,
  stageLayout,
} from '../../core/layout.ts';
import type { TaskName } from '../../core/tasks.ts';
import { acknowledge } from '../operations/acknowledge.ts';
import type { Settings } from '../settings.ts';
import type { FunctionName } from './function-code.ts';

/**
 * What a function or job may change in a run, as patterns of keys relative to it, in which `*` stands for any text,
 * slashes included: so those of the main arm's files match the control's too, and other runs' files match as well. All
 * of them may read the whole lake, because a configuration, a corpus and a reference set may be anywhere.
 */
interface Access {
  write: string[];
  delete?: string[];
  /** Some of what it writes is large enough to be uploaded in parts. */
  inParts?: boolean;
  /** Folder of its resumable checkpoints, which it writes, tags and deletes. */
  checkpoints?: string;
}

const stage = stageLayout('*');
const arm = armLayout('*', 'main');
/** A task's own timings; the cost cap counts on those of the others. */
const timings = (jobs: string) => `${stage.timings}${jobs}`;

/**
 * Each function's and job's access; the integration tests check it against every call that is made. What is deleted are
 * partial results, once the whole one is there, and the mark that would make an older result in the same place count.
 */
const ACCESS: Record<FunctionName | TaskName, Access | 'none'> = {
  'validate-run': { write: [RUN_FILE, `${EXECUTIONS_FOLDER}/*`] },
  'plan-stage': { write: [stage.plan, stage.probeItems, stage.scoreItems] },
  'merge-top-k': { write: [arm.selection, arm.selectionSummary], inParts: true },
  'advance-stage': 'none',
  'finish-run': { write: [MANIFEST_FILE, SUMMARY_FILE, REPORT_FILE] },
  prepare: {
    write: [`${CORPUS_FOLDER}/*`, INPUTS_FILE, PASSAGES_FILE, timings('prepare.*')],
    delete: [`${CORPUS_FOLDER}/shards/*.partial.json`],
    inParts: true,
  },
  'prepare-probe': {
    write: [`${stage.probeModel}/*`, timings('prepare-probe.*')],
    delete: [checkpointMark(`${stage.probeModel}/checkpoint`)],
    checkpoints: stage.partialProbeModel,
    inParts: true,
  },
  probe: {
    write: [`${stage.probes}*`, timings('probe-*')],
    delete: [`${stage.probes}*.partial.json`],
    inParts: true,
  },
  'fit-influence': {
    write: [`${stage.influenceModel}/*`, stage.dsir, stage.classifier, stage.scorer, timings('fit-influence.*')],
    delete: [`${stage.influenceModel}/${INFLUENCE_MODEL_FILE}`],
    checkpoints: stage.partialInfluenceModel,
    inParts: true,
  },
  score: { write: [`${stage.scores}*`, timings('score-*')], inParts: true },
  // By this role runs whatever trainer is deployed, so it can neither plan nor evaluate, nor name a map's items.
  pretrain: {
    write: [`${arm.checkpoint}/*`, arm.metrics, timings('pretrain-*')],
    delete: [checkpointMark(arm.checkpoint)],
    checkpoints: arm.partialCheckpoints,
    inParts: true,
  },
  evaluate: {
    write: [arm.evaluation, timings('evaluate-*')],
    checkpoints: arm.partialBranch,
    inParts: true,
  },
};

const ofRuns = (...keys: string[]) => keys.map((key) => `runs/*/${key}`);

/** How cdk-nag's finding on a policy for the lake's objects begins; the data stack exports the lake's ARN. */
const OBJECTS = 'AwsSolutions-IAM5[Resource::MatesData:ExportsOutputFnGetAttLake5F1B88EAArn65E67816';

/**
 * Lets each role do in the lake only what its code does there: read, write and list objects, but no settings or
 * versions.
 */
export class LakeAccess {
  readonly bucket: IBucket;
  private readonly inputBuckets: string[];

  constructor(bucket: IBucket, settings: Settings) {
    this.bucket = bucket;
    this.inputBuckets = settings.inputBuckets;
  }

  /** Grants the role of a function or job its access; it may also read the input buckets. */
  grant(role: IRole, user: FunctionName | TaskName): void {
    const access = ACCESS[user];
    if (access === 'none') return;
    const { write, delete: deleted = [], inParts, checkpoints } = access;
    // Some clients, s3fs among them, delete the name of a folder along with what is in it.
    const folders = checkpoints ? [`${checkpoints.replace(/\/$/, '')}*`] : [];
    const partial = checkpoints ? [`${checkpoints}*`] : [];
    this.allow(role, ['s3:GetObject'], ['*']);
    this.allow(role, putting(inParts), ofRuns(...write, ...partial));
    if (checkpoints) this.allow(role, ['s3:PutObjectTagging'], ofRuns(...partial));
    if (deleted.length + folders.length > 0) this.allow(role, ['s3:DeleteObject'], ofRuns(...deleted, ...folders));
    const inputs = this.inputBuckets.map((resource) =>
      Arn.format(
        { service: 's3', region: '', account: '', resource, arnFormat: ArnFormat.NO_RESOURCE_NAME },
        Stack.of(role),
      ),
    );
    // On whole buckets, because S3 answers a request for a missing object with 404 only to those who may list, else
    // with 403.
    role.addToPrincipalPolicy(
      new PolicyStatement({ actions: ['s3:ListBucket'], resources: [this.bucket.bucketArn, ...inputs] }),
    );
    if (inputs.length === 0) return;
    role.addToPrincipalPolicy(
      new PolicyStatement({ actions: ['s3:GetObject'], resources: inputs.map((arn) => `${arn}/*`) }),
    );
    for (const name of this.inputBuckets)
      acknowledge(role, {
        [`AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::${name}/*]`]: 'Named by inputBuckets.',
      });
  }

  /**
   * Grants access to the folder where SageMaker itself keeps what it takes from a training job's container: it acts by
   * the job's role.
   */
  grantSageMaker(role: IRole): void {
    this.allow(role, [...putting(true), 's3:DeleteObject'], ofRuns(`${stage.root}/${SAGEMAKER_FOLDER}-*`));
  }

  /** Grants access to the machine, which reads the items of the maps itself. */
  grantItems(role: IRole): void {
    this.allow(role, ['s3:GetObject'], ofRuns(stage.probeItems, stage.scoreItems));
  }

  private allow(role: IRole, actions: string[], keys: string[]): void {
    const resources = keys.map((key) => `${this.bucket.bucketArn}/${key}`);
    role.addToPrincipalPolicy(new PolicyStatement({ actions, resources }));
    for (const key of keys)
      acknowledge(role, {
        [`${OBJECTS}/${key}]`]: 'Runs, stages and files are not known in advance; the lake holds nothing else.',
      });
  }
}

const putting = (inParts = false) => (inParts ? ['s3:PutObject', 's3:AbortMultipartUpload'] : ['s3:PutObject']);
