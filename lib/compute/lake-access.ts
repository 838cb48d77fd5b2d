import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Arn, ArnFormat, Stack } from 'aws-cdk-lib/core';
import {
  CORPUS_FOLDER,
  EXECUTIONS_FOLDER,
  INPUTS_FILE,
  MANIFEST_FILE,
  PARTIAL_FOLDER,
  PASSAGES_FILE,
  REPORT_FILE,
  RUN_FILE,
  SUMMARY_FILE,
} from '../../core/layout.ts';
import type { TaskName } from '../../core/tasks.ts';
import { acknowledge } from '../operations/acknowledge.ts';
import type { Settings } from '../settings.ts';
import type { FunctionName } from './function-code.ts';

/**
 * What a function or job may change in the lake, as patterns of keys in which `*` stands for any text, slashes
 * included. All of them may read the whole lake, because a configuration, a corpus and a reference set may be anywhere.
 */
interface Access {
  write: string[];
  delete?: string[];
  /** Some of what it writes is large enough to be uploaded in parts. */
  inParts?: boolean;
  /** It writes resumable checkpoints, which are tagged. */
  checkpoints?: boolean;
}

const ofRuns = (...keys: string[]) => keys.map((key) => `runs/*/${key}`);
const STAGES = ofRuns('stages/*');
const PARTIAL = ofRuns(`stages/*/${PARTIAL_FOLDER}*`);

/** Each function's and job's access; the integration tests check it against every call that is made. */
const ACCESS: Record<FunctionName | TaskName, Access | 'none'> = {
  'validate-run': { write: ofRuns(RUN_FILE, `${EXECUTIONS_FOLDER}/*`) },
  'plan-stage': { write: STAGES },
  'merge-top-k': { write: STAGES, inParts: true },
  'advance-stage': 'none',
  'finish-run': { write: ofRuns(MANIFEST_FILE, SUMMARY_FILE, REPORT_FILE) },
  // What is deleted are partial results, once the whole one is there, or the mark that makes an older result count.
  prepare: {
    write: ofRuns(`${CORPUS_FOLDER}/*`, INPUTS_FILE, PASSAGES_FILE, 'stages/0/timings/*'),
    delete: ofRuns(`${CORPUS_FOLDER}/shards/*.partial.json`),
    inParts: true,
  },
  'prepare-probe': { write: STAGES, delete: STAGES, inParts: true, checkpoints: true },
  probe: { write: STAGES, delete: STAGES, inParts: true },
  'fit-influence': { write: STAGES, delete: STAGES, inParts: true, checkpoints: true },
  score: { write: STAGES, inParts: true },
  pretrain: { write: STAGES, delete: STAGES, inParts: true, checkpoints: true },
  evaluate: {
    write: STAGES,
    delete: ofRuns(`stages/*/decay-branch/${PARTIAL_FOLDER}*`),
    inParts: true,
    checkpoints: true,
  },
};

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
    this.allow(role, ['s3:GetObject'], ['*']);
    this.allow(role, access.inParts ? ['s3:PutObject', 's3:AbortMultipartUpload'] : ['s3:PutObject'], access.write);
    if (access.checkpoints) this.allow(role, ['s3:PutObjectTagging'], PARTIAL);
    if (access.delete) this.allow(role, ['s3:DeleteObject'], access.delete);
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

  /** Grants access to the machine, which reads the items of the maps itself. */
  grantItems(role: IRole): void {
    this.allow(role, ['s3:GetObject'], ofRuns('stages/*-items.json'));
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
