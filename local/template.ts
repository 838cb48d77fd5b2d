/** Reads the state machine, its functions and its jobs out of the CloudFormation template that `lib/` synthesizes. */
import { RunError } from '../core/errors.ts';
import { LOCAL_LAKE } from '../core/storage/index.ts';
import { isObject } from './asl/paths.ts';
import type { Json, JsonObject } from './asl/types.ts';

export interface LocalPipeline {
  /** The definition, every CloudFormation intrinsic resolved; not yet validated. */
  definition: Json;
  /** By function name. */
  functions: Map<string, LocalFunction>;
  /** By the ARN that stands for the job definition. */
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

/** Names a function's folder, in the environment that `lib/` gives it. */
const FUNCTION_VARIABLE = 'MATES_FUNCTION';
const ACCOUNT = '000000000000';

const PSEUDO_PARAMETERS: Record<string, string> = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'local',
  'AWS::AccountId': ACCOUNT,
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': 'local',
  'AWS::StackId': `arn:aws:cloudformation:local:${ACCOUNT}:stack/local/0`,
};

interface Resource {
  Type: string;
  Properties?: JsonObject;
}

/**
 * @param template of the stack with the state machine.
 * @param dataTemplate of the stack whose outputs it refers to.
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
    if (field(variables, FUNCTION_VARIABLE) === undefined) continue; // the CDK's own helpers
    const environment = resolver.strings(variables!, `${id}.Environment`);
    functions.set(environment[FUNCTION_VARIABLE]!, { folder: environment[FUNCTION_VARIABLE]!, environment });
  }
  const jobDefinitions = new Map<string, JobDefinition>();
  for (const [id, resource] of resolver.ofType('AWS::Batch::JobDefinition'))
    jobDefinitions.set(jobDefinitionArn(id), readJobDefinition(resolver, id, resource));

  return { definition: readDefinition(resolver, machineId, machine), functions, jobDefinitions };
}

function readDefinition(resolver: Resolver, id: string, machine: Resource): Json {
  const { DefinitionString, Definition, DefinitionSubstitutions } = machine.Properties ?? {};
  if (Definition !== undefined) return resolver.resolve(Definition, `${id}.Definition`);
  if (DefinitionString === undefined) refuse(`${id} has neither DefinitionString nor Definition.`);
  let text = resolver.string(DefinitionString, `${id}.DefinitionString`);
  if (DefinitionSubstitutions !== undefined) {
    const values = resolver.strings(DefinitionSubstitutions, `${id}.DefinitionSubstitutions`);
    text = text.replace(/\$\{(\w+)\}/g, (found, name: string) => values[name] ?? found);
  }
  return JSON.parse(text) as Json;
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

/** What stands for Ref and Fn::GetAtt of a resource here. */
type Names = (
  id: string,
  resource: Resource,
  resolver: Resolver,
) => { ref?: string } & Record<string, string | undefined>;

const RESOURCES: Record<string, Names> = {
  'AWS::S3::Bucket': () => ({ ref: LOCAL_LAKE, Arn: `arn:aws:s3:::${LOCAL_LAKE}` }),
  'AWS::Lambda::Function': (id, resource, resolver) => {
    const name = field(field(field(resource.Properties, 'Environment'), 'Variables'), FUNCTION_VARIABLE);
    if (name === undefined) refuse(`the function ${id} has no ${FUNCTION_VARIABLE} in its environment.`);
    const ref = resolver.string(name, id);
    return { ref, Arn: functionArn(ref) };
  },
  'AWS::Lambda::Version': (id, resource, resolver) => ({ ref: `${qualified(id, resource, resolver)}:1`, Version: '1' }),
  'AWS::Lambda::Alias': (id, resource, resolver) => ({
    ref: `${qualified(id, resource, resolver)}:${resolver.string(resource.Properties?.Name ?? '', id)}`,
  }),
  'AWS::Batch::JobDefinition': (id) => ({ ref: jobDefinitionArn(id), JobDefinitionArn: jobDefinitionArn(id) }),
  'AWS::Batch::JobQueue': (id) => ({
    ref: arn('batch', `job-queue/${id}`),
    JobQueueArn: arn('batch', `job-queue/${id}`),
  }),
  'AWS::IAM::Role': (id) => ({ ref: id, Arn: `arn:aws:iam::${ACCOUNT}:role/${id}` }),
  'AWS::EC2::SecurityGroup': (id) => ({ ref: id, GroupId: id }),
  'AWS::EC2::Subnet': (id) => ({ ref: id, SubnetId: id }),
  'AWS::KMS::Key': (id) => ({ ref: id, KeyId: id, Arn: arn('kms', `key/${id}`) }),
  'AWS::Logs::LogGroup': (id) => ({ ref: id, Arn: arn('logs', `log-group:${id}`) }),
  'AWS::SNS::Topic': (id) => ({ ref: arn('sns', id), TopicArn: arn('sns', id) }),
  'AWS::ECR::Repository': (id) => ({ ref: id.toLowerCase(), Arn: arn('ecr', `repository/${id.toLowerCase()}`) }),
};

