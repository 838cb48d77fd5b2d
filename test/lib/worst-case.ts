/**
 * Runs the deployed definition with the largest values that can occur, in the interpreter of the States Language, and
 * takes note of every payload. Functions that only compute are the real ones; what the others answer is typed by their
 * handlers, so that a new field cannot be forgotten here.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunReference } from '../../core/run/execution-input.ts';
import { getJson, storeOpener } from '../../core/storage/index.ts';
import { handler as advanceStage } from '../../functions/advance-stage/index.ts';
import type { handler as finishRun } from '../../functions/finish-run/index.ts';
import { consoleLinks } from '../../functions/links.ts';
import { handler as planStage } from '../../functions/plan-stage/index.ts';
import { handler as validateRun } from '../../functions/validate-run/index.ts';
import type { Synthesized } from '../../lib/synthesize.ts';
import { execute } from '../../local/asl/interpreter.ts';
import { type Json, type JsonObject, type Machine, StatesError, type TaskCall } from '../../local/asl/types.ts';
import { validate } from '../../local/asl/validate.ts';
import { taskProblem } from '../../local/tasks.ts';
import { readTemplate } from '../../local/template.ts';
import { corpusOf, temporaryFolder } from '../support.ts';

export interface Size {
  stages: number;
  /** Jobs of a scoring map, and shards of the corpus. */
  shards: number;
  trainer: 'batch' | 'sagemaker';
  /** Every task fails as often as its Retry allows before it succeeds. */
  retries?: boolean;
  /** Bytes of the execution's input. */
  input?: number;
  /** The state that fails, with the longest cause that there can be. */
  fails?: string;
}

export interface Course {
  /** Events in the history of the execution; children of Distributed Maps have their own. */
  events: number;
  /** Bytes of the largest input, output, parameters and result of each state. */
  largest: Map<string, number>;
  /** Characters of the largest container overrides of a Batch job. */
  overrides: number;
  /** Items of the largest map that was run. */
  items: number;
}

/** The limits of the services: a run's id, a bucket's name, an object's key, an execution's name. */
const RUN = 'r'.repeat(48);
const BUCKET = 'b'.repeat(63);
const KEY = 1024;
const NAME = 'n'.repeat(80);
const CAUSE = 32_768;
/** In place of `runs/<id>`: so long that the keys under it reach the limit of a key. */
const PREFIX = `runs/${RUN}/`.padEnd(KEY - 'stages/99/probe-items.json'.length - 1, 'p');

/** What the handlers say, with the longest names; and back, for what is handed to them. */
const inflated = <T>(answer: T): T =>
  JSON.parse(
    JSON.stringify(answer)
      .replaceAll(`runs/${RUN}`, PREFIX)
      .replaceAll('s3://lake/', `s3://${BUCKET}/`)
      .replaceAll('"bucket":"lake"', `"bucket":"${BUCKET}"`),
  );
const deflated = <T>(event: T): T =>
  JSON.parse(JSON.stringify(event).replaceAll(PREFIX, `runs/${RUN}`).replaceAll(BUCKET, 'lake'));

const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

