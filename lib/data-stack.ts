import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import { PARTIAL_TAG } from '../core/layout.ts';
import { acknowledge } from './operations/acknowledge.ts';
import type { Settings } from './settings.ts';

export interface DataStackProps extends StackProps {
  settings: Settings;
}

/** What must outlive every deployment of the pipeline: the lake with corpora and runs. */
export class DataStack extends Stack {
  readonly lake: Bucket;

  constructor(scope: Construct, id: string, { settings, ...props }: DataStackProps) {
    super(scope, id, { ...props, terminationProtection: settings.retain });
    this.lake = new Bucket(this, 'Lake', {
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      versioned: true,
      lifecycleRules: [
        { id: 'abandoned-uploads', abortIncompleteMultipartUploadAfter: Duration.days(7) },
        // Superseded partial checkpoints are most of what is written, and nobody goes back to one. Where two rules
        // apply, the shorter period counts:
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
        {
          id: 'superseded-checkpoints',
          tagFilters: { [PARTIAL_TAG.key]: PARTIAL_TAG.value },
          noncurrentVersionExpiration: Duration.days(1),
        },
        // For everything else, there are two weeks to undo a mistake.
        {
          id: 'old-versions',
          noncurrentVersionExpiration: Duration.days(14),
          expiredObjectDeleteMarker: true,
        },
      ],
      removalPolicy: settings.retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      autoDeleteObjects: !settings.retain,
    });
    acknowledge(this.lake, {
      'AwsSolutions-S1':
        'Access logs would need a second bucket that nobody reads; accounts that want a record of access can use data events of CloudTrail.',
    });
  }
}