class Resolver {
  private readonly resources: Record<string, Resource>;
  private readonly parameters: Record<string, { Default?: Json }>;
  private readonly outputs: Record<string, { Value: Json; Export?: { Name: Json } }>;
  private readonly other: Resolver | undefined;

  /** @param other resolves the outputs of the other stack. */
  constructor(template: object, other?: Resolver) {
    const { Resources = {}, Parameters = {}, Outputs = {} } = template as Record<string, JsonObject>;
    this.resources = Resources as unknown as Record<string, Resource>;
    this.parameters = Parameters as typeof this.parameters;
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
    const list = () => this.resolve(argument, where) as Json[];
    switch (name) {
      case 'Ref':
        return this.ref(argument as string, where);
      case 'Fn::GetAtt': {
        const [id, attribute] = Array.isArray(argument) ? argument : String(argument).split(/\.(.*)/s);
        return this.attribute(id as string, attribute as string, where);
      }
      case 'Fn::Join': {
        const [separator, parts] = list() as [string, Json[]];
        return parts.map((part) => this.string(part, where)).join(separator);
      }
      case 'Fn::Split': {
        const [separator, text] = list() as [string, string];
        return text.split(separator);
      }
      case 'Fn::Select': {
        const [index, items] = list() as [number | string, Json[]];
        return items[Number(index)] ?? refuse(`${where}: Fn::Select ${index} of ${items.length}.`);
      }
      case 'Fn::Sub': {
        const [text, given] = (Array.isArray(argument) ? argument : [argument, {}]) as [string, JsonObject];
        return text.replace(/\$\{(!?)([^}]+)\}/g, (_, literal: string, key: string) => {
          if (literal) return `\${${key}}`;
          if (key in given) return this.string(given[key]!, where);
          const [id, attribute] = key.split(/\.(.*)/s) as [string, string | undefined];
          return attribute ? this.attribute(id, attribute, where) : this.ref(id, where);
        });
      }
      case 'Fn::ImportValue': {
        const exported = this.string(argument, where);
        return this.imported(where, `the export ${exported}`, (_, { Export }) => Export?.Name === exported);
      }
      case 'Fn::GetStackOutput': {
        const output = this.string(field(argument, 'OutputName') ?? '', where);
        return this.imported(where, `the output ${output}`, (id) => id === output);
      }
      default:
        return refuse(`${where}: ${name} cannot be resolved on one machine.`);
    }
  }

  private ref(id: string, where: string): string {
    const pseudo = PSEUDO_PARAMETERS[id];
    if (pseudo !== undefined) return pseudo;
    const preset = this.parameters[id]?.Default;
    if (typeof preset === 'string') return preset;
    return this.attribute(id, 'ref', where);
  }

  private attribute(id: string, attribute: string, where: string): string {
    const resource = this.resources[id] ?? refuse(`${where}: there is no resource ${id}.`);
    const value = RESOURCES[resource.Type]?.(id, resource, this)[attribute];
    const what = attribute === 'ref' ? `Ref ${id}` : `Fn::GetAtt ${id}.${attribute}`;
    return value ?? refuse(`${where}: ${what} (${resource.Type}) cannot be resolved on one machine.`);
  }

  private imported(where: string, what: string, wanted: (id: string, output: { Export?: { Name: Json } }) => boolean) {
    const found = Object.entries(this.other?.outputs ?? {}).find(([id, output]) => wanted(id, output));
    return found ? this.other!.resolve(found[1].Value, where) : refuse(`${where}: no stack has ${what}.`);
  }
}

export function functionArn(name: string): string {
  return arn('lambda', `function:${name}`);
}

function qualified(id: string, { Properties }: Resource, resolver: Resolver): string {
  const name = resolver.string(Properties?.FunctionName ?? '', id);
  return name.startsWith('arn:') ? name : functionArn(name);
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
