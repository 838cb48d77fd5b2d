/** A service that runs jobs, as seen by code that takes over a run or stops it. */

export interface LiveJob {
  /** Unique within its service. */
  id: string;
  name: string;
  status: string;
  /** Why it is waiting, or why its last attempt ended, in the service's words. */
  reason?: string;
}

/** Batch or SageMaker, for the jobs of one run. */
export interface JobService {
  /** The jobs that have not ended, whichever execution started them, including children of Distributed Maps. */
  live(): Promise<LiveJob[]>;
  /** Tells a job to end; one that has ended meanwhile stays as it is. */
  end(job: LiveJob, reason: string): Promise<void>;
}

/** The id of the run in its folder's URI, `s3://bucket/runs/<id>`. */
export const runOfUri = (uri: string | undefined) => uri?.split('/').at(-1);
