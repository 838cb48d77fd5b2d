/**
 * What an API call demands of its caller's policy, from the services' authorization references:
 * https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
 */
import type { Demand } from './evaluate.ts';

/** A call as record_calls.py writes it. */
export interface Call {
  /** `function.<folder>`, `batch.<task>` or `sagemaker.<task>`, where the caller says so. */
  who: string | null;
  /** ARN of the role whose credentials the call was made with, where LocalStack has assumed one. */
  role: string | null;
  service: string;
  operation: string;
  // biome-ignore lint/suspicious/noExplicitAny: the requests of twenty operations
  parameters: Record<string, any>;
}

type Parameters = Call['parameters'];

const onObject =
  (action: string) =>
  ({ Bucket, Key }: Parameters): Demand[] => [{ action, resource: `arn:aws:s3:::${Bucket}/${Key}` }];
/** One that is written with tags. */
const onNewObject = (parameters: Parameters): Demand[] => [
  ...onObject('s3:PutObject')(parameters),
  ...(parameters.Tagging ? onObject('s3:PutObjectTagging')(parameters) : []),
];
const onField =
  (action: string, field: string) =>
  (parameters: Parameters): Demand[] => [{ action, resource: parameters[field] }];

const trainingJob = ({ TrainingJobName }: Parameters) =>
  `arn:aws:sagemaker:us-east-1:000000000000:training-job/${TrainingJobName}`;

const DEMANDS: Record<string, (parameters: Parameters) => Demand[]> = {
  's3.GetObject': onObject('s3:GetObject'),
  's3.HeadObject': onObject('s3:GetObject'),
  's3.PutObject': onNewObject,
  's3.CreateMultipartUpload': onNewObject,
  's3.UploadPart': onObject('s3:PutObject'),
  's3.CompleteMultipartUpload': onObject('s3:PutObject'),
  's3.AbortMultipartUpload': onObject('s3:AbortMultipartUpload'),
  's3.DeleteObject': onObject('s3:DeleteObject'),
  's3.ListObjectsV2': ({ Bucket }) => [{ action: 's3:ListBucket', resource: `arn:aws:s3:::${Bucket}` }],

  // Tags are demanded on what the job is submitted with, which the reference does not say; a refusal names the job
  // definition (https://github.com/wri/gfw-data-api/pull/175). By the reference they are the job's, whose id is not known before.
  'batch.SubmitJob': ({ jobDefinition, jobQueue, tags = {} }) => {
    const context = prefixed('aws:RequestTag/', tags);
    const tagged = [jobDefinition, jobQueue, 'arn:aws:batch:us-east-1:000000000000:job/any'];
    return [
      { action: 'batch:SubmitJob', resource: jobDefinition },
      { action: 'batch:SubmitJob', resource: jobQueue },
      ...(Object.keys(tags).length
        ? tagged.map((resource) => ({ action: 'batch:TagResource', resource, context }))
        : []),
    ];
  },
  'batch.DescribeJobs': () => [{ action: 'batch:DescribeJobs', resource: '*' }],
  'batch.ListJobs': () => [{ action: 'batch:ListJobs', resource: '*' }],

  'sagemaker.CreateTrainingJob': (parameters) => [
    {
      action: 'sagemaker:CreateTrainingJob',
      resource: trainingJob(parameters),
      context: prefixed('aws:RequestTag/', tagsOf(parameters)),
    },
    ...(parameters.Tags?.length ? [{ action: 'sagemaker:AddTags', resource: trainingJob(parameters) }] : []),
    {
      action: 'iam:PassRole',
      resource: parameters.RoleArn,
      context: { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
    },
  ],
  'sagemaker.DescribeTrainingJob': (parameters) => [
    { action: 'sagemaker:DescribeTrainingJob', resource: trainingJob(parameters) },
  ],
  'sagemaker.ListTrainingJobs': () => [{ action: 'sagemaker:ListTrainingJobs', resource: '*' }],

  'lambda.Invoke': onField('lambda:InvokeFunction', 'FunctionName'),
  'stepfunctions.DescribeExecution': onField('states:DescribeExecution', 'executionArn'),
  'cloudformation.DescribeStacks': onField('cloudformation:DescribeStacks', 'StackName'),
};

/** @throws Error for a call whose demands are not known here. */
export function demandsOf({ service, operation, parameters }: Call): Demand[] {
  const demands = DEMANDS[`${service}.${operation}`];
  if (!demands) throw new Error(`It is not known what ${service}.${operation} demands; say so in demands.ts.`);
  return demands(parameters);
}

/** SageMaker's list of tags, by key. */
const tagsOf = ({ Tags = [] }: Parameters): Record<string, string> =>
  Object.fromEntries(Tags.map(({ Key, Value }: { Key: string; Value: string }) => [Key, Value]));

function prefixed(prefix: string, values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [prefix + key, value]));
}
