/**
 * What can be set at deployment. Each field is a prop of the stacks, and a context key of the same name:
 * `npx cdk deploy --all -c vpcId=vpc-123 -c spot=false`. `cdk.json` lists every key with its default.
 */
import type { Node } from 'constructs';
import { z } from 'zod';
import { DEFAULT_DEPLOYMENT, type Deployment } from '../core/cost/deployment.ts';
import { gpusOf } from '../core/cost/price.ts';
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

const OWN_COMMAND = ['mates-job', 'pretrain'];

const schema = z.strictObject({
  /**
   * Image of every job: a reference such as `123456789012.dkr.ecr.us-east-1.amazonaws.com/mates:1.0` (pull is granted
   * for private ECR) or `ghcr.io/owner/mates:1.0`.
   *
   * @default - built from `dockerfile` at deployment, the only thing that needs Docker
   */
  image: z.string().min(1).optional(),
  /**
   * Dockerfile of the image that is built when no `image` is given, relative to the repository.
   *
   * @default - `containers/gpu/Dockerfile`, which has both engines for GPUs; `containers/Dockerfile` if `accelerator`
   *   is `cpu`
   */
  dockerfile: z.string().min(1).optional(),
  /**
   * Image of only the pretraining step, on Batch and on SageMaker: a PyTorch image, for example.
   * docs/trainer-contract.md says what it must do.
   *
   * @default - the image of every job
   */
  trainerImage: z.string().min(1).optional(),
  /** Command of the pretraining step, as a list; `mates conformance` checks it. */
  trainerCommand: list.refine((value) => value.length > 0, 'name at least a program').default(OWN_COMMAND),
  /**
   * Existing VPC to use. It is looked up at synthesis, which then needs credentials and a fixed account and region. It
   * should have a gateway endpoint for S3, because nothing is added to it.
   *
   * @default - a new VPC
   */
  vpcId: z.string().min(1).optional(),
  /**
   * How jobs reach AWS from the private subnets of a new VPC; S3 goes through its free gateway endpoint either way.
   * `nat`: one NAT gateway, some 37 USD a month plus traffic. `endpoints`: no route to the internet, but six interface
   * endpoints, some 90 USD a month idle in two zones; images must then be in ECR, in the stacks' region. S3 then takes
   * writes to the lake alone. What a job with credentials of another account can still do is to read that account's
   * buckets, and to use the services of the interface endpoints, which have no policies. Training jobs on SageMaker are
   * outside the VPC in either case.
   */
  network: z.enum(['nat', 'endpoints']).default('nat'),
  /**
   * Whether the model's jobs run on GPUs. `cpu` puts every job on the CPU queue: for trials, without a GPU quota.
   *
   * @default gpu
   */
  accelerator: z.enum(['gpu', 'cpu']).default(DEFAULT_DEPLOYMENT.accelerator),
  /** Try spot capacity first, then on-demand; false uses only on-demand. */
  spot: flag.default(true),
  /**
   * Instance families or types of the GPU environments. Types limit what is paid for: from a family, Batch may take a
   * size of 192 vCPUs. At least one must have room for a job of `jobVcpus` and `jobMemoryMib`.
   *
   * @default g6.xlarge, g5.xlarge - one 24 GB GPU, 4 vCPUs and 16 GiB of memory
   */
  gpuInstances: instances.default(DEFAULT_DEPLOYMENT.gpuInstances),
  /**
   * Instance families or types of the CPU environments; types are the default for the same reason.
   *
   * @default m7i.xlarge, m6i.xlarge, m6a.xlarge - 4 vCPUs and 16 GiB of memory
   */
  cpuInstances: instances.default(DEFAULT_DEPLOYMENT.cpuInstances),
  /**
   * Most vCPUs of each GPU environment. There are two, spot and on-demand (one with `spot=false`), and Batch may exceed
   * this by one instance in each. So at most twice this plus two instances run on GPUs at once, not counting
   * SageMaker's training jobs.
   *
   * @default 64 - 16 jobs of one GPU in each
   */
  maxGpuVcpus: count.default(DEFAULT_DEPLOYMENT.maxGpuVcpus),
  /**
   * The same for the CPU environments.
   *
   * @default 64
   */
  maxCpuVcpus: count.default(DEFAULT_DEPLOYMENT.maxCpuVcpus),
  /**
   * vCPUs of one job.
   *
   * @default 4 - as many as g6.xlarge has
   */
  jobVcpus: count.default(DEFAULT_DEPLOYMENT.jobVcpus),
  /**
   * Memory of one job in MiB.
   *
   * @default 14336 - what ECS leaves free of 16 GiB
   */
  jobMemoryMib: count.default(DEFAULT_DEPLOYMENT.jobMemoryMib),
  /**
   * Disk of each Batch instance in GiB. Images with CUDA take 10 GB, and shards and checkpoints in transit some more.
   * While a corpus is prepared, its uncompressed text is there too: allow as many GiB as that has, plus 50. Instances
   * with NVMe disks, such as g5, g6 and m6id, keep this data on those.
   *
   * @default 200
   */
  rootVolumeGib: count.min(50).default(DEFAULT_DEPLOYMENT.rootVolumeGib),
  /**
   * An attempt that runs longer is killed, and the job fails. Preparing a corpus, pretraining, probing, fitting and
   * evaluating stop by themselves half an hour earlier and continue in the next attempt, so they may take `jobAttempts`
   * times as long, less what spot interruptions cost.
   * A SageMaker training job has one attempt of this many hours, at most 672.
   *
   * @default 24
   */
  jobTimeoutHours: count.default(DEFAULT_DEPLOYMENT.jobTimeoutHours),
  /**
   * Attempts of a job whose instance was taken away, or that asked to be resumed (exit code 75) because it was told to
   * stop or its time was nearly over; 10 is the service's maximum. A run whose job has no attempts left can be resumed
   * with `resumeFrom`.
   *
   * @default 10
   */
  jobAttempts: count.max(10).default(DEFAULT_DEPLOYMENT.jobAttempts),
  /**
   * A job for which no instance can be found is cancelled after this many hours, which fails the run; the run resumes
   * when it is started again.
   *
   * @default 12
   */
  capacityTimeoutHours: count.max(24).default(12),
  /**
   * Probing or scoring jobs of a run at once. Jobs that do not fit into the spot environment spill to the on-demand
   * one.
   *
   * @default - what one environment holds of the type that holds least, by `maxGpuVcpus` (`maxCpuVcpus` without GPUs); a job
   *   has a GPU or `jobVcpus`
   */
  mapConcurrency: count.max(10_000).optional(),
  /** How many arms pretrain at once. */
  pretrainConcurrency: count.max(40).default(DEFAULT_DEPLOYMENT.pretrainConcurrency),
  /**
   * Instance type of the SageMaker training job, for runs with `"trainer": "sagemaker"`.
   *
   * @default ml.g5.xlarge
   */
  sagemakerInstanceType: z.string().startsWith('ml.').default(DEFAULT_DEPLOYMENT.sagemakerInstanceType),
  /**
   * An execution that takes longer than this times out; `mates stop` ends the jobs that it may leave behind.
   *
   * @default 30
   */
  runTimeoutDays: count.max(364).default(DEFAULT_DEPLOYMENT.runTimeoutDays),
  /**
   * The most that any run may cost, by the estimates of a run's own `maxCostUsd`, which may then be lower but not
   * higher, and whose `null` does not lift this. All instance types must have a price, or every run is refused.
   *
   * @default - no limit but that of whoever starts the run
   */
  maxRunCostUsd: z.coerce.number().positive().optional(),
  /**
   * Buckets besides the lake from which corpora and checkpoints may be read. If one is encrypted with a
   * customer-managed KMS key, the key's policy has to give the roles of the jobs and functions kms:Decrypt; encryption
   * by S3 needs nothing.
   */
  inputBuckets: list.default([]),
  /** Keep the lake bucket when its stack is deleted; false deletes it with everything in it. */
  retain: flag.default(true),
  /** Days that logs are kept; one of the values that CloudWatch Logs accepts. */
  logRetentionDays: z.coerce
    .number()
    .refine((days) => RETENTION_DAYS.includes(days), `one of ${RETENTION_DAYS.join(', ')}`)
    .default(90),
  /**
   * Address for alarms and budget notices; it first gets a mail to confirm.
   *
   * @default - the topic has no subscriber
   */
  alarmEmail: z.email().optional(),
  /**
   * Monthly budget for the account's tagged resources, with a notice at 80 % and at a forecast 100 %. It stays at 0
   * until the tag `mates:app` is activated as a cost allocation tag in Billing; see the stack's output `BudgetTag`.
   *
   * @default - no budget
   */
  monthlyBudgetUsd: z.coerce.number().positive().optional(),
  /** Publish a version of the machine at each deployment and point the alias `live` at it. */
  publishVersion: flag.default(true),
  /**
   * Account and region of the stacks, both or neither. With them, a new VPC has all zones of the region, up to six
   * (three with `network` `endpoints`), which are looked up at synthesis and so need credentials; without them it has
   * two.
   *
   * @default - those of the deployment's credentials
   */
  account: z.string().optional(),
  region: z.string().optional(),
}) satisfies z.ZodType<Deployment>;

