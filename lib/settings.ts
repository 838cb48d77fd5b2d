/**
 * What can be chosen at deployment. Each field is a prop of the stacks, and a context key of the same name:
 * `npx cdk deploy --all -c vpcId=vpc-123 -c spot=false`. `cdk.json` lists every key with its default.
 */
import type { Node } from 'constructs';
import { z } from 'zod';
import { DEFAULT_DEPLOYMENT, type Deployment } from '../core/cost/deployment.ts';
import { ConfigError } from '../core/errors.ts';
import { maybeInEcr, parseEcr } from './ecr-reference.ts';

/** Context values from the command line are strings; those of cdk.json are JSON. */
const list = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((part) => part.trim())
          .filter(Boolean)
      : value,
  z.array(z.string().min(1)),
);
const flag = z.preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean());
const count = z.coerce.number().int().positive();
const instances = list.refine((value) => value.length > 0, 'name at least one instance family or type');

/** The retention periods that CloudWatch Logs accepts up to two years. */
const RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731];

const schema = z.strictObject({
  /**
   * Image of every job: a reference such as `123456789012.dkr.ecr.us-east-1.amazonaws.com/mates:1.0` (pull is granted
   * for private ECR) or `ghcr.io/owner/mates:1.0`.
   *
   * @default - built from `dockerfile` at deployment, which is the one thing that needs Docker
   */
  image: z.string().min(1).optional(),
  /**
   * Dockerfile of the image that is built when no `image` is given, relative to the repository.
   *
   * @default - `containers/gpu/Dockerfile`, which has both engines for GPUs; with `accelerator` `cpu` `containers/Dockerfile`
   */
  dockerfile: z.string().min(1).optional(),
  /**
   * Image of the pretraining step alone, a PyTorch one say, on Batch and on SageMaker; docs/trainer-contract.md has what
   * it must do.
   *
   * @default - the image of every job
   */
  trainerImage: z.string().min(1).optional(),
  /** Command of the pretraining step, as a list; `mates conformance` checks it. */
  trainerCommand: list
    .refine((value) => value.length > 0, 'name at least a program')
    .default(['mates-job', 'pretrain']),
  /**
   * Existing VPC to use; looked up at synthesis, which then needs credentials and a fixed account and region. It should have
   * a gateway endpoint for S3: nothing is added to it.
   *
   * @default - a new VPC
   */
  vpcId: z.string().min(1).optional(),
  /**
   * How jobs reach AWS from the private subnets of a new VPC; S3 goes through its free gateway endpoint either way.
   * `nat`: one NAT gateway, some 37 USD a month and traffic. `endpoints`: no way out to the internet at all, six
   * interface endpoints, some 90 USD a month idle in two zones; images must then be in ECR, in the stacks' region. Training jobs on SageMaker are
   * not in the VPC, whichever it is.
   */
  network: z.enum(['nat', 'endpoints']).default('nat'),
  /**
   * Whether the model's jobs run on GPUs. `cpu` puts every job on the CPU queue: for trials, no GPU quota needed.
   *
   * @default gpu
   */
  accelerator: z.enum(['gpu', 'cpu']).default(DEFAULT_DEPLOYMENT.accelerator),
  /** Try spot capacity first and on-demand after it; false uses on-demand alone. */
  spot: flag.default(true),
  /**
   * Instance families or types of the GPU environments. A type bounds what is paid for: of a family Batch may take a size
   * of 192 vCPUs. They have to hold a job of `jobVcpus` and `jobMemoryMib`.
   *
   * @default g6.xlarge, g5.xlarge - one 24 GB GPU, 4 vCPUs and 16 GiB of memory
   */
  gpuInstances: instances.default(DEFAULT_DEPLOYMENT.gpuInstances),
  /**
   * Instance families or types of the CPU environments; types for the same reason.
   *
   * @default m7i.xlarge, m6i.xlarge, m6a.xlarge - 4 vCPUs and 16 GiB of memory
   */
  cpuInstances: instances.default(DEFAULT_DEPLOYMENT.cpuInstances),
  /**
   * Most vCPUs of each GPU environment, of which there are two, spot and on-demand (one with `spot=false`). Batch may
   * pass it by one instance. Twice this and two instances are so the most that runs at once on GPUs; SageMaker's training
   * jobs are apart.
   *
   * @default 64 - 16 jobs of one GPU in each
   */
  maxGpuVcpus: count.default(DEFAULT_DEPLOYMENT.maxGpuVcpus),
  /**
   * Most vCPUs of each CPU environment, in the same way.
   *
   * @default 64
   */
  maxCpuVcpus: count.default(DEFAULT_DEPLOYMENT.maxCpuVcpus),
  /**
   * vCPUs of one job.
   *
   * @default 4 - as g6.xlarge has
   */
  jobVcpus: count.default(DEFAULT_DEPLOYMENT.jobVcpus),
  /**
   * Memory of one job in MiB.
   *
   * @default 14336 - what ECS leaves free on 16 GiB
   */
  jobMemoryMib: count.default(DEFAULT_DEPLOYMENT.jobMemoryMib),
  /**
   * Disk of each Batch instance in GiB. Images take 10 GB with CUDA, shards and checkpoints in flight some more, and
   * while a corpus is prepared its text lies there once more, unpacked: give as many GiB as that has, and 50 besides. Instances
   * with NVMe disks, as g5, g6 and m6id have, keep it on those.
   *
   * @default 200
   */
  rootVolumeGib: count.min(50).default(DEFAULT_DEPLOYMENT.rootVolumeGib),
  /**
   * An attempt that runs longer is killed and the job fails. Preparing a corpus, pretraining, probing, fitting and
   * evaluating stop by themselves half an hour before, and go on in the next attempt: they may take `jobAttempts` times as
   * long, less what spot interruptions take.
   * A SageMaker training job has one attempt of so many hours, of 672 at most.
   *
   * @default 24
   */
  jobTimeoutHours: count.default(DEFAULT_DEPLOYMENT.jobTimeoutHours),
  /**
   * Attempts of a job whose instance was taken away, or that asked to be resumed (exit 75) because it was told to stop or
   * its time was nearly over; 10 is the service's maximum. A run whose job has none left goes on with `resumeFrom`.
   *
   * @default 10
   */
  jobAttempts: count.max(10).default(DEFAULT_DEPLOYMENT.jobAttempts),
  /**
   * A job that no instance can be found for is cancelled after this long, which fails the run; it resumes when started
   * again.
   *
   * @default 12
   */
  capacityTimeoutHours: count.max(24).default(12),
  /**
   * Probing or scoring jobs of a run at once. More than the spot environment holds spill to the on-demand one.
   *
   * @default - what one environment holds: `maxGpuVcpus` (`maxCpuVcpus` without GPUs) over `jobVcpus`
   */
  mapConcurrency: count.max(10_000).optional(),
  /** Arms that pretrain at once. */
  pretrainConcurrency: count.max(40).default(DEFAULT_DEPLOYMENT.pretrainConcurrency),
  /**
   * Instance type of the SageMaker training job, for runs with `"trainer": "sagemaker"`.
   *
   * @default ml.g5.xlarge
   */
  sagemakerInstanceType: z.string().startsWith('ml.').default(DEFAULT_DEPLOYMENT.sagemakerInstanceType),
  /**
   * An execution that is not done by then times out; `mates stop` ends the jobs that it may leave.
   *
   * @default 30
   */
  runTimeoutDays: count.max(364).default(DEFAULT_DEPLOYMENT.runTimeoutDays),
  /**
   * Buckets beside the lake that corpora and checkpoints may be read from. Where one is encrypted with a KMS key of one's own,
   * the key's policy has to give the roles of the jobs and functions kms:Decrypt; those of S3 need nothing.
   */
  inputBuckets: list.default([]),
  /** Keep the lake bucket when its stack is deleted. false deletes it with everything in it. */
  retain: flag.default(true),
  /** Days that logs are kept; one of the values that CloudWatch Logs knows. */
  logRetentionDays: z.coerce
    .number()
    .refine((days) => RETENTION_DAYS.includes(days), `one of ${RETENTION_DAYS.join(', ')}`)
    .default(90),
  /**
   * Address that alarms and the budget write to; it gets a mail to confirm.
   *
   * @default - the topic has no subscriber
   */
  alarmEmail: z.email().optional(),
  /**
   * Monthly budget of the account's tagged resources, with a notice at 80 % and at a forecast 100 %. It sees nothing until
   * the tag `mates:app` is activated as a cost allocation tag in Billing; see the stack's output `BudgetTag`.
   *
   * @default - no budget
   */
  monthlyBudgetUsd: z.coerce.number().positive().optional(),
  /** Publish a version of the machine at each deployment and point the alias `live` at it. */
  publishVersion: flag.default(true),
  /**
   * Account and region of the stacks, both or neither. With them the new VPC has all zones of the region, up to six (three with
   * `network` `endpoints`), without them two; the zones are looked up at synthesis, which then needs credentials.
   *
   * @default - those of the deployment's credentials
   */
  account: z.string().optional(),
  region: z.string().optional(),
}) satisfies z.ZodType<Deployment>;

