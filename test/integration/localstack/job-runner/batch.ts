/**
 * AWS Batch, as far as CloudFormation, Step Functions and `mates stop` use it: environments and queues are records,
 * a job is a process. https://docs.aws.amazon.com/batch/latest/APIReference
 */
import { randomUUID } from 'node:crypto';
import { EXITED, type RunningAttempt, startAttempt } from './process.ts';
import {
  type Host,
  nextFault,
  type Operation,
  type Parameters,
  type ProcessRecord,
  program,
  Refused,
} from './service.ts';

type Status = 'SUBMITTED' | 'RUNNABLE' | 'STARTING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED';

interface Attempt {
  container: { exitCode?: number; reason?: string; logStreamName: string };
  startedAt: number;
  stoppedAt: number;
  statusReason: string;
}

interface Job {
  jobId: string;
  jobArn: string;
  jobName: string;
  jobQueue: string;
  jobDefinition: string;
  status: Status;
  statusReason?: string;
  createdAt: number;
  startedAt?: number;
  stoppedAt?: number;
  attempts: Attempt[];
  parameters: Record<string, string>;
  retryStrategy: { attempts?: number; evaluateOnExit?: ExitRule[] };
  timeout?: { attemptDurationSeconds: number };
  tags: Record<string, string>;
  container: Parameters;
}

export interface ExitRule {
  action: string;
  onExitCode?: string;
  onReason?: string;
  onStatusReason?: string;
}

interface Control {
  attempt?: RunningAttempt;
  /** The reason given with TerminateJob or CancelJob. */
  terminated?: string;
}

export class Batch {
  private readonly host: Host;
  private readonly environments = new Map<string, Parameters>();
  private readonly queues = new Map<string, Parameters>();
  private readonly definitions = new Map<string, Parameters>();
  private readonly jobs = new Map<string, Job>();
  private readonly controls = new Map<string, Control>();

  constructor(host: Host) {
    this.host = host;
  }

  readonly operations: Record<string, Operation> = {
    createcomputeenvironment: (request) => {
      const computeEnvironmentArn = arn('compute-environment', request.computeEnvironmentName);
      this.environments.set(computeEnvironmentArn, ready({ ...request, computeEnvironmentArn }));
      return { computeEnvironmentArn, computeEnvironmentName: request.computeEnvironmentName };
    },
    updatecomputeenvironment: (request) => {
      const found = this.find(this.environments, request.computeEnvironment, 'computeEnvironment');
      Object.assign(found, request);
      return { computeEnvironmentArn: found.computeEnvironmentArn };
    },
    describecomputeenvironments: ({ computeEnvironments }) => ({
      computeEnvironments: named(this.environments, computeEnvironments, 'computeEnvironmentName'),
    }),
    deletecomputeenvironment: ({ computeEnvironment }) => this.remove(this.environments, computeEnvironment),
    createjobqueue: (request) => {
      for (const { computeEnvironment } of request.computeEnvironmentOrder)
        this.find(this.environments, computeEnvironment, 'computeEnvironment');
      const jobQueueArn = arn('job-queue', request.jobQueueName);
      this.queues.set(jobQueueArn, ready({ ...request, jobQueueArn }));
      return { jobQueueArn, jobQueueName: request.jobQueueName };
    },
    updatejobqueue: (request) => {
      const found = this.find(this.queues, request.jobQueue, 'jobQueue');
      Object.assign(found, request);
      return { jobQueueArn: found.jobQueueArn };
    },
    describejobqueues: ({ jobQueues }) => ({ jobQueues: named(this.queues, jobQueues, 'jobQueueName') }),
    deletejobqueue: ({ jobQueue }) => this.remove(this.queues, jobQueue),
    registerjobdefinition: (request) => {
      const { jobDefinitionName } = request;
      const earlier = [...this.definitions.values()].filter((one) => one.jobDefinitionName === jobDefinitionName);
      const revision = earlier.length + 1;
      const jobDefinitionArn = arn('job-definition', `${jobDefinitionName}:${revision}`);
      this.definitions.set(jobDefinitionArn, { ...request, revision, status: 'ACTIVE', jobDefinitionArn });
      return { jobDefinitionArn, jobDefinitionName, revision };
    },
    describejobdefinitions: ({ jobDefinitions }) => ({
      jobDefinitions: named(this.definitions, jobDefinitions, 'jobDefinitionName'),
    }),
    deregisterjobdefinition: ({ jobDefinition }) => {
      this.find(this.definitions, jobDefinition, 'jobDefinition').status = 'INACTIVE';
      return {};
    },
    submitjob: (request) => this.submit(request),
    describejobs: ({ jobs }) => ({ jobs: (jobs as string[]).flatMap((id) => this.jobs.get(id) ?? []) }),
    listjobs: (request) => this.list(request),
    // A job that has ended stays as it is; both calls succeed then, as the service's do.
    terminatejob: ({ jobId, reason }) => this.end(jobId, reason, true),
    canceljob: ({ jobId, reason }) => this.end(jobId, reason, false),
    tagresource: ({ tags }, resource = '') => {
      const job = [...this.jobs.values()].find(({ jobArn }) => jobArn === resource);
      if (job) Object.assign(job.tags, tags);
      return {};
    },
  };

