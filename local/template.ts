/** Reads the state machine, its functions and its jobs out of the CloudFormation template that `lib/` synthesizes. */
import { FUNCTION_VARIABLE } from '../core/deployed-names.ts';
import { RunError } from '../core/errors.ts';
import { LOCAL_LAKE } from '../core/storage/index.ts';
import { isObject } from './asl/paths.ts';
import type { Json, JsonObject } from './asl/types.ts';

export interface LocalPipeline {
  /** The definition, with every CloudFormation intrinsic resolved; not yet validated. */
  definition: Json;
  /** By function name. */
  functions: Map<string, LocalFunction>;
  /** By the ARN that stands in for the job definition. */
  jobDefinitions: Map<string, JobDefinition>;
}

export interface LocalFunction {
  /** Folder under `functions/`. */
  folder: string;
  environment: Record<string, string>;
}

export interface JobDefinition {
  /** The container's command, such as `['mates-job', 'pretrain']`. */
  command: string[];
  environment: Record<string, string>;
  retryStrategy: RetryStrategy;
  /** Seconds that one attempt may take. */
  timeout?: number;
}

export interface RetryStrategy {
  attempts: number;
  evaluateOnExit: ExitRule[];
}

/** Batch's EvaluateOnExit; a pattern may end in `*`. */
export interface ExitRule {
  action: 'RETRY' | 'EXIT';
  onExitCode?: string;
  onReason?: string;
  onStatusReason?: string;
}

const ACCOUNT = '000000000000';

/** A stand-in region for ARNs; no AWS service is in it. */
export const LOCAL_REGION = 'local';

const PSEUDO_PARAMETERS: Record<string, string> = {
  'AWS::Partition': 'aws',
  'AWS::Region': LOCAL_REGION,
  'AWS::StackId': `arn:aws:cloudformation:local:${ACCOUNT}:stack/local/0`,
};

interface Resource {
  Type: string;
  Properties?: JsonObject;
}

/**
 * @param template template of the stack with the state machine.
 * @param dataTemplate template of the stack whose outputs it refers to.
 * @throws RunError naming the resource, when the template has anything that cannot be resolved on one machine.
 */
export function readTemplate(template: object, dataTemplate: object = {}): LocalPipeline {
  const resolver = new Resolver(template, new Resolver(dataTemplate));
  const machines = resolver.ofType('AWS::StepFunctions::StateMachine');
  if (machines.length !== 1) refuse(`expected one state machine, found ${machines.length}.`);
  const [machineId, machine] = machines[0]!;

  const functions = new Map<string, LocalFunction>();
  for (const [id, resource] of resolver.ofType('AWS::Lambda::Function')) {
    const variables = field(field(resource.Properties, 'Environment'), 'Variables');
    if (field(variables, FUNCTION_VARIABLE.name) === undefined) continue; // the CDK's own helpers
    const environment = resolver.strings(variables!, `${id}.Environment`);
    functions.set(environment[FUNCTION_VARIABLE.name]!, { folder: environment[FUNCTION_VARIABLE.name]!, environment });
  }
  const jobDefinitions = new Map<string, JobDefinition>();
  for (const [id, resource] of resolver.ofType('AWS::Batch::JobDefinition'))
    jobDefinitions.set(jobDefinitionArn(id), readJobDefinition(resolver, id, resource));

  const definition = resolver.string(machine.Properties?.DefinitionString ?? '', `${machineId}.DefinitionString`);
  return { definition: JSON.parse(definition) as Json, functions, jobDefinitions };
}

function readJobDefinition(resolver: Resolver, id: string, { Properties }: Resource): JobDefinition {
  const container = Properties?.ContainerProperties;
  if (!isObject(container)) refuse(`${id}: only jobs with ContainerProperties can run on one machine.`);
  const command = resolver.resolve(container.Command ?? [], `${id}.Command`) as string[];
  const variables = resolver.resolve(container.Environment ?? [], `${id}.Environment`) as {
    Name: string;
    Value: string;
  }[];
  const retry = resolver.resolve(Properties?.RetryStrategy ?? {}, `${id}.RetryStrategy`) as JsonObject;
  const timeout = field(Properties?.Timeout, 'AttemptDurationSeconds');
  return {
    command,
    environment: Object.fromEntries(variables.map(({ Name, Value }) => [Name, Value])),
    retryStrategy: {
      attempts: (retry.Attempts as number | undefined) ?? 1,
      evaluateOnExit: ((retry.EvaluateOnExit ?? []) as JsonObject[]).map((rule) => ({
        action: (rule.Action as string).toUpperCase() as ExitRule['action'],
        onExitCode: rule.OnExitCode as string | undefined,
        onReason: rule.OnReason as string | undefined,
        onStatusReason: rule.OnStatusReason as string | undefined,
      })),
    },
    ...(timeout !== undefined && { timeout: timeout as number }),
  };
}

