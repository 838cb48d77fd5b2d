import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Arn, ArnFormat, Stack } from 'aws-cdk-lib/core';
import { acknowledge } from '../operations/acknowledge.ts';
import type { Settings } from '../settings.ts';

/** The finding on a policy for the lake's objects, whose ARN the data stack exports. */
const OBJECTS_OF_LAKE = 'AwsSolutions-IAM5[Resource::MatesData:ExportsOutputFnGetAttLake5F1B88EAArn65E67816/*]';

/** Who may do what in the lake: one policy, used by every function and job. */
export class LakeAccess {
  readonly bucket: IBucket;
  private readonly inputBuckets: string[];

  constructor(bucket: IBucket, settings: Settings) {
    this.bucket = bucket;
    this.inputBuckets = settings.inputBuckets;
  }

  /** Lists, reads, writes and deletes objects of the lake, and reads the input buckets; no bucket settings, no versions. */
  grantReadWrite(role: IRole): void {
    const lake = this.bucket.bucketArn;
    acknowledge(role, {
      [OBJECTS_OF_LAKE]: 'The lake holds the runs alone, and a run may read what another has prepared.',
    });
    for (const name of this.inputBuckets)
      acknowledge(role, {
        [`AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::${name}/*]`]: 'Named by inputBuckets.',
      });
    const inputs = this.inputBuckets.map((name) =>
      Arn.format(
        { service: 's3', region: '', account: '', resource: name, arnFormat: ArnFormat.NO_RESOURCE_NAME },
        Stack.of(role),
      ),
    );
    role.addToPrincipalPolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [lake, ...inputs] }));
    role.addToPrincipalPolicy(
      new PolicyStatement({
        // Delete: superseded partial checkpoints go as soon as a newer one is whole.
        actions: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
        resources: [`${lake}/*`],
      }),
    );
    if (inputs.length)
      role.addToPrincipalPolicy(
        new PolicyStatement({ actions: ['s3:GetObject'], resources: inputs.map((arn) => `${arn}/*`) }),
      );
  }

  /** Reads objects of the lake: the machine itself reads the maps' items. */
  grantRead(role: IRole): void {
    acknowledge(role, { [OBJECTS_OF_LAKE]: "The planner writes the maps' items into each run's folder." });
    role.addToPrincipalPolicy(
      new PolicyStatement({ actions: ['s3:GetObject'], resources: [`${this.bucket.bucketArn}/*`] }),
    );
  }
}