export type Settings = z.infer<typeof schema>;

/** Jobs of a map at once; see {@link Settings.mapConcurrency}. */
export function mapConcurrency({ mapConcurrency, ...settings }: Settings): number {
  const { accelerator, maxGpuVcpus, maxCpuVcpus, jobVcpus } = settings;
  const held = Math.floor((accelerator === 'gpu' ? maxGpuVcpus : maxCpuVcpus) / jobVcpus);
  return mapConcurrency ?? Math.max(1, held);
}

/** Every context key, in the order of the documentation. */
export const SETTING_NAMES = Object.keys(schema.shape) as (keyof Settings)[];

/**
 * Settings from context; null and the empty string mean the default.
 *
 * @throws ConfigError naming the key, when a value cannot be used.
 */
export function readSettings(node: Node): Settings {
  const given = SETTING_NAMES.map((name) => [name, node.tryGetContext(name)] as const).filter(
    ([, value]) => value !== undefined && value !== null && value !== '',
  );
  return parseSettings(Object.fromEntries(given));
}

/** Settings with the defaults filled in; see {@link readSettings}. */
export function parseSettings(values: Record<string, unknown> = {}): Settings {
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const name = issue?.path.join('.') ?? '';
    throw new ConfigError(
      `context ${name}: ${issue?.message}; got ${JSON.stringify(values[name])}. Set it with -c ${name}=... or in cdk.json.`,
    );
  }
  if (Boolean(parsed.data.account) !== Boolean(parsed.data.region))
    throw new ConfigError(
      'context account and region: give both or neither, for example -c account=123456789012 -c region=us-east-1.',
    );
  if (parsed.data.vpcId && !parsed.data.account)
    throw new ConfigError(
      'context vpcId: looking up a VPC needs a fixed account and region; add -c account=... -c region=...',
    );
  if (parsed.data.network === 'endpoints' && !parsed.data.vpcId) requireReachableImages(parsed.data);
  return parsed.data;
}

/** Without a way out an image elsewhere is waited for, attempt after attempt, on instances that are paid for. */
function requireReachableImages({ region, ...settings }: Settings): void {
  for (const name of ['image', 'trainerImage'] as const) {
    const reference = settings[name];
    if (!reference) continue;
    if (parseEcr(reference) && maybeInEcr(reference, region)) continue; // a bare name would be taken from Docker Hub
    throw new ConfigError(
      `context ${name}: ${reference} cannot be pulled from subnets without a way out (network=endpoints): ` +
        `push it to ECR in ${region ?? "the stacks' region"}, or deploy with -c network=nat.`,
    );
  }
}
