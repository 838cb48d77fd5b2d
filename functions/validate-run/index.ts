import { parseConfig, parseJson } from '../../core/config/load.ts';
import { resolvePath, resolvePaths } from '../../core/config/paths.ts';
import { onGpu } from '../../core/config/runtimes.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { preparedIndex } from '../../core/corpus/corpus.ts';
import { limitWarnings } from '../../core/cost/limits.ts';
import { textSizes } from '../../core/cost/passages.ts';
import { textBytes } from '../../core/cost/preparation.ts';
import { costThroughStage, type Place, type PricedPlan, pricePlan } from '../../core/cost/price.ts';
import { type QuotaNeed, quotaNeeds } from '../../core/cost/quotas.ts';
import { ConfigError } from '../../core/errors.ts';
import type { RunRecord } from '../../core/formats.ts';
import { RUN_FILE } from '../../core/layout.ts';
import { isObject } from '../../core/objects.ts';
import { checkInputs, refuseLocalPaths } from '../../core/run/check-inputs.ts';
import { checkRun, createRun } from '../../core/run/create-run.ts';
import {
  type ExecutionInput,
  mergeFields,
  parseExecutionInput,
  type RunReference,
  runIdOf,
} from '../../core/run/execution-input.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import {
  getRecordIfPresent,
  isLocalPath,
  NotFoundError,
  type Store,
  type StoreOpener,
  splitUri,
} from '../../core/storage/index.ts';
import { withPretrainedFields } from '../../engine/files/pretrained-fields.ts';
import smoke from '../../examples/smoke.json' with { type: 'json' };
import { deploymentFromEnvironment, lakeBucket, onOneMachine, openerFromEnvironment, told } from '../environment.ts';
import { retriable } from '../retriable.ts';
import { isRunning } from './execution-status.ts';
import { type Terms, takeRun } from './lease.ts';
import { liveJobs } from './live-jobs.ts';

interface Event {
  input: unknown;
  /** ARN of the execution. */
  execution: string;
  executionName: string;
}

interface State {
  run: RunReference;
  stage: number;
  stages: number;
  /** Output of a dry run: steps, tokens, FLOPs, hours and dollars on each instance type, and quotas. */
  plan?: PricedPlan & { quotas: QuotaNeed[] };
  /** What, by the estimate, exceeds the time, memory or disk that the deployment gives. */
  warnings?: string[];
}

/**
 * The first state: checks the whole input, the configuration, and that every file it names exists; claims the run for
 * this execution; and creates its folder, or finds it there to resume. A dry run writes nothing.
 *
 * @throws ConfigError or InputError within seconds, naming the bad field, the missing file, or the execution that works
 *   on the run or has left jobs of it behind.
 */
export const handler = retriable(async (event: Event): Promise<State> => {
  const input = parseExecutionInput(event.input);
  const open = openerFromEnvironment();
  const id = runIdOf(input, event.executionName);
  const bucket = lakeBucket();
  const prefix = `runs/${id}`;
  const uri = `s3://${bucket}/${prefix}`;
  const store = open(uri);
  const config = await readConfig(input, store, open);
  checkEngine(config);
  checkTrainer(input);
  const { files, ...found } = await checkInputs(config, open);
  await checkRun(store, id, config);
  const corpus = await preparedIndex(config, open);
  const place: Place = {
    ...{ corpus, textBytes: textBytes(files), passages: textSizes(config, found) },
    deployment: deploymentFromEnvironment(),
  };
  refuseHigherCap(input);
  checkCap(input, config, place, input.dryRun);
  // A dry run claims nothing, and on one machine the command line locks the run's folder instead.
  const takes = !input.dryRun && !onOneMachine();
  const terms: Terms = takes
    ? await takeRun(store, event.execution, { isRunning, liveJobs: liveJobs(id) }, input)
    : input;
  checkCap(terms, config, place, input.dryRun); // the previous execution's cap, if this one has none of its own
  const { trainer = 'batch' } = terms;
  place.trainer = trainer;
  if (!input.dryRun) await createRun(store, id, config, { ...softwareVersions(), ...ownTrainer() });
  // The estimate is for the deployed instances, so it says nothing about one machine.
  const warnings = onOneMachine() ? [] : limitWarnings(config, place);
  for (const warning of warnings) console.warn(warning);
  return {
    run: { id, uri, bucket, prefix, trainer, dryRun: input.dryRun, maxCostUsd: capOf(terms)?.usd },
    stage: 0,
    stages: config.pretrain.stages,
    ...(input.dryRun && { plan: { ...pricePlan(config, place), quotas: quotaNeeds(config, place) } }),
    ...(warnings.length > 0 && { warnings }),
  };
});

/** Otherwise only the first job that uses a GPU or trains would report this, after the corpus was prepared. */
function checkEngine({ engine: { runtime, workers } }: RunConfig): void {
  if (onOneMachine() || !onGpu(runtime)) return;
  if (deploymentFromEnvironment().accelerator !== 'gpu')
    throw new ConfigError(
      `engine.runtime is ${runtime}, but this deployment has no GPUs (accelerator=cpu): set it to onnx, or deploy with accelerator=gpu.`,
    );
  // However many GPUs SageMaker's instance has, the decay branches that are evaluated and probed train on Batch.
  if (runtime === 'onnx-cuda' && workers > 1)
    throw new ConfigError(
      `engine.workers is ${workers}, but a job on Batch has one GPU: set it to 0, which uses all GPUs of a job; ` +
        'a training job on SageMaker may have several.',
    );
}

