import { z } from 'zod';
import { replacesGroup } from '../config/corpus-schema.ts';
import { ConfigError } from '../errors.ts';
import { sha256 } from '../hash.ts';
import { isObject } from '../objects.ts';

/** Characters of a run's id. */
export const MAX_RUN_ID = 48;
/** Job names begin with the run's id, and SageMaker wants them to begin with a letter or digit. */
export const RUN_ID = new RegExp(`^[A-Za-z0-9][A-Za-z0-9-]{0,${MAX_RUN_ID - 1}}$`);
export const RUN_ID_WORDS = `expected letters, digits and hyphens, at most ${MAX_RUN_ID}, and no hyphen first`;

const runId = z.string().regex(RUN_ID, RUN_ID_WORDS);

/** What an execution is started with; every field is optional. */
const executionInput = z.strictObject({
  /** URI of a configuration file, or the configuration itself; without it the smoke configuration runs. */
  config: z.union([z.string().min(1), z.record(z.string(), z.unknown())]).optional(),
  /** Fields to change in it, such as `{"pretrain": {"stages": 2}}`. */
  overrides: z.record(z.string(), z.unknown()).optional(),
  /** Name of the run's folder; by default the execution's name. An existing run of the same configuration resumes. */
  runId: runId.optional(),
  /** An existing run to go on with, by a new execution; its configuration need not be given again. */
  resumeFrom: runId.optional(),
  /** What runs the pretraining; by default what the run's last execution was started with, else Batch. */
  trainer: z.enum(['batch', 'sagemaker']).optional(),
  dryRun: z.boolean().default(false),
  /**
   * Stops before a stage that would bring the estimated cost above this; by default the last execution's limit, which
   * `null` lifts. A deployment may have a limit of its own, `maxRunCostUsd`, above which none may be.
   */
  maxCostUsd: z.number().positive().nullable().optional(),
});

/** Most bytes of JSON: a Step Functions payload may have 256 KiB, and the first state adds its own to the input. */
export const MAX_INPUT_BYTES = 250 * 1024;

export type ExecutionInput = z.output<typeof executionInput>;

/** @throws ConfigError that names the bad field of the execution's input. */
export function parseExecutionInput(value: unknown): ExecutionInput {
  const parsed = executionInput.safeParse(value ?? {});
  if (parsed.success) {
    if (parsed.data.runId && parsed.data.resumeFrom)
      throw new ConfigError('execution input: runId and resumeFrom both name the run; give one of them.');
    return parsed.data;
  }
  const known = Object.keys(executionInput.shape).join(', ');
  const lines = parsed.error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `${issue.keys.join(', ')}: unknown field; the fields are ${known}.`
      : `${issue.path.join('.') || 'input'}: ${issue.message}.`,
  );
  throw new ConfigError(`execution input: ${lines.join(' ')}`);
}

/** The run that an execution works on: named by its input, else after the execution. */
export function runIdOf(input: Pick<ExecutionInput, 'runId' | 'resumeFrom'>, executionName: string): string {
  return input.resumeFrom ?? input.runId ?? runIdAfter(executionName);
}

/** An execution's name as a run's. Where it must be changed for that, a part of its hash keeps it apart from others. */
function runIdAfter(executionName: string): string {
  const name = executionName.replace(/[^A-Za-z0-9-]/g, '-').replace(/^-/, 'run-');
  if (name === executionName && name.length <= MAX_RUN_ID) return name;
  const mark = `-${sha256(executionName).slice(0, 8)}`;
  return name.slice(0, MAX_RUN_ID - mark.length) + mark;
}

/** What every later state passes on. */
export interface RunReference {
  id: string;
  uri: string;
  bucket: string;
  prefix: string;
  trainer: 'batch' | 'sagemaker';
  dryRun: boolean;
  /** The lower of the execution's limit and the deployment's; absent if there is neither. */
  maxCostUsd?: number;
}

/**
 * Deep merge of plain objects; arrays and values of `over` replace those of `base`, and so does a group with a field that excludes
 * others, such as a prepared corpus.
 */
export function mergeFields(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const before = merged[name];
    const merges = isObject(before) && isObject(value) && !replacesGroup(name, Object.keys(value));
    merged[name] = merges ? mergeFields(before, value) : value;
  }
  return merged;
}