/** @throws StatesError when a quota of Step Functions is passed, of payloads or of the history. */
export async function worstCase({ template, dataTemplate }: Synthesized, size: Size): Promise<Course> {
  const lake = await temporaryFolder();
  const before = process.env.MATES_LAKE_DIRECTORY;
  process.env.MATES_LAKE_DIRECTORY = lake;
  try {
    await mkdir(join(lake, 'corpus'));
    await writeFile(join(lake, 'corpus/corpus.json'), JSON.stringify(corpusOf(size.shards, 10_000)));
    await writeFile(join(lake, 'task.jsonl'), '{"context": "Once upon a", "continuation": " time"}');
    const pipeline = readTemplate(template, dataTemplate);
    const machine = validate(pipeline.definition, taskProblem);
    const course: Course = { events: 0, largest: new Map(), overrides: 0, items: 0 };
    const note = (state: string, what: string, value: unknown) => {
      const key = `${state}: ${what}`;
      course.largest.set(key, Math.max(course.largest.get(key) ?? 0, bytes(value)));
    };
    const run = tasks(course);
    const failing = size.retries ? failuresOf(machine) : () => undefined;
    const unread = size.retries ? unreadItems(machine) : () => undefined;
    const { output, events } = await execute(
      machine,
      inputOf(size) as Json,
      {
        runTask: async (call) => {
          note(call.state, 'parameters', call.parameters);
          const failure = failing(call);
          if (failure) throw failure;
          if (call.state === size.fails) throw new StatesError('RunError', 'c'.repeat(CAUSE));
          const result = await run(call);
          note(call.state, 'result', result);
          return result;
        },
        readJson: async (_, key) => {
          const failure = unread(key);
          if (failure) throw failure;
          const items = (await getJson<Json[]>(storeOpener(lake)('s3://lake'), deflated(key))) as Json[];
          course.items = Math.max(course.items, items.length);
          // All of them once; the parent's history and payloads do not depend on it afterwards.
          return key.includes('/stages/1/') ? items : items.slice(0, 2);
        },
        sleep,
        random: () => 0,
        onState: (event) => {
          if (event.kind !== 'failed') note(event.state, event.kind === 'entered' ? 'input' : 'output', event.payload);
        },
      },
      { name: NAME, machineName: 'm'.repeat(80) },
    );
    note('The execution', 'output', output);
    return { ...course, events };
  } finally {
    if (before === undefined) delete process.env.MATES_LAKE_DIRECTORY;
    else process.env.MATES_LAKE_DIRECTORY = before;
  }
}

