/** The roles of the deployed stack, with what they may do: policies from IAM, in which every reference is resolved. */
import { readFileSync } from 'node:fs';
import { CloudFormationClient, paginateListStackResources } from '@aws-sdk/client-cloudformation';
import { GetRolePolicyCommand, IAMClient, ListRolePoliciesCommand } from '@aws-sdk/client-iam';
import type { Template } from '../../lib/synthesize.ts';
import { type Grant, grantsOf } from '../policies/evaluate.ts';

const STACK = 'MatesPipeline';

export interface DeployedRole {
  /** What the tests call it: `function.<folder>`, `batch.<task>` as in record_calls.py, or its logical id. */
  name: string;
  /** Name in IAM. */
  roleName: string;
  grants: Grant[];
}

/** Every role of the pipeline's stack that has a policy of its own. */
export async function deployedRoles(assembly: string): Promise<DeployedRole[]> {
  const { Resources }: Template = JSON.parse(readFileSync(`${assembly}/${STACK}.template.json`, 'utf8'));
  const names = readableNames(Resources);
  const physical = await physicalIds();
  const withPolicy = Object.values(Resources)
    .filter(({ Type }) => Type === 'AWS::IAM::Policy')
    .flatMap(({ Properties }) => (Properties!.Roles as { Ref: string }[]).map(({ Ref }) => Ref));
  const iam = new IAMClient({});
  return Promise.all(
    [...new Set(withPolicy)].map(async (id) => {
      const RoleName = physical.get(id)!;
      const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
      const policies = await Promise.all(
        PolicyNames.map((PolicyName) => iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }))),
      );
      const grants = policies.flatMap(({ PolicyDocument }) =>
        grantsOf(JSON.parse(decodeURIComponent(PolicyDocument!)).Statement),
      );
      return { name: names.get(id) ?? id, roleName: RoleName, grants };
    }),
  );
}

type Attribute = { 'Fn::GetAtt': [id: string, attribute: string] };

/** Names of the roles by their logical ids, from what runs by them. */
function readableNames(resources: Template['Resources']): Map<string, string> {
  const names = new Map<string, string>();
  for (const { Type, Properties = {} } of Object.values(resources)) {
    const role = (attribute: unknown) => (attribute as Attribute)['Fn::GetAtt'][0];
    if (Type === 'AWS::StepFunctions::StateMachine') names.set(role(Properties.RoleArn), 'machine');
    if (Type === 'AWS::Lambda::Function') {
      const { Variables } = (Properties.Environment ?? {}) as { Variables?: Record<string, string> };
      if (Variables?.MATES_FUNCTION) names.set(role(Properties.Role), `function.${Variables.MATES_FUNCTION}`);
    }
    if (Type === 'AWS::Batch::JobDefinition') {
      const { JobRoleArn, ExecutionRoleArn, Command } = Properties.ContainerProperties as {
        Command: string[];
      } & Record<string, unknown>;
      names.set(role(JobRoleArn), `batch.${Command[1]}`);
      names.set(role(ExecutionRoleArn), 'ecs');
    }
  }
  // The training job is a state of the machine, whose definition is one text.
  for (const id of Object.keys(resources)) if (/^JobRolesTraining\w{8}$/.test(id)) names.set(id, 'sagemaker.pretrain');
  return names;
}

async function physicalIds(): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  const pages = paginateListStackResources({ client: new CloudFormationClient({}) }, { StackName: STACK });
  for await (const { StackResourceSummaries = [] } of pages)
    for (const { LogicalResourceId, PhysicalResourceId } of StackResourceSummaries)
      if (PhysicalResourceId) ids.set(LogicalResourceId!, PhysicalResourceId);
  return ids;
}
