import { expect, it } from 'vitest';
import { normalized, resources, synthesize } from './templates.ts';

const { dataTemplate } = synthesize();
const [bucket] = resources(dataTemplate, 'AWS::S3::Bucket');

it('keeps the lake when the stack goes', () => {
  const lake = Object.values(dataTemplate.Resources).find(({ Type }) => Type === 'AWS::S3::Bucket')!;
  expect([lake.DeletionPolicy, lake.UpdateReplacePolicy]).toEqual(['Retain', 'Retain']);
});

it('deletes the lake with everything in it when told to', () => {
  const { dataTemplate: trial } = synthesize({ retain: 'false' });
  const lake = Object.values(trial.Resources).find(({ Type }) => Type === 'AWS::S3::Bucket')!;
  expect(lake.DeletionPolicy).toBe('Delete');
  expect(resources(trial, 'Custom::S3AutoDeleteObjects')).toHaveLength(1);
});

it('encrypts, versions and closes the lake', () => {
  expect(bucket.BucketEncryption.ServerSideEncryptionConfiguration).toEqual([
    { ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } },
  ]);
  expect(bucket.VersioningConfiguration).toEqual({ Status: 'Enabled' });
  expect(bucket.PublicAccessBlockConfiguration).toEqual({
    BlockPublicAcls: true,
    BlockPublicPolicy: true,
    IgnorePublicAcls: true,
    RestrictPublicBuckets: true,
  });
});

it('refuses plain HTTP and old TLS', () => {
  const [policy] = resources(dataTemplate, 'AWS::S3::BucketPolicy');
  const denied = policy.PolicyDocument.Statement.filter(({ Effect }: { Effect: string }) => Effect === 'Deny');
  expect(denied.map(({ Condition }: { Condition: unknown }) => Condition)).toEqual([
    { Bool: { 'aws:SecureTransport': 'false' } },
    { NumericLessThan: { 's3:TlsVersion': 1.2 } },
  ]);
});

it('cleans up old versions and abandoned uploads', () => {
  const rules = bucket.LifecycleConfiguration.Rules;
  expect(rules).toContainEqual(expect.objectContaining({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }));
  expect(rules).toContainEqual(expect.objectContaining({ NoncurrentVersionExpiration: { NoncurrentDays: 14 } }));
  expect(rules).toContainEqual(
    expect.objectContaining({
      NoncurrentVersionExpiration: { NoncurrentDays: 1 },
      TagFilters: [{ Key: 'mates-partial', Value: 'true' }],
    }),
  );
  for (const rule of rules) expect(rule.ExpirationInDays).toBeUndefined(); // a run is never deleted by age
});

it('is what was reviewed', () => {
  expect(normalized(dataTemplate)).toMatchSnapshot();
});
