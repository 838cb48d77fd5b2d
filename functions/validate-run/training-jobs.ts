import type { SageMakerClient, TrainingJobStatus } from '@aws-sdk/client-sagemaker';
import { JOB_VARIABLE } from '../../core/deployed-names.ts';
import { type JobService, type LiveJob, runOfUri } from './job-service.ts';

/** A training job is in one of these until it has ended. */
const LIVE: TrainingJobStatus[] = ['InProgress', 'Stopping'];

/** Loaded on use: the SDK's largest client takes half a second. */
const sdk = () => import('@aws-sdk/client-sagemaker');

/**
 * The training jobs of a run. A job's name contains the run's id, but that of another run or deployment may contain it
 * too: the job's environment identifies the run, and its role the deployment.
 *
 * @param role ARN of the role that the deployment's training jobs have.
 */
export function trainingJobs(role: string, run: string): JobService {
  let client: Promise<SageMakerClient> | undefined;
  const connect = () => {
    client ??= sdk().then(({ SageMakerClient }) => new SageMakerClient({}));
    return client;
  };
  return {
    async live() {
      const { DescribeTrainingJobCommand, paginateListTrainingJobs } = await sdk();
      const sagemaker = await connect();
      const jobs: LiveJob[] = [];
      for (const StatusEquals of LIVE) {
        const pages = paginateListTrainingJobs({ client: sagemaker }, { NameContains: run, StatusEquals });
        const names: string[] = [];
        for await (const { TrainingJobSummaries = [] } of pages)
          names.push(...TrainingJobSummaries.map(({ TrainingJobName }) => TrainingJobName!));
        for (const TrainingJobName of names) {
          const job = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName }));
          const status = job.TrainingJobStatus!;
          if (job.RoleArn === role && runOfUri(job.Environment?.[JOB_VARIABLE.runUri]) === run && LIVE.includes(status))
            jobs.push({ id: TrainingJobName, name: TrainingJobName, status });
        }
      }
      return [...new Map(jobs.map((job) => [job.id, job])).values()]; // a status may change between the listings
    },
    async end({ id, status }) {
      if (status === 'Stopping') return;
      const { StopTrainingJobCommand } = await sdk();
      const sagemaker = await connect();
      try {
        await sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: id }));
      } catch (error) {
        // The service's answer if the job has ended meanwhile; a job that has not ended is in the next listing.
        if ((error as Error).name !== 'ValidationException') throw error;
      }
    },
  };
}
