/** SageMaker training jobs: the container's entry point as a process, with the environment that the job declares. */
import { type RunningAttempt, startAttempt } from './process.ts';
import {
  type Host,
  nextFault,
  type Operation,
  type Parameters,
  type ProcessRecord,
  program,
  Refused,
} from './service.ts';

export class SageMaker {
  private readonly host: Host;
  private readonly jobs = new Map<string, Parameters>();
  private readonly attempts = new Map<string, RunningAttempt>();

  constructor(host: Host) {
    this.host = host;
  }

  readonly operations: Record<string, Operation> = {
    CreateTrainingJob: (request) => {
      const { TrainingJobName: name } = request;
      if (this.jobs.has(name))
        throw new Refused('ResourceInUse', 'Training job names must be unique within an AWS account and region.');
      if (!/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(name))
        throw new Refused('ValidationException', `TrainingJobName ${name} is not valid`);
      const job = {
        ...request,
        TrainingJobArn: `arn:aws:sagemaker:us-east-1:000000000000:training-job/${name}`,
        TrainingJobStatus: 'InProgress',
        SecondaryStatus: 'Starting',
        CreationTime: Date.now() / 1000,
      };
      this.jobs.set(name, job);
      void this.run(name, job);
      return { TrainingJobArn: job.TrainingJobArn };
    },
    DescribeTrainingJob: ({ TrainingJobName }) => this.find(TrainingJobName),
    StopTrainingJob: ({ TrainingJobName }) => {
      const job = this.find(TrainingJobName);
      if (job.TrainingJobStatus !== 'InProgress')
        throw new Refused(
          'ValidationException',
          `The request was rejected: the training job is ${job.TrainingJobStatus}.`,
        );
      job.TrainingJobStatus = 'Stopping';
      this.attempts.get(TrainingJobName)?.stop();
      return {};
    },
    ListTrainingJobs: ({ NameContains = '', StatusEquals }) => ({
      TrainingJobSummaries: [...this.jobs.values()]
        .filter((job) => job.TrainingJobName.includes(NameContains))
        .filter((job) => !StatusEquals || job.TrainingJobStatus === StatusEquals)
        .map(({ TrainingJobName, TrainingJobArn, TrainingJobStatus, CreationTime }) => ({
          TrainingJobName,
          TrainingJobArn,
          TrainingJobStatus,
          CreationTime,
        })),
    }),
    ListTags: () => ({ Tags: [] }),
  };

  private async run(name: string, job: Parameters): Promise<void> {
    await this.host.slots.acquire();
    try {
      const command: string[] = [
        ...(job.AlgorithmSpecification.ContainerEntrypoint ?? []),
        ...(job.AlgorithmSpecification.ContainerArguments ?? []),
      ];
      const environment: Record<string, string> = job.Environment ?? {};
      const task = command[1] ?? '';
      const record: ProcessRecord = {
        service: 'sagemaker',
        job: name,
        name,
        task,
        attempt: 1,
        startedAt: Date.now(),
        environment,
        log: [],
      };
      this.host.processes.push(record);
      if (job.TrainingJobStatus === 'Stopping') return this.finish(job, 'Stopped');
      job.SecondaryStatus = 'Training';
      const attempt = startAttempt({
        command: program(command),
        cwd: this.host.cwd,
        environment: {
          ...this.host.environment,
          ...environment,
          TRAINING_JOB_NAME: name,
          AWS_SDK_UA_APP_ID: `sagemaker.${task}`,
        },
        timeoutSeconds: job.StoppingCondition?.MaxRuntimeInSeconds,
        graceSeconds: this.host.graceSeconds,
        fault: nextFault(this.host, task, environment),
        onStart: (pid) => {
          record.pid = pid;
        },
        onLine: (line) => {
          if (record.log.push(line) > 200) record.log.shift();
        },
      });
      this.attempts.set(name, attempt);
      const { exitCode, statusReason } = await attempt.ended;
      Object.assign(record, { exitCode, statusReason, stoppedAt: Date.now() });
      if (job.TrainingJobStatus === 'Stopping') this.finish(job, 'Stopped');
      else if (exitCode === 0) this.finish(job, 'Completed');
      else this.finish(job, 'Failed', `AlgorithmError: ${record.log.at(-1) ?? ''}, exit code: ${exitCode}`);
    } finally {
      this.attempts.delete(name);
      this.host.slots.release();
    }
  }

  private finish(job: Parameters, status: string, FailureReason?: string): void {
    const end = { TrainingEndTime: Date.now() / 1000, LastModifiedTime: Date.now() / 1000 };
    Object.assign(job, { ...end, TrainingJobStatus: status, SecondaryStatus: status, FailureReason });
  }

  private find(name: string): Parameters {
    const job = this.jobs.get(name);
    if (!job) throw new Refused('ValidationException', `Requested resource not found: training job ${name}`);
    return job;
  }
}
