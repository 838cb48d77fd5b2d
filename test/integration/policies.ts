/** What the deployed roles may do in the lake, read from the assembly that was deployed. */
import { readFileSync } from 'node:fs';
import type { Template } from '../../lib/synthesize.ts';

/** An action on the lake: on the bucket itself or on its objects. */
export type Permission = `s3:${string} on ${'bucket' | 'objects'}`;

interface Statement {
  Action: string | string[];
  Resource: unknown;
}

interface Policy {
  Roles: { Ref: string }[];
  PolicyDocument: { Statement: Statement[] };
}

interface LambdaFunction {
  Role: { 'Fn::GetAtt': [string, string] };
  Environment?: { Variables: Record<string, string> };
}

/** Permissions in the lake by who has them: `function.<folder>`, `batch` and `sagemaker`, as record_calls.py names them. */
export function lakePermissions(assembly: string): Map<string, Set<Permission>> {
  const { Resources }: Template = JSON.parse(readFileSync(`${assembly}/MatesPipeline.template.json`, 'utf8'));
  const byRole = new Map<string, Permission[]>();
  for (const { Type, Properties } of Object.values(Resources)) {
    if (Type !== 'AWS::IAM::Policy') continue;
    const { Roles, PolicyDocument } = Properties as unknown as Policy;
    for (const { Ref } of Roles)
      byRole.set(Ref, [...(byRole.get(Ref) ?? []), ...PolicyDocument.Statement.flatMap(inLake)]);
  }
  const permissions = new Map<string, Set<Permission>>();
  const add = (who: string, role: string) => permissions.set(who, new Set(byRole.get(role)));
  for (const [id, { Type, Properties }] of Object.entries(Resources)) {
    if (Type === 'AWS::IAM::Role' && id.startsWith('JobRolesJob')) add('batch', id);
    if (Type === 'AWS::IAM::Role' && id.startsWith('JobRolesTraining')) add('sagemaker', id);
    if (Type !== 'AWS::Lambda::Function') continue;
    const { Role, Environment } = Properties as unknown as LambdaFunction;
    const folder = Environment?.Variables.MATES_FUNCTION;
    if (folder) add(`function.${folder}`, Role['Fn::GetAtt'][0]);
  }
  return permissions;
}

function inLake({ Action, Resource }: Statement): Permission[] {
  const resources = [Resource].flat().map((one) => JSON.stringify(one));
  const kinds = resources
    .filter((text) => /FnGetAttLake\w*Arn/.test(text))
    .map((text) => (text.includes('/*') ? 'objects' : 'bucket') as 'bucket' | 'objects');
  return [Action]
    .flat()
    .filter((action) => action.startsWith('s3:'))
    .flatMap((action) => kinds.map((kind): Permission => `${action as `s3:${string}`} on ${kind}`));
}

/** The permission that an S3 operation needs: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html */
export const NEEDED: Record<string, Permission> = {
  GetObject: 's3:GetObject on objects',
  HeadObject: 's3:GetObject on objects',
  PutObject: 's3:PutObject on objects',
  CreateMultipartUpload: 's3:PutObject on objects',
  UploadPart: 's3:PutObject on objects',
  CompleteMultipartUpload: 's3:PutObject on objects',
  AbortMultipartUpload: 's3:AbortMultipartUpload on objects',
  DeleteObject: 's3:DeleteObject on objects',
  ListObjectsV2: 's3:ListBucket on bucket',
};

/** Why something may be granted that the tests' runs do not use. */
export function reasonFor(who: string, permission: Permission): string | undefined {
  if (who === 'sagemaker') return 'The same container as on Batch; interruptions.test.ts trains there.';
  if (permission === 's3:ListBucket on bucket')
    return 'Without it S3 answers 403 instead of 404 where there is no such object.';
  if (permission === 's3:AbortMultipartUpload on objects') return 'Only an upload in parts that fails needs it.';
  if (who.startsWith('function.')) return 'Functions share one policy; see lib/compute/lake-access.ts.';
  return undefined;
}