/** What replaces a Ref or Fn::GetAtt to a resource, by the resource's type. */
const RESOURCES: Record<string, (id: string, resource: Resource, resolver: Resolver) => string> = {
  'AWS::S3::Bucket Ref': () => LOCAL_LAKE,
  'AWS::Lambda::Function Ref': (id, resource, resolver) => {
    const name = field(field(field(resource.Properties, 'Environment'), 'Variables'), FUNCTION_VARIABLE.name);
    if (name === undefined) refuse(`the function ${id} has no ${FUNCTION_VARIABLE.name} in its environment.`);
    return resolver.string(name, id);
  },
  'AWS::Lambda::Version Ref': (id, resource, resolver) =>
    `${functionArn(resolver.string(resource.Properties?.FunctionName ?? '', id))}:1`,
  'AWS::Batch::JobDefinition Ref': jobDefinitionArn,
  'AWS::Batch::JobQueue JobQueueArn': (id) => arn('batch', `job-queue/${id}`),
  'AWS::IAM::Role Arn': (id) => `arn:aws:iam::${ACCOUNT}:role/${id}`,
  'AWS::Logs::LogGroup Ref': (id) => id,
};

class Resolver {
  private readonly resources: Record<string, Resource>;
  private readonly outputs: Record<string, { Value: Json; Export?: { Name: Json } }>;
  private readonly other: Resolver | undefined;

  /** @param other resolves the outputs of the other stack. */
  constructor(template: object, other?: Resolver) {
    const { Resources = {}, Outputs = {} } = template as Record<string, JsonObject>;
    this.resources = Resources as unknown as Record<string, Resource>;
    this.outputs = Outputs as unknown as typeof this.outputs;
    this.other = other;
  }

  ofType(type: string): [id: string, resource: Resource][] {
    return Object.entries(this.resources).filter(([, resource]) => resource.Type === type);
  }

  resolve(value: Json, where: string): Json {
    if (Array.isArray(value)) return value.map((item) => this.resolve(item, where));
    if (!isObject(value)) return value;
    const names = Object.keys(value);
    const [name] = names;
    if (names.length === 1 && (name === 'Ref' || name === 'Condition' || name!.startsWith('Fn::')))
      return this.intrinsic(name!, value[name!]!, where);
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, this.resolve(inner, `${where}.${key}`)]),
    );
  }

  string(value: Json, where: string): string {
    const resolved = this.resolve(value, where);
    return typeof resolved === 'string'
      ? resolved
      : refuse(`${where}: expected a string, found ${JSON.stringify(resolved)}.`);
  }

  strings(value: Json, where: string): Record<string, string> {
    const entries = Object.entries(value as JsonObject);
    return Object.fromEntries(entries.map(([name, inner]) => [name, this.string(inner, `${where}.${name}`)]));
  }

  private intrinsic(name: string, argument: Json, where: string): Json {
    switch (name) {
      case 'Ref':
        return PSEUDO_PARAMETERS[argument as string] ?? this.attribute(argument as string, 'Ref', where);
      case 'Fn::GetAtt': {
        const [id, attribute] = argument as [string, string];
        return this.attribute(id, attribute, where);
      }
      case 'Fn::Join': {
        const [separator, parts] = argument as [string, Json[]];
        return parts.map((part) => this.string(part, where)).join(separator);
      }
      case 'Fn::ImportValue':
        return this.imported(this.string(argument, where), where);
      default:
        return refuse(`${where}: ${name} cannot be resolved on one machine.`);
    }
  }

  private attribute(id: string, attribute: string, where: string): string {
    const resource = this.resources[id] ?? refuse(`${where}: there is no resource ${id}.`);
    const what = attribute === 'Ref' ? `Ref ${id}` : `Fn::GetAtt ${id}.${attribute}`;
    const value = RESOURCES[`${resource.Type} ${attribute}`]?.(id, resource, this);
    return value ?? refuse(`${where}: ${what} (${resource.Type}) cannot be resolved on one machine.`);
  }

  private imported(name: string, where: string): Json {
    const found = Object.values(this.other?.outputs ?? {}).find(({ Export }) => Export?.Name === name);
    return found ? this.other!.resolve(found.Value, where) : refuse(`${where}: no stack has the export ${name}.`);
  }
}

export function functionArn(name: string): string {
  return arn('lambda', `function:${name}`);
}

function jobDefinitionArn(id: string): string {
  return arn('batch', `job-definition/${id}:1`);
}

function arn(service: string, resource: string): string {
  return `arn:aws:${service}:local:${ACCOUNT}:${resource}`;
}

function field(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) ? value[name] : undefined;
}

function refuse(message: string): never {
  throw new RunError(`Synthesized template: ${message}`);
}