  private submit(request: Parameters): object {
    const { jobName, jobQueue, jobDefinition, containerOverrides: over = {} } = request;
    if (!/^[A-Za-z0-9][\w-]{0,127}$/.test(jobName ?? ''))
      throw new Refused('ClientException', `Job name should match valid pattern, but was ${jobName}`);
    const queue = this.find(this.queues, jobQueue, 'jobQueue');
    const definition = this.find(this.definitions, jobDefinition, 'jobDefinition');
    if (definition.status !== 'ACTIVE')
      throw new Refused('ClientException', `JobDefinition ${jobDefinition} is not active.`);
    if (JSON.stringify(over).length > 8192)
      throw new Refused('ClientException', 'Container Overrides length must be at most 8192');
    const base = definition.containerProperties;
    const jobId = randomUUID();
    const job: Job = {
      jobId,
      jobArn: arn('job', jobId),
      jobName,
      jobQueue: queue.jobQueueArn,
      jobDefinition: definition.jobDefinitionArn,
      status: 'SUBMITTED',
      createdAt: Date.now(),
      attempts: [],
      parameters: { ...definition.parameters, ...request.parameters },
      retryStrategy: request.retryStrategy ?? definition.retryStrategy ?? {},
      timeout: request.timeout ?? definition.timeout,
      tags: { ...(definition.propagateTags && definition.tags), ...request.tags },
      container: {
        image: base.image,
        jobRoleArn: base.jobRoleArn,
        command: over.command ?? base.command ?? [],
        environment: merged(base.environment, over.environment),
        resourceRequirements: over.resourceRequirements ?? base.resourceRequirements,
        logStreamName: `${definition.jobDefinitionName}/default/${jobId}`,
      },
    };
    this.jobs.set(jobId, job);
    const control: Control = {};
    this.controls.set(jobId, control);
    void this.run(job, control);
    return { jobId, jobName, jobArn: job.jobArn };
  }

  private async run(job: Job, control: Control): Promise<void> {
    const most = job.retryStrategy.attempts ?? 1;
    for (let number = 1; number <= most && !control.terminated; number++) {
      job.status = 'RUNNABLE';
      await this.host.slots.acquire();
      try {
        if (control.terminated) break;
        const { retry } = await this.attempt(job, control, number);
        if (!retry) break;
      } finally {
        this.host.slots.release();
      }
    }
    job.stoppedAt = Date.now();
    if (control.terminated) job.statusReason = control.terminated;
    job.status = job.container.exitCode === 0 && !control.terminated ? 'SUCCEEDED' : 'FAILED';
  }

  private async attempt(job: Job, control: Control, number: number): Promise<{ retry: boolean }> {
    const command = (job.container.command as string[]).map((word) =>
      word.startsWith('Ref::') ? (job.parameters[word.slice(5)] ?? word) : word,
    );
    const environment: Record<string, string> = Object.fromEntries(
      job.container.environment.map(({ name, value }: { name: string; value: string }) => [name, value]),
    );
    const startedAt = Date.now();
    job.startedAt ??= startedAt;
    job.status = 'STARTING';
    const task = command[1] ?? '';
    const record: ProcessRecord = {
      service: 'batch',
      job: job.jobId,
      name: job.jobName,
      task,
      attempt: number,
      startedAt,
      environment,
      log: [],
    };
    this.host.processes.push(record);
    control.attempt = startAttempt({
      command: program(command),
      cwd: this.host.cwd,
      environment: {
        ...this.host.environment,
        ...environment,
        AWS_SDK_UA_APP_ID: `batch.${task}`, // for record_calls.py
        AWS_BATCH_JOB_ID: job.jobId,
        AWS_BATCH_JOB_ATTEMPT: String(number),
        AWS_BATCH_JQ_NAME: job.jobQueue.split('/').at(-1)!,
      },
      timeoutSeconds: job.timeout?.attemptDurationSeconds,
      graceSeconds: this.host.graceSeconds,
      fault: nextFault(this.host, task, environment),
      onStart: (pid) => {
        record.pid = pid;
        job.status = 'RUNNING';
      },
      onLine: (line) => {
        if (record.log.push(line) > 200) record.log.shift();
      },
    });
    const { exitCode, statusReason, reason, timedOut } = await control.attempt.ended;
    control.attempt = undefined;
    const stoppedAt = Date.now();
    Object.assign(record, { exitCode, statusReason, stoppedAt });
    const container = { exitCode, reason, logStreamName: job.container.logStreamName };
    job.attempts.push({ container, startedAt, stoppedAt, statusReason });
    Object.assign(job.container, { exitCode, reason });
    job.statusReason = statusReason;
    const ok = exitCode === 0;
    // Batch does not retry what timed out or was terminated.
    return { retry: !ok && !timedOut && !control.terminated && retries(job.retryStrategy.evaluateOnExit, job) };
  }

