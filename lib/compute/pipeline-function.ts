import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  type Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { JitterType, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import { LambdaInvoke, type LambdaInvokeProps } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Duration, RemovalPolicy } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import { FUNCTION_VARIABLE } from '../../core/deployed-names.ts';
import { acknowledge } from '../operations/acknowledge.ts';
import { logGroup } from '../operations/logs.ts';
import type { Settings } from '../settings.ts';
import { type FunctionName, handlerOf } from './function-code.ts';
import type { LakeAccess } from './lake-access.ts';

export interface PipelineFunctionProps {
  name: FunctionName;
  /** The asset with the code of every function. */
  code: Code;
  lake: LakeAccess;
  settings: Settings;
  /** @default 1024 MB */
  memorySize?: number;
  /** @default 5 minutes */
  timeout?: Duration;
}

export interface InvokeProps {
  /** Fields of the event; JSONPath values from `JsonPath`. */
  payload: Record<string, unknown>;
  /**
   * Fields of the result to keep, and where; the handler must return each of them.
   *
   * @default - the result replaces the state
   */
  keep?: { fields: string[]; at: string };
}

/** A Lambda function of the pipeline: `functions/<name>`, with its own role and log group. */
export class PipelineFunction extends LambdaFunction {
  constructor(scope: Construct, id: string, props: PipelineFunctionProps) {
    const logs = logGroup(scope, `${id}Logs`, props.settings);
    const role = new Role(scope, `${id}Role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logs.grantWrite(role);
    super(scope, id, {
      code: props.code,
      handler: handlerOf(props.name),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memorySize ?? 1024,
      timeout: props.timeout ?? Duration.minutes(5),
      role,
      logGroup: logs,
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      // Earlier versions are kept for the executions that still use them; they are deleted with the function.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
      environment: {
        // The name of the folder, by which local/ finds the handler without Lambda.
        [FUNCTION_VARIABLE.name]: props.name,
        [FUNCTION_VARIABLE.lakeBucket]: props.lake.bucket.bucketName,
        NODE_OPTIONS: '--enable-source-maps',
      },
    });
    props.lake.grant(role, props.name);
    acknowledge(role, {
      'AwsSolutions-IAM5[Resource::*]': 'X-Ray has no resources: PutTraceSegments and PutTelemetryRecords take * only.',
    });
  }

  /**
   * A Task state that calls the function in the version of this deployment: a running execution keeps the code that it
   * began with. Throttling and faults of the services that it or its code call are retried, half an hour in all, and once a
   * function that crashed; but not our own ConfigError, InputError and RunError, which would only be thrown again.
   */
  invoke(scope: Construct, id: string, props: InvokeProps): LambdaInvoke {
    const task = new InvokeVersion(scope, id, this, {
      payload: TaskInput.fromObject(props.payload),
      retryOnServiceExceptions: false,
      ...(props.keep
        ? {
            resultSelector: Object.fromEntries(props.keep.fields.map((field) => [`${field}.$`, `$.Payload.${field}`])),
            resultPath: props.keep.at,
          }
        : { outputPath: '$.Payload' }),
    });
    task.addRetry({
      errors: [
        'Lambda.TooManyRequestsException',
        'Lambda.ServiceException',
        'Lambda.AWSLambdaException',
        'Lambda.SdkClientException',
        'Lambda.ClientExecutionTimeoutException',
        'TransientError', // of functions/retriable.ts
      ],
      interval: Duration.seconds(5),
      maxAttempts: 5,
      backoffRate: 5,
      maxDelay: Duration.minutes(15),
      jitterStrategy: JitterType.FULL,
    });
    // Lost with its sandbox, or out of time or memory: nothing tells which.
    task.addRetry({
      errors: ['Lambda.Unknown', 'Runtime.ExitError', 'Sandbox.Timedout'],
      interval: Duration.seconds(30),
      maxAttempts: 1,
      jitterStrategy: JitterType.FULL,
    });
    return task;
  }
}

/**
 * Calls a function's current version. The machine may call every version, because running executions use earlier ones.
 */
class InvokeVersion extends LambdaInvoke {
  constructor(
    scope: Construct,
    id: string,
    handler: PipelineFunction,
    props: Omit<LambdaInvokeProps, 'lambdaFunction'>,
  ) {
    super(scope, id, { ...props, lambdaFunction: handler.currentVersion });
    const invoke = new PolicyStatement({
      actions: ['lambda:InvokeFunction'],
      resources: [`${handler.functionArn}:*`],
    });
    this.taskPolicies!.splice(0, this.taskPolicies!.length, invoke);
  }
}