/** Delays of retries pass at once; timeouts, which are days, never. */
const sleep = (seconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (seconds < 3600) return resolve();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

function inputOf({ stages, shards, trainer, input: wanted = 0 }: Size): object {
  const input = {
    runId: RUN,
    trainer,
    maxCostUsd: Number.MAX_VALUE,
    config: {
      corpus: { prepared: 's3://lake/corpus' },
      reference: { input: 'builtin:corpus/reference.jsonl' },
      heldOut: { input: 'builtin:corpus/held-out.jsonl' },
      pretrain: { stages, stepsPerStage: 1, batchRows: 2, microBatchRows: 2 },
      pools: { holdOut: 0.1, warmup: 0.1 },
      probe: { documents: 2 * shards, jobs: shards, checkpoint: 'decayed' },
      scoring: { jobs: shards },
      control: 'random',
      evaluation: { tasks: [{ file: 's3://lake/task.jsonl', delimiter: '' }] },
    },
  };
  input.config.evaluation.tasks[0]!.delimiter = ' '.repeat(Math.max(0, wanted - bytes(input)));
  return input;
}

/** What each Task gives: functions by their handlers, jobs by the longest descriptions that the services give. */
function tasks(course: Course): (call: TaskCall) => Promise<Json> {
  return async ({ resource, parameters, items }) => {
    const given = parameters as JsonObject;
    if (resource.includes(':lambda:')) {
      const name = String(given.FunctionName).split(':')[6]!; // before the version
      return { ...LAMBDA_ANSWER, Payload: await answerOf(name, deflated(given.Payload)) };
    }
    if (resource.includes(':batch:')) {
      const { Environment, ...others } = given.ContainerOverrides as { Environment: Json[] };
      const overrides = { ...others, Environment: [...Environment, BY_STEP_FUNCTIONS] };
      course.overrides = Math.max(course.overrides, JSON.stringify(overrides).length);
      // Of ten thousand children the first two speak for all.
      return { ...given, ...(items.every((index) => index < 2) && JOB_DESCRIPTION) };
    }
    return { ...given, ...TRAINING_DESCRIPTION };
  };
}

async function answerOf(name: string, event: unknown): Promise<Json> {
  const answer = await handle(name, event);
  return JSON.parse(JSON.stringify(inflated(answer)));
}

async function handle(name: string, event: unknown): Promise<unknown> {
  switch (name) {
    case 'validate-run':
      return validateRun(event as Parameters<typeof validateRun>[0]);
    case 'plan-stage':
      return planStage(event as Parameters<typeof planStage>[0]);
    case 'advance-stage':
      return advanceStage(event as Parameters<typeof advanceStage>[0]);
    case 'merge-top-k':
      return null; // its answer is nothing
    case 'finish-run': {
      const { run, execution } = event as { run: RunReference; execution: string };
      const [dashboard, jobLogs, machineLogs] = ['d', 'j', 'm'].map((letter) => letter.repeat(255));
      const { bucket, prefix } = run;
      return {
        run,
        summary: `${run.uri}/summary.json`,
        report: `${run.uri}/report.html`,
        links: consoleLinks({ execution, bucket, prefix, dashboard, jobLogs, machineLogs }),
      } satisfies Awaited<ReturnType<typeof finishRun>>;
    }
    default:
      throw new Error(`There is no answer of ${name} yet.`);
  }
}

/** An answer of the service around the handler's, as histories show it; its headers are some 800 bytes. */
const LAMBDA_ANSWER = {
  ExecutedVersion: '$LATEST',
  SdkHttpMetadata: { AllHttpHeaders: { All: ['h'.repeat(1500)] }, HttpHeaders: { All: 'h'.repeat(1500) } },
  SdkResponseMetadata: { RequestId: 'i'.repeat(36) },
  StatusCode: 200,
};
/** The variable that Step Functions adds to a job's own. */
const BY_STEP_FUNCTIONS = { Name: 'MANAGED_BY_AWS', Value: 'STARTED_BY_STEP_FUNCTIONS' };
const ATTEMPT = {
  Container: {
    ContainerInstanceArn: 'a'.repeat(200),
    ExitCode: 75,
    LogStreamName: 'l'.repeat(512), // the service's limit
    NetworkInterfaces: [
      { AttachmentId: 'a'.repeat(100), Ipv6Address: 'a'.repeat(40), PrivateIpv4Address: 'a'.repeat(15) },
    ],
    Reason: 'r'.repeat(1024),
    TaskArn: 'a'.repeat(200),
  },
  StartedAt: 1e13,
  StatusReason: 's'.repeat(1024),
  StoppedAt: 1e13,
};
/** As many attempts as a job can have; the rest of a description repeats its definition. */
const JOB_DESCRIPTION = {
  Attempts: Array.from({ length: 10 }, () => ATTEMPT),
  Container: { ...ATTEMPT.Container, Image: 'i'.repeat(512), Definition: 'd'.repeat(8192) },
  RetryStrategy: { Attempts: 10, EvaluateOnExit: Array.from({ length: 5 }, () => 'e'.repeat(512)) },
  Tags: Array.from({ length: 50 }, () => 't'.repeat(384)), // 50 tags of 128 and 256 characters
};
/** SecondaryStatusTransitions of a spot job that was started again some hundred times. */
const TRAINING_DESCRIPTION = {
  SecondaryStatusTransitions: Array.from({ length: 300 }, () => 's'.repeat(200)),
  FinalMetricDataList: Array.from({ length: 40 }, () => 'm'.repeat(400)),
  FailureReason: 'f'.repeat(1024),
};

/** Fails each visit of a Task as often as its Retry allows. */
function failuresOf(machine: Machine): (call: TaskCall) => StatesError | undefined {
  const retriers = new Map(
    allStates(machine).map(([id, state]) => [
      id,
      (('Retry' in state && state.Retry) || []).flatMap(({ ErrorEquals, MaxAttempts = 3 }) =>
        Array<string>(MaxAttempts).fill(ErrorEquals[0]!),
      ),
    ]),
  );
  const visits = new Map<string, number>();
  return ({ state, items }) => {
    const visit = `${state} ${items}`;
    const failed = visits.get(visit) ?? 0;
    const error = retriers.get(state)![failed];
    visits.set(visit, error === undefined ? 0 : failed + 1);
    return error === undefined ? undefined : new StatesError(error, 'c'.repeat(1000));
  };
}

/** The items of each Map cannot be read as often as its Retry allows. */
function unreadItems(machine: Machine): (key: string) => StatesError | undefined {
  const most = Math.max(
    ...allStates(machine).flatMap(([, state]) =>
      state.Type === 'Map' ? (state.Retry ?? []).map(({ MaxAttempts = 3 }) => MaxAttempts) : [],
    ),
  );
  const failed = new Map<string, number>();
  return (key) => {
    const times = failed.get(key) ?? 0;
    failed.set(key, times + 1);
    return times < most ? new StatesError('States.ItemReaderFailed', 'c'.repeat(1000)) : undefined;
  };
}

function allStates({ States }: Machine): [string, Machine['States'][string]][] {
  return Object.entries(States).flatMap(([id, state]) => [
    [id, state] as [string, Machine['States'][string]],
    ...(state.Type === 'Map' ? allStates(state.ItemProcessor) : []),
  ]);
}
