/** Names that those who deploy the pipeline, or stand in for AWS, share with those who run in it or read from it. */

/** Variables of a job's environment: its inputs. docs/trainer-contract.md describes those that a trainer reads. */
export const JOB_VARIABLE = {
  task: 'MATES_TASK',
  runUri: 'MATES_RUN_URI',
  stage: 'MATES_STAGE',
  arm: 'MATES_ARM',
  /** The item of a Map state, as JSON. */
  item: 'MATES_ITEM',
  /** Hours after which a job that can resume stops by itself. */
  deadlineHours: 'MATES_DEADLINE_HOURS',
} as const;

/** Variables of a function's environment. */
export const FUNCTION_VARIABLE = {
  /** The function's folder. */
  name: 'MATES_FUNCTION',
  lakeBucket: 'MATES_LAKE_BUCKET',
  /** The settings that prices and times depend on, as JSON. */
  deployment: 'MATES_DEPLOYMENT',
  /** ARNs of the job queues, joined by commas. */
  jobQueues: 'MATES_JOB_QUEUES',
  /** ARN of the role that SageMaker's training jobs run as. */
  trainingRole: 'MATES_TRAINING_ROLE',
  /** The trainer's image, where SageMaker cannot run it. */
  notInEcr: 'MATES_NOT_IN_ECR',
  /** Image and command of a trainer of the user's own. */
  trainer: 'MATES_TRAINER',
  stack: 'MATES_STACK',
  jobLogs: 'MATES_JOB_LOGS',
  machineLogs: 'MATES_MACHINE_LOGS',
} as const;

/** Where SageMaker writes the logs of an account's training jobs; the service chose the name. */
export const TRAINING_LOGS = '/aws/sagemaker/TrainingJobs';

/** The tag of a job that names its run. */
export const RUN_TAG = 'mates:run';

/** Outputs of the stacks. */
export const OUTPUT = { machine: 'MachineArn', lake: 'LakeName', dashboard: 'DashboardName' } as const;
