/** Runs the state machine's Tasks on one computer: functions in this process, jobs as child processes. */
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { errorNamed, explainSystemError, INTERRUPTED, MatesError, RunError } from '../core/errors.ts';
import { isObject } from './asl/paths.ts';
import { type Json, type JsonObject, StatesError, type TaskCall } from './asl/types.ts';
import type { Attempt, JobOutcome, JobRunner } from './jobs.ts';
import { LOCAL_REGION, type LocalFunction, type LocalPipeline, type RetryStrategy } from './template.ts';

const LAMBDA = 'arn:aws:states:::lambda:invoke';
const BATCH = 'arn:aws:states:::batch:submitJob.sync';
const SAGEMAKER = 'arn:aws:states:::sagemaker:createTrainingJob.sync';

/**
 * The parameters that each resource may have: `true` allows any value; `ignored` marks what has no meaning without AWS
 * (images, roles, instance types). Everything else is refused before the run begins.
 */
type Known = { [name: string]: true | 'ignored' | Known };
const KNOWN: Record<string, Known> = {
  [LAMBDA]: { FunctionName: true, Payload: true },
  [BATCH]: {
    JobName: true,
    JobDefinition: true,
    JobQueue: true,
    ContainerOverrides: { Environment: true },
    Tags: 'ignored',
  },
  [SAGEMAKER]: {
    TrainingJobName: true,
    AlgorithmSpecification: {
      ContainerEntrypoint: true,
      ContainerArguments: true,
      TrainingImage: 'ignored',
      TrainingInputMode: 'ignored',
    },
    Environment: true,
    StoppingCondition: { MaxRuntimeInSeconds: true, MaxWaitTimeInSeconds: 'ignored' },
    EnableManagedSpotTraining: 'ignored',
    CheckpointConfig: 'ignored',
    OutputDataConfig: 'ignored',
    ResourceConfig: 'ignored',
    RoleArn: 'ignored',
    Tags: 'ignored',
  },
};

/** @returns what is wrong with a Task's Resource or Parameters, or undefined when it can be run. */
export function taskProblem(resource: string, parameters: Json | undefined): string | undefined {
  const known = KNOWN[resource];
  if (!known) return `Resource: ${resource} is not supported`;
  const unknown = unknownField(parameters ?? {}, known, 'Parameters');
  return unknown && `${unknown}: not supported for ${resource}`;
}

function unknownField(value: Json, known: Known, where: string): string | undefined {
  if (!isObject(value)) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const rule = known[name.replace(/\.\$$/, '')];
    if (rule === undefined) return `${where}.${name}`;
    const found = typeof rule === 'object' ? unknownField(inner, rule, `${where}.${name}`) : undefined;
    if (found) return found;
  }
  return undefined;
}

export interface TaskOptions {
  pipeline: LocalPipeline;
  jobs: JobRunner;
  /** Contains `<folder>/index.ts` for each function. */
  functionsDirectory: string;
  /** Variables that every function gets besides its own. */
  environment: Record<string, string>;
}

/** Runs Task states, and remembers for each Cause that it produces the error to show to people. */
export class Tasks {
  private readonly options: TaskOptions;
  private readonly failures = new Map<string, MatesError>();
  /** The most recent failure. This is why a distributed map stopped, which the map's own cause does not say. */
  lastFailure: MatesError | undefined;
  /** Functions share this process's environment, so they run one after the other. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: TaskOptions) {
    this.options = options;
  }

  /** The error behind a Cause that a task gave. */
  failureBehind(cause: string | undefined): MatesError | undefined {
    return cause === undefined ? undefined : this.failures.get(cause);
  }

  async run(call: TaskCall): Promise<Json> {
    const parameters = call.parameters as JsonObject;
    switch (call.resource) {
      case LAMBDA:
        return this.invoke(parameters);
      case BATCH:
        return this.submitJob(call, parameters);
      case SAGEMAKER:
        return this.train(call, parameters);
      default:
        throw new StatesError('States.Runtime', `${call.resource} is not supported`);
    }
  }

  private async invoke({ FunctionName, Payload = {} }: JsonObject): Promise<Json> {
    const name = String(FunctionName)
      .replace(/^arn:[^:]+:lambda:[^:]*:\d*:function:/, '')
      .split(':')[0]!;
    const found = this.options.pipeline.functions.get(name);
    if (!found) throw new StatesError('Lambda.ResourceNotFoundException', `Function not found: ${FunctionName}`);
    const turn = this.turn.then(() => this.callHandler(found, Payload));
    this.turn = turn.catch(() => undefined);
    try {
      return { ExecutedVersion: '$LATEST', Payload: await turn, StatusCode: 200 };
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      const trace = (error.stack ?? '').split('\n');
      const cause = JSON.stringify({ errorType: error.name, errorMessage: error.message, trace });
      const explained = explainSystemError(error);
      const shown =
        error instanceof MatesError
          ? error
          : (explained && new RunError(explained)) || errorNamed(error.name, error.message);
      throw this.failed(error.name, cause, shown);
    }
  }

  private async callHandler({ folder, environment }: LocalFunction, payload: Json): Promise<Json> {
    const restore = setEnvironment({ ...this.options.environment, ...environment });
    try {
      const url = pathToFileURL(`${this.options.functionsDirectory}/${folder}/index.ts`).href;
      const module = (await import(url)) as { handler(event: Json, context: object): Promise<unknown> };
      const answer = await module.handler(structuredClone(payload), { functionName: folder });
      return answer === undefined ? null : (JSON.parse(JSON.stringify(answer)) as Json);
    } finally {
      restore();
    }
  }

