import { join } from 'node:path';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, LoggingFormat, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { JitterType, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Duration } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import { acknowledge } from '../operations/acknowledge.ts';
import { logGroup } from '../operations/logs.ts';
import { PROJECT_ROOT } from '../project.ts';
import type { Settings } from '../settings.ts';
import type { LakeAccess } from './lake-access.ts';

/** The folders of `functions/`. */
export type FunctionName = 'validate-run' | 'plan-stage' | 'merge-top-k' | 'advance-stage' | 'finish-run';

export interface PipelineFunctionProps {
  name: FunctionName;
  lake: LakeAccess;
  settings: Settings;
  /** @default 1024 MB */
  memorySize?: number;
  /** @default 5 minutes */
  timeout?: Duration;
  /** Brings the example corpus along, which `builtin:` URIs name. @default false */
  examples?: boolean;
}

export interface InvokeProps {
  /** Fields of the event; JSONPath values from `JsonPath`. */
  payload: Record<string, unknown>;
  /**
   * Fields to keep of the result, and where; each must be in what the handler returns.
   *
   * @default - the result replaces the state
   */
  keep?: { fields: string[]; at: string };
}

/** Every Lambda of the pipeline: `functions/<name>/index.ts`, bundled by esbuild, with its own role and log group. */
export class PipelineFunction extends NodejsFunction {
  constructor(scope: Construct, id: string, props: PipelineFunctionProps) {
    const logs = logGroup(scope, `${id}Logs`, props.settings);
    const role = new Role(scope, `${id}Role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logs.grantWrite(role);
    super(scope, id, {
      entry: join(PROJECT_ROOT, 'functions', props.name, 'index.ts'),
      handler: 'handler',
      runtime: Runtime.NODEJS_22_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memorySize ?? 1024,
      timeout: props.timeout ?? Duration.minutes(5),
      role,
      logGroup: logs,
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      // MATES_FUNCTION names the folder: whoever runs the template without Lambda finds the handler by it.
      environment: { MATES_FUNCTION: props.name, MATES_LAKE_BUCKET: props.lake.bucket.bucketName },
      projectRoot: PROJECT_ROOT,
      depsLockFilePath: join(PROJECT_ROOT, 'package-lock.json'),
      bundling: {
        format: OutputFormat.ESM,
        target: 'node22',
        mainFields: ['module', 'main'],
        // The SDK is bundled at the locked version instead of taking the runtime's, which changes under us.
        externalModules: [],
        sourceMap: true,
        minify: true,
        keepNames: true, // error names are part of the machine's contract
        // CommonJS dependencies call require() for Node's own modules, which an ES module does not have.
        banner: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);",
        commandHooks: {
          beforeInstall: () => [],
          beforeBundling: () => [],
          afterBundling: (root, bundle) =>
            props.examples
              ? [
                  `mkdir -p "${bundle}/examples/corpus"`,
                  `cp "${root}"/examples/corpus/*.jsonl* "${bundle}/examples/corpus/"`,
                ]
              : [],
        },
      },
    });
    props.lake.grantReadWrite(role);
    acknowledge(this, {
      'AwsSolutions-L1':
        'Node.js 22 is the newest runtime that every dependency is tested on; it has years of support left.',
    });
    acknowledge(role, {
      'AwsSolutions-IAM5[Resource::*]': 'X-Ray has no resources: PutTraceSegments and PutTelemetryRecords take * only.',
    });
  }

  /**
   * A Task state that calls the function. Throttling and faults of the service are retried; ConfigError, InputError and
   * RunError are ours and would only fail again.
   */
  invoke(scope: Construct, id: string, props: InvokeProps): LambdaInvoke {
    const task = new LambdaInvoke(scope, id, {
      lambdaFunction: this,
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
      ],
      interval: Duration.seconds(2),
      maxAttempts: 6,
      backoffRate: 2,
      maxDelay: Duration.minutes(1),
      jitterStrategy: JitterType.FULL,
    });
    return task;
  }
}
