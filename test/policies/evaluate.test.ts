import { describe, expect, it } from 'vitest';
import { demandsOf } from './demands.ts';
import { covers, type Demand, grantsOf, type Statement } from './evaluate.ts';

const LAKE = 'arn:aws:s3:::lake';
const allow = (
  Action: string | string[],
  Resource: string | string[],
  Condition?: Statement['Condition'],
): Statement => ({
  Effect: 'Allow',
  Action,
  Resource,
  ...(Condition && { Condition }),
});
const allowed = (statements: Statement[], demand: Demand) =>
  grantsOf(statements).some((grant) => covers(grant, demand));

describe('a statement', () => {
  it('is a grant for each of its actions on each of its resources', () => {
    expect(grantsOf([allow(['s3:GetObject', 's3:PutObject'], ['a', 'b']), allow('x:Y', '*')])).toHaveLength(5);
  });

  it.each([
    ['s3:GetObject', `${LAKE}/*`, 's3:GetObject', `${LAKE}/runs/a/run.json`, true],
    ['s3:GetObject', `${LAKE}/*`, 's3:GetObject', LAKE, false],
    ['s3:GetObject', `${LAKE}/*`, 's3:GetObject', 'arn:aws:s3:::lake2/x', false],
    ['s3:GetObject', `${LAKE}/*`, 's3:GetObjectVersion', `${LAKE}/x`, false],
    ['s3:getobject', `${LAKE}/*`, 's3:GetObject', `${LAKE}/x`, true], // actions have no case
    ['s3:PutObject', `${LAKE}/RUNS/*`, 's3:PutObject', `${LAKE}/runs/x`, false], // resources have
    ['s3:PutObject', `${LAKE}/runs/*/stages/*`, 's3:PutObject', `${LAKE}/runs/a/stages/1/control/x`, true],
    ['s3:PutObject', `${LAKE}/runs/*/stages/*`, 's3:PutObject', `${LAKE}/runs/a/run.json`, false],
    ['s3:*', '*', 's3:DeleteObject', `${LAKE}/x`, true],
    ['a:B', 'arn:x:?', 'a:B', 'arn:x:1', true],
    ['a:B', 'arn:x:?', 'a:B', 'arn:x:12', false],
    ['a:B', 'arn.x', 'a:B', 'arn:x', false], // a dot is a dot
  ])('%s on %s allows %s on %s: %s', (action, resource, wanted, on, answer) => {
    expect(allowed([allow(action, resource)], { action: wanted, resource: on })).toBe(answer);
  });

  it('with a condition allows only what meets all of it', () => {
    const statement = allow('batch:TagResource', '*', {
      StringEquals: { 'aws:RequestTag/pipeline': 'P', 'aws:RequestTag/kind': ['a', 'b'] },
    });
    const demand = (context?: Record<string, string>) => ({ action: 'batch:TagResource', resource: 'x', context });
    expect(allowed([statement], demand({ 'aws:RequestTag/pipeline': 'P', 'aws:RequestTag/kind': 'b' }))).toBe(true);
    expect(allowed([statement], demand({ 'aws:RequestTag/pipeline': 'Q', 'aws:RequestTag/kind': 'b' }))).toBe(false);
    expect(allowed([statement], demand({ 'aws:RequestTag/pipeline': 'P' }))).toBe(false);
    expect(allowed([statement], demand())).toBe(false);
    const like = allow('a:B', '*', { StringLike: { key: 'runs/*' } });
    expect(allowed([like], { action: 'a:B', resource: 'x', context: { key: 'runs/1' } })).toBe(true);
  });

  it('that is not understood is refused, never misread', () => {
    expect(() => grantsOf([{ ...allow('a:B', '*'), Effect: 'Deny' }])).toThrow(/Deny is not evaluated/);
    expect(() => grantsOf([{ Effect: 'Allow', NotAction: 'a:B', Resource: '*' } as never])).toThrow(/NotAction/);
    const [grant] = grantsOf([allow('a:B', '*', { Bool: { 'aws:SecureTransport': 'true' } })]);
    expect(() => covers(grant!, { action: 'a:B', resource: 'x' })).toThrow(/Bool is not evaluated/);
  });
});

describe('a call', () => {
  const call = (service: string, operation: string, parameters: object) =>
    demandsOf({ who: null, role: null, service, operation, parameters });

  it('of S3 demands its action on the object or bucket', () => {
    expect(call('s3', 'HeadObject', { Bucket: 'lake', Key: 'a/b' })).toEqual([
      { action: 's3:GetObject', resource: `${LAKE}/a/b` },
    ]);
    expect(call('s3', 'ListObjectsV2', { Bucket: 'lake', Prefix: 'a/' })).toEqual([
      { action: 's3:ListBucket', resource: LAKE },
    ]);
  });

  it('may demand several things', () => {
    const submitted = call('batch', 'SubmitJob', {
      jobDefinition: 'd',
      jobQueue: 'q',
      tags: { 'mates:pipeline': 'P' },
    });
    expect(submitted.map(({ action, resource }) => [action, resource])).toEqual([
      ['batch:SubmitJob', 'd'],
      ['batch:SubmitJob', 'q'],
      ['batch:TagResource', 'd'],
      ['batch:TagResource', 'q'],
      ['batch:TagResource', expect.stringContaining(':job/')],
    ]);
    expect(submitted[2]!.context).toEqual({ 'aws:RequestTag/mates:pipeline': 'P' });
    expect(call('sagemaker', 'CreateTrainingJob', { TrainingJobName: 'j', RoleArn: 'r' })).toContainEqual({
      action: 'iam:PassRole',
      resource: 'r',
      context: { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
    });
  });

  it('of an unknown operation is an error', () => {
    expect(() => call('s3', 'PutBucketPolicy', {})).toThrow(/not known what s3.PutBucketPolicy demands/);
  });
});
