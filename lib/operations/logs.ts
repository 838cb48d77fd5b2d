import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Fn, RemovalPolicy, Stack } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import type { Settings } from '../settings.ts';

/** A log group with a bounded retention that goes with its stack: the run's own record is in the lake. */
export function logGroup(scope: Construct, id: string, settings: Settings, logGroupName?: string): LogGroup {
  const retention = settings.logRetentionDays;
  return new LogGroup(scope, id, { logGroupName, retention, removalPolicy: RemovalPolicy.DESTROY });
}

/**
 * The log group of a state machine. Those with this prefix need no entry each in the account's one resource policy of 5,120
 * characters, at whose limit a deployment fails ("Logging using CloudWatch Logs" in the Step Functions guide). The last part
 * of the stack's id tells it from the group of a stack of the same name before.
 */
export function machineLogGroup(scope: Construct, id: string, settings: Settings): LogGroup {
  const { stackName, stackId } = Stack.of(scope);
  return logGroup(scope, id, settings, `/aws/vendedlogs/states/${stackName}-${Fn.select(2, Fn.split('/', stackId))}`);
}
