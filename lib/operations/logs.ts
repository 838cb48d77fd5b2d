import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { RemovalPolicy } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import type { Settings } from '../settings.ts';

/** A log group with a bounded retention that goes with its stack: the run's own record is in the lake. */
export function logGroup(scope: Construct, id: string, settings: Settings): LogGroup {
  return new LogGroup(scope, id, { retention: settings.logRetentionDays, removalPolicy: RemovalPolicy.DESTROY });
}
