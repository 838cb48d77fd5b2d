/** The deployed machine and its executions, by name or ARN. */

import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { OUTPUT } from '../../core/deployed-names.ts';
import { ConfigError, MatesError, RunError } from '../../core/errors.ts';
import { awsErrorInWords } from '../aws-errors.ts';

/** How a command names the deployment. */
export interface Target {
  /** Stack whose outputs name the machine; see bin/command-line/deployed.ts for the default. */
  stack: string;
  /** ARN of the machine, or of its alias. */
  machine?: string;
}

/** The machine that a stack or an ARN names. */
export interface DeployedMachine {
  /** What executions are started of: the machine's ARN, or its alias's. */
  machine: string;
  /** Name of the CloudWatch dashboard; only known if the machine was found by its stack. */
  dashboard?: string;
}

/** @throws ConfigError when there is no such stack, or it is not a MATES pipeline. */
export async function findDeployment({ stack, machine }: Target): Promise<DeployedMachine> {
  if (machine !== undefined) {
    if (!/^arn:[\w-]+:states:[\w-]+:\d{12}:stateMachine:[^:]+(:[^:]+)?$/.test(machine))
      throw new ConfigError(`--machine ${machine}: expected the ARN of a state machine or of its alias.`);
    return { machine };
  }
  const client = new CloudFormationClient({});
  const { Stacks: [found] = [] } = await calling('find the stack', () =>
    client.send(new DescribeStacksCommand({ StackName: stack })),
  );
  const output = (name: string) => found?.Outputs?.find(({ OutputKey }) => OutputKey === name)?.OutputValue;
  const arn = output(OUTPUT.machine);
  if (!arn)
    throw new ConfigError(
      `--stack ${stack}: this stack has no output ${OUTPUT.machine}; name the one that cdk deploy made.`,
    );
  return { machine: arn, dashboard: output(OUTPUT.dashboard) };
}

/** ARN of an execution, given as an ARN or as a name within the deployed machine. */
export async function executionArn(execution: string, target: Target): Promise<string> {
  if (execution.startsWith('arn:')) {
    if (!execution.split(':')[5]?.startsWith('execution'))
      throw new ConfigError(`${execution}: expected an execution's name or ARN, such as mates start prints.`);
    return execution;
  }
  return executionOf((await findDeployment(target)).machine, execution);
}

function executionOf(machine: string, name: string): string {
  const [arn, partition, service, region, account, , machineName] = machine.split(':');
  return [arn, partition, service, region, account, 'execution', machineName, name].join(':');
}

/** ARN of the machine of an execution. */
export function machineOf(executionArn: string): string {
  const [arn, partition, service, region, account, , machineName] = executionArn.split(':');
  return [arn, partition, service, region, account, 'stateMachine', machineName].join(':');
}

/** The machine behind an alias or a version; executions are listed by machine. */
export const unqualified = (machine: string) => machine.split(':').slice(0, 7).join(':');

/**
 * Calls AWS.
 *
 * @param what the intention, for the message: `start the execution`.
 * @throws ConfigError or RunError in one sentence, in place of the SDK's error, which is its `cause`.
 */
export async function calling<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof MatesError) throw error;
    throw Object.assign(inWords(what, error as Error), { cause: error });
  }
}

function inWords(what: string, error: Error): MatesError {
  const { name, message } = error;
  if (/^Region is missing/.test(message))
    return new ConfigError(`Cannot ${what}: no region is set; set AWS_REGION, such as us-east-1.`);
  if (name === 'ValidationError' && /does not exist/.test(message))
    return new ConfigError(
      `Cannot ${what}: ${message}. Deploy it (npx cdk deploy --all), or name it with --stack or --machine.`,
    );
  const known = awsErrorInWords(error);
  if (known?.reached) return new ConfigError(`Cannot ${what}: ${known.words}.`);
  return new RunError(`Cannot ${what}: ${known ? `${known.words}.` : `${name}: ${message}`}`);
}