/** Rather than lower it in silence: whoever asks for more expects a run that may cost as much. */
function refuseHigherCap({ maxCostUsd }: ExecutionInput): void {
  const { maxRunCostUsd } = deploymentFromEnvironment();
  if (maxCostUsd == null || maxRunCostUsd === undefined || maxCostUsd <= maxRunCostUsd) return;
  throw new ConfigError(
    `execution input: maxCostUsd is ${maxCostUsd}, but in this deployment a run may cost at most ${maxRunCostUsd} (maxRunCostUsd): ` +
      'lower it or leave it out, or deploy with a higher maxRunCostUsd.',
  );
}

/** The lower of an execution's cap, which may be of a time before the deployment had one, and the deployment's. */
function capOf({ maxCostUsd }: Terms): { usd: number; name: string; remedy: string } | undefined {
  const { maxRunCostUsd } = deploymentFromEnvironment();
  if (maxRunCostUsd !== undefined && (maxCostUsd == null || maxRunCostUsd < maxCostUsd))
    return { usd: maxRunCostUsd, name: "this deployment's maxRunCostUsd", remedy: 'deploy with a higher one' };
  return maxCostUsd == null ? undefined : { usd: maxCostUsd, name: 'execution input: maxCostUsd', remedy: 'raise it' };
}

/**
 * A corpus is prepared before any stage is planned; later the cap is compared with the cost when a stage is planned.
 */
function checkCap(terms: Terms, config: RunConfig, place: Place, dryRun: boolean): void {
  const cap = capOf(terms);
  if (cap === undefined || onOneMachine()) return;
  const usd = costThroughStage(config, 0, { ...place, trainer: terms.trainer });
  if (usd <= cap.usd || dryRun) return;
  throw new ConfigError(
    `${cap.name} is ${cap.usd}, but the run is estimated to cost $${usd.toFixed(2)} by the end of its first stage: ` +
      `${cap.remedy}, or make the run smaller (mates plan says what each part costs).`,
  );
}

/** SageMaker pulls images only from ECR. */
function checkTrainer({ trainer }: ExecutionInput): void {
  if (onOneMachine()) return;
  const elsewhere = told('notInEcr');
  if (trainer === 'sagemaker' && elsewhere !== undefined)
    throw new ConfigError(
      `execution input: trainer is sagemaker, which only runs images from ECR, but the trainer image is ${elsewhere}: ` +
        'copy it to ECR and deploy with that as trainerImage, or train on batch.',
    );
}

/** A trainer of the user's own can change every number, as versions can. */
function ownTrainer(): { trainer?: string } {
  const trainer = told('trainer');
  return trainer === undefined ? {} : { trainer };
}

async function readConfig(input: ExecutionInput, store: Store, open: StoreOpener): Promise<RunConfig> {
  const { raw, source } = await rawConfig(input, store, open);
  const given = input.overrides ? mergeFields(raw, input.overrides) : raw;
  const beside = besideFile(input.config);
  const openModel = (folder: string) => {
    const uri = resolvePath(folder, beside);
    return onOneMachine() || !isLocalPath(uri) ? open(uri) : undefined; // a local path is refused below
  };
  const config = resolvePaths(parseConfig(await withPretrainedFields(given, openModel, source), source), beside);
  if (!onOneMachine()) refuseLocalPaths(config, source);
  return config;
}

/**
 * What relative paths are in a configuration: relative to its file, on S3 as well as on one machine. Those of one that
 * is no file stay as they are.
 */
function besideFile(config: ExecutionInput['config']): (path: string) => string {
  if (typeof config !== 'string') return (path) => path;
  const { folder } = splitUri(config);
  return (path) => `${folder}/${path.replace(/^(\.\/)+/, '')}`;
}

interface RawConfig {
  raw: Record<string, unknown>;
  /** What to call it in messages. */
  source: string;
}

async function rawConfig({ config, resumeFrom }: ExecutionInput, store: Store, open: StoreOpener): Promise<RawConfig> {
  if (resumeFrom !== undefined) {
    const record = await getRecordIfPresent<RunRecord>(store, RUN_FILE, 'mates-run/1');
    if (!record)
      throw new ConfigError(
        `execution input: resumeFrom: there is no run ${resumeFrom} (no ${store.uri}/${RUN_FILE}); ` +
          'correct its id, or start a new run with runId.',
      );
    if (config === undefined) return { raw: { ...record.config }, source: `run ${resumeFrom}` };
  }
  if (config === undefined) return { raw: smoke, source: 'smoke configuration' };
  if (typeof config !== 'string') return { raw: config, source: 'config' };
  if (!onOneMachine() && isLocalPath(config))
    throw new ConfigError(
      `execution input: config ${config} is a path of one machine: copy it to S3 (aws s3 cp) and name it there, as s3://BUCKET/KEY.`,
    );
  return { raw: await readConfigFile(config, open), source: config };
}

async function readConfigFile(uri: string, open: StoreOpener): Promise<Record<string, unknown>> {
  const { folder, name } = splitUri(uri);
  let text: string;
  try {
    text = new TextDecoder().decode(await open(folder).get(name));
  } catch (error) {
    if (error instanceof NotFoundError) throw new ConfigError(`execution input: config ${uri} does not exist.`);
    if ((error as Error).name !== 'AccessDenied') throw error;
    throw new ConfigError(
      `execution input: config ${uri}: access is denied; put it in the lake, or add its bucket to inputBuckets.`,
    );
  }
  const raw = parseJson(text, uri);
  if (!isObject(raw))
    throw new ConfigError(`${uri}: expected a JSON object of fields; see examples/ for configurations.`);
  return raw;
}