export type Settings = z.infer<typeof schema>;

/** How many jobs of a map run at once; see {@link Settings.mapConcurrency}. */
export function mapConcurrency({ mapConcurrency, ...settings }: Settings): number {
  const { accelerator, gpuInstances, maxCpuVcpus, jobVcpus } = settings;
  const held =
    accelerator === 'gpu'
      ? Math.min(...gpuInstances.map((type) => heldGpus(type, settings)))
      : Math.floor(maxCpuVcpus / jobVcpus);
  return mapConcurrency ?? Math.max(1, held);
}

/** Jobs on as many instances as fit an environment. A type without a price is taken to have one GPU, a family one for a job. */
function heldGpus(type: string, { maxGpuVcpus, jobVcpus }: Pick<Settings, 'maxGpuVcpus' | 'jobVcpus'>): number {
  const vcpus = vcpusOf(type);
  const each = Number.isFinite(vcpus) ? Math.max(vcpus, jobVcpus) : jobVcpus;
  return Math.max(1, Math.floor(maxGpuVcpus / each)) * Math.min(gpusOf(type) ?? 1, Math.floor(each / jobVcpus));
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
  requireUsableInstances(parsed.data);
  return parsed.data;
}

/** What Batch would find out when the first jobs cannot start, or be placed. */
function requireUsableInstances(settings: Settings): void {
  const { jobVcpus, accelerator } = settings;
  for (const name of accelerator === 'gpu' ? (['gpuInstances', 'cpuInstances'] as const) : ['cpuInstances' as const]) {
    const refuse = (why: string) => {
      throw new ConfigError(`context ${name}: ${why}.`);
    };
    const arm = settings[name].find((type) => ARM.test(type));
    if (arm)
      refuse(
        `${arm} has Arm processors, and the images are for x86; choose another type, such as ${name === 'gpuInstances' ? 'g6' : 'm7i'}.xlarge`,
      );
    const other = name === 'gpuInstances' && settings[name].find((type) => !NVIDIA.test(type));
    if (other)
      refuse(`${other} has no NVIDIA GPU; choose another type, such as g6.xlarge, or deploy with -c accelerator=cpu`);
    const most = Math.max(...settings[name].map(vcpusOf));
    if (jobVcpus > most) refuse(`none of them has the ${jobVcpus} vCPUs of a job (jobVcpus): choose larger types`);
  }
}

/** Image and command of the pretraining step, where it is not our own job. */
export function ownTrainer({ trainerImage, trainerCommand }: Settings): string | undefined {
  const command = trainerCommand.join(' ');
  if (trainerImage === undefined && command === OWN_COMMAND.join(' ')) return undefined;
  return trainerImage === undefined ? command : `${trainerImage} ${command}`;
}

/** Families by their names' convention: after the generation, a `g` stands for AWS's own Arm processors. */
const ARM = /^(a1|[a-z]+\d+[a-z]*g[a-z]*|p\d+e-gb\d+)(\.|$)/;
const NVIDIA = /^(g|gr|p)\d+(?!ad)/;

/** At most, by the size in its name; no limit is known of a family. */
function vcpusOf(type: string): number {
  const { times, size } = /\.(?<times>\d+)?(?<size>\w+)$/.exec(type)?.groups ?? {};
  const vcpus: Record<string, number> = { medium: 2, large: 2, xlarge: 4 };
  return Number(times ?? 1) * (vcpus[size ?? ''] ?? Number.POSITIVE_INFINITY);
}

/** Without a way out, jobs would wait for an image elsewhere, attempt after attempt, on instances that cost money. */
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
