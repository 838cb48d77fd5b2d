import { synthesizeMachine, type Template } from '../../lib/synthesize.ts';
import { type Grant, grantsOf } from '../policies/evaluate.ts';

/** A state of the definition, as far as the tests look into it. */
export interface State {
  Type: string;
  Next?: string;
  End?: boolean;
  Default?: string;
  Choices?: { Next: string }[];
  Catch?: { ErrorEquals: string[]; Next: string; ResultPath?: string }[];
  Retry?: { ErrorEquals: string[]; MaxAttempts?: number; BackoffRate?: number; JitterStrategy?: string }[];
  Resource?: string;
  // biome-ignore lint/suspicious/noExplicitAny: the parameters' shape depends on the integration
  Parameters?: any;
  ItemProcessor?: Definition & { ProcessorConfig: { Mode: string; ExecutionType?: string } };
  [field: string]: unknown;
}

export interface Definition {
  StartAt: string;
  States: Record<string, State>;
}

export function synthesize(context: Record<string, unknown> = {}) {
  const { template, dataTemplate } = synthesizeMachine(context);
  return { template, dataTemplate, definition: definitionOf(template) };
}

/** The state machine's definition with a made-up ARN for each reference. */
function definitionOf(template: Template): Definition {
  const [machine] = resources(template, 'AWS::StepFunctions::StateMachine');
  const joined = machine!.DefinitionString as { 'Fn::Join': [string, unknown[]] };
  return JSON.parse(joined['Fn::Join'][1].map(resolved).join(''));
}

function resolved(part: unknown): string {
  if (typeof part === 'string') return part;
  const { Ref, 'Fn::GetAtt': attribute } = part as { Ref?: string; 'Fn::GetAtt'?: string[] };
  if (Ref === 'AWS::Partition') return 'aws';
  return `arn:aws:test:us-east-1:123456789012:${Ref ?? attribute?.[0]}`;
}

/** Properties of every resource of a type. */
// biome-ignore lint/suspicious/noExplicitAny: CloudFormation properties
export function resources(template: Template, type: string): any[] {
  return Object.values(template.Resources)
    .filter((resource) => resource.Type === type)
    .map((resource) => resource.Properties ?? {});
}

/** Every state, those inside maps included. */
export function allStates({ States }: Definition): [id: string, state: State][] {
  return Object.entries(States).flatMap(([id, state]) => [
    [id, state] as [string, State],
    ...(state.ItemProcessor ? allStates(state.ItemProcessor) : []),
  ]);
}

export interface Statement {
  Effect: string;
  Action: string | string[];
  Resource: unknown;
  Condition?: Record<string, Record<string, unknown>>;
}

/** Every statement of every policy, with the policy's logical id. */
export function statements(template: Template): { policy: string; statement: Statement }[] {
  return Object.entries(template.Resources)
    .filter(([, { Type }]) => Type === 'AWS::IAM::Policy')
    .flatMap(([policy, { Properties }]) =>
      (Properties!.PolicyDocument as { Statement: Statement[] }).Statement.map((statement) => ({ policy, statement })),
    );
}

/** What a statement grants on a bucket, the only thing that it has references to. */
export function grantsOn(bucket: string, statement: Statement): Grant[] {
  const arnOf = (resource: unknown): string => {
    if (typeof resource === 'string') return resource;
    const join = (resource as { 'Fn::Join'?: [string, unknown[]] })['Fn::Join'];
    return join ? join[1].map(arnOf).join('') : bucket;
  };
  return grantsOf([
    { ...statement, Resource: list(statement.Resource).map(arnOf) } as Parameters<typeof grantsOf>[0][0],
  ]);
}

export const list = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

/** The template without what changes with any source file or release: hashes of assets, and of the functions' versions. */
export function normalized(template: Template): unknown {
  const text = JSON.stringify(template, (key, value) =>
    key === 'S3Key' && typeof value === 'string' ? 'asset' : value,
  );
  return JSON.parse(text.replace(/[0-9a-f]{64}/g, 'hash').replace(/(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}/g, '$1'));
}

export const ECR_IMAGE = '123456789012.dkr.ecr.us-east-1.amazonaws.com/team/mates:1.0';
/** As different from the default as the settings allow. */
export const DIFFERENT = {
  image: ECR_IMAGE,
  network: 'endpoints',
  spot: 'false',
  accelerator: 'cpu',
  publishVersion: 'false',
  monthlyBudgetUsd: '250',
  maxRunCostUsd: '200',
  alarmEmail: 'team@example.org',
};