  private async submitJob(call: TaskCall, parameters: JsonObject): Promise<Json> {
    const { JobName, JobDefinition, JobQueue } = parameters as Record<string, string>;
    const definition = this.options.pipeline.jobDefinitions.get(JobDefinition!);
    if (!definition) throw new StatesError('Batch.ClientException', `JobDefinition ${JobDefinition} does not exist`);
    if (!/^[A-Za-z0-9][\w-]{0,127}$/.test(JobName!))
      throw new StatesError('Batch.ClientException', `Job name should match valid pattern: ${JobName}`);
    const overrides = (parameters.ContainerOverrides ?? {}) as JsonObject;
    // The service's limit, because of which a job's inputs are URIs and counters.
    if (JSON.stringify(overrides).length > 8192)
      throw new StatesError('Batch.ClientException', 'Container Overrides length must be at most 8192');
    const variables = (overrides.Environment ?? []) as { Name: string; Value: string }[];
    const id = randomUUID();
    const environment = {
      ...definition.environment,
      ...Object.fromEntries(variables.map(({ Name, Value }) => [Name, Value])),
    };
    const createdAt = Date.now();
    const outcome = await this.options.jobs.run({
      label: labelOf(JobName!, call),
      state: call.state,
      items: call.items,
      command: definition.command,
      environment: { ...declared(environment), AWS_BATCH_JOB_ID: id, AWS_BATCH_JQ_NAME: JobQueue!.split('/').pop()! },
      retryStrategy: definition.retryStrategy,
      timeout: definition.timeout,
      signal: call.signal,
    });
    const detail = describeJob(outcome, definition.retryStrategy, {
      JobName: JobName!,
      JobId: id,
      JobQueue: JobQueue!,
      JobDefinition: JobDefinition!,
      CreatedAt: createdAt,
      Command: definition.command,
      Environment: Object.entries(environment).map(([Name, Value]) => ({ Name, Value })),
    });
    // As in Step Functions: a failed job of the .sync pattern is States.TaskFailed, with the job's description as its
    // cause.
    if (outcome.failure) throw this.failed('States.TaskFailed', JSON.stringify(detail), outcome.failure);
    return detail;
  }

  private async train(call: TaskCall, parameters: JsonObject): Promise<Json> {
    const name = parameters.TrainingJobName as string;
    const { ContainerEntrypoint = [], ContainerArguments = [] } = parameters.AlgorithmSpecification as Record<
      string,
      string[]
    >;
    const { MaxRuntimeInSeconds } = (parameters.StoppingCondition ?? {}) as { MaxRuntimeInSeconds?: number };
    const command = [...ContainerEntrypoint, ...ContainerArguments];
    const outcome = await this.options.jobs.run({
      label: labelOf(name, call),
      state: call.state,
      items: call.items,
      command,
      environment: { ...declared((parameters.Environment ?? {}) as Record<string, string>), TRAINING_JOB_NAME: name },
      // To SageMaker, 75 is a failure like any other; our own command restarts itself there (containers/mates-job).
      retryStrategy: {
        attempts: command[0] === 'mates-job' ? 10 : 1,
        evaluateOnExit: [{ action: 'RETRY', onExitCode: String(INTERRUPTED) }, { action: 'EXIT' }],
      },
      timeout: MaxRuntimeInSeconds,
      signal: call.signal,
    });
    const { exitCode, stoppedAt } = outcome.attempts.at(-1)!;
    const status = outcome.failure ? 'Failed' : 'Completed';
    const detail: JsonObject = {
      TrainingJobName: name,
      TrainingJobArn: `arn:aws:sagemaker:local:000000000000:training-job/${name}`,
      TrainingJobStatus: status,
      SecondaryStatus: status,
      TrainingEndTime: stoppedAt,
      ...(outcome.failure && { FailureReason: `AlgorithmError: ${outcome.failure.message}, exit code: ${exitCode}` }),
    };
    if (outcome.failure) throw this.failed('States.TaskFailed', JSON.stringify(detail), outcome.failure);
    return detail;
  }

  private failed(error: string, cause: string, shown: MatesError): StatesError {
    this.failures.set(cause, shown);
    this.lastFailure = shown;
    return new StatesError(error, cause);
  }
}

/**
 * The variables that a job gets. The stand-in region is left out, so that the user's own applies, which `s3://` needs.
 */
function declared({ AWS_REGION: region, ...environment }: Record<string, string>): Record<string, string> {
  return region === undefined || region === LOCAL_REGION ? environment : { AWS_REGION: region, ...environment };
}

/** The answer of DescribeJobs, with field names capitalised as in Step Functions. */
function describeJob(
  { attempts, failure }: JobOutcome,
  { attempts: most }: RetryStrategy,
  { Command, Environment, ...submitted }: JsonObject,
): JsonObject {
  const container = ({ exitCode }: Attempt) => ({ ExitCode: exitCode });
  const last = attempts.at(-1)!;
  return {
    ...submitted,
    Status: failure ? 'FAILED' : 'SUCCEEDED',
    StatusReason: last.statusReason,
    StartedAt: last.startedAt,
    StoppedAt: last.stoppedAt,
    RetryStrategy: { Attempts: most },
    Attempts: attempts.map((attempt) => ({
      Container: container(attempt),
      StartedAt: attempt.startedAt,
      StatusReason: attempt.statusReason,
      StoppedAt: attempt.stoppedAt,
    })),
    Container: { Command: Command!, Environment: Environment!, ...container(last) },
  };
}

/** On AWS the jobs of a map share a name and their ids tell them apart; here the items' numbers do. */
function labelOf(name: string, { items }: TaskCall): string {
  return [name, ...items].join('.');
}

/** Sets variables of this process, and returns a function that restores them. */
function setEnvironment(variables: Record<string, string>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
