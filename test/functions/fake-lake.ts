/** The first state of the machine over S3 and Step Functions that are not there. */
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { DescribeExecutionCommand, SFNClient } from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach } from 'vitest';
import { handler } from '../../functions/validate-run/index.ts';

export const execution = (name: string) => `arn:aws:states:us-east-1:123456789012:execution:Machine:${name}`;
export const validate = (input: unknown, executionName = 'first') =>
  handler({ input, execution: execution(executionName), executionName });

/** What S3 answers: an error with the service's name for it. */
export const refusal = (name: string, httpStatusCode = 404) =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });

/** Gives each test an empty lake. */
export function fakeLake() {
  const s3 = mockClient(S3Client);
  const sfn = mockClient(SFNClient);
  beforeEach(() => {
    process.env.MATES_LAKE_BUCKET = 'lake-bucket';
    process.env.AWS_REGION ??= 'us-east-1';
    s3.reset();
    sfn.reset();
    s3.on(GetObjectCommand).rejects(refusal('NoSuchKey'));
    s3.on(HeadObjectCommand).rejects(refusal('NotFound'));
    s3.on(ListObjectsV2Command).resolves({ Contents: [] });
    s3.on(PutObjectCommand).resolves({});
  });
  afterEach(() => {
    delete process.env.MATES_LAKE_BUCKET;
  });
  const puts = () => s3.commandCalls(PutObjectCommand).map(({ args }) => args[0].input);

  /** Another execution has worked on the run `r`, with these terms, and failed. */
  const workedOnBefore = (terms: object) => {
    const record = { format: 'mates-execution/1', execution: execution('first'), since: '2026-01-01T00:00:00Z' };
    const Body = {
      transformToByteArray: async () => new TextEncoder().encode(JSON.stringify({ ...record, ...terms })),
    };
    const Key = 'runs/r/executions/00000.json';
    s3.on(ListObjectsV2Command).resolves({ Contents: [{ Key }] });
    s3.on(GetObjectCommand, { Key }).resolves({ Body } as object);
    sfn.on(DescribeExecutionCommand).resolves({ status: 'FAILED' });
  };
  return { s3, sfn, puts, workedOnBefore };
}