  private end(jobId: string, reason: string, running: boolean): object {
    const job = this.jobs.get(jobId);
    const control = this.controls.get(jobId);
    if (!job || !control || job.stoppedAt !== undefined) return {};
    if (!running && !['SUBMITTED', 'RUNNABLE'].includes(job.status)) return {};
    control.terminated = reason;
    control.attempt?.stop();
    return {};
  }

  private list({ jobQueue, jobStatus, filters = [] }: Parameters): object {
    const queue = this.find(this.queues, jobQueue, 'jobQueue').jobQueueArn;
    const name = filters.find((filter: Parameters) => filter.name === 'JOB_NAME')?.values[0] as string | undefined;
    // The service lists running jobs unless a status or a filter is named.
    const status = jobStatus ?? (filters.length ? undefined : 'RUNNING');
    const jobSummaryList = [...this.jobs.values()]
      .filter(
        (job) => job.jobQueue === queue && (!status || job.status === status) && (!name || glob(name, job.jobName)),
      )
      .map(({ jobId, jobArn, jobName, status, statusReason, createdAt, startedAt, stoppedAt, jobDefinition }) => ({
        jobId,
        jobArn,
        jobName,
        status,
        statusReason,
        createdAt,
        startedAt,
        stoppedAt,
        jobDefinition,
      }));
    return { jobSummaryList };
  }

  private find(map: Map<string, Parameters>, id: string, kind: string): Parameters {
    const found = map.get(id) ?? [...map.values()].findLast((one) => one[`${kind}Name`] === id);
    if (!found) throw new Refused('ClientException', `${kind} ${id} does not exist`);
    return found;
  }

  private remove(map: Map<string, Parameters>, id: string): object {
    map.delete(id);
    return {};
  }
}

/** Whether the first condition that fits says RETRY; without any that fits, Batch retries. */
export function retries(
  rules: ExitRule[] | undefined,
  { container, statusReason = EXITED }: Pick<Job, 'container' | 'statusReason'>,
): boolean {
  const rule = rules?.find(
    ({ onExitCode, onReason, onStatusReason }) =>
      (!onExitCode || (container.exitCode !== undefined && glob(onExitCode, String(container.exitCode)))) &&
      (!onReason || glob(onReason, container.reason ?? '')) &&
      (!onStatusReason || glob(onStatusReason, statusReason)),
  );
  return rule?.action.toUpperCase() !== 'EXIT';
}

/** Batch's patterns have one asterisk, at their end; they ignore case. */
function glob(pattern: string, text: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), text.toLowerCase()];
  return wanted.endsWith('*') ? given.startsWith(wanted.slice(0, -1)) : given === wanted;
}

const arn = (kind: string, name: string) => `arn:aws:batch:us-east-1:000000000000:${kind}/${name}`;
const ready = (record: Parameters) => ({ ...record, state: 'ENABLED', status: 'VALID' });

function named(map: Map<string, Parameters>, ids: string[] | undefined, key: string): Parameters[] {
  return [...map]
    .filter(([id, one]) => !ids?.length || ids.includes(id) || ids.includes(one[key]))
    .map(([, one]) => one);
}

interface Variable {
  name: string;
  value: string;
}
const merged = (base: Variable[] = [], over: Variable[] = []) => [
  ...base.filter(({ name }) => !over.some((other) => other.name === name)),
  ...over,
];
