import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Fn, RemovalPolicy, Stack } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import type { Settings } from '../settings.ts';

/** A log group with a bounded retention, deleted with its stack: the run's own record is in the lake. */
export function logGroup(scope: Construct, id: string, settings: Settings, logGroupName?: string): LogGroup {
  const retention = settings.logRetentionDays;
  return new LogGroup(scope, id, { logGroupName, retention, removalPolicy: RemovalPolicy.DESTROY });
}

/**
 * The log group of a state machine. With this prefix it needs no entry of its own in the account's one resource policy,
 * whose limit of 5,120 characters would make a deployment fail ("Logging using CloudWatch Logs" in the Step Functions
 * guide). The last part of the stack's id distinguishes it from the group of an earlier stack of the same name.
 */
export function machineLogGroup(scope: Construct, id: string, settings: Settings): LogGroup {
  const { stackName, stackId } = Stack.of(scope);
  return logGroup(scope, id, settings, `/aws/vendedlogs/states/${stackName}-${Fn.select(2, Fn.split('/', stackId))}`);
}
