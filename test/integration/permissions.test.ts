/**
 * What the other tests' runs have called, held against the policies that were deployed: nothing is denied, and nothing is
 * granted without a use or a reason. It comes after them, by its name.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { type Call, demandsOf } from '../policies/demands.ts';
import { covers, type Grant } from '../policies/evaluate.ts';
import { type DeployedRole, deployedRoles } from './roles.ts';
import './support.ts';

const recorded = inject('calls');

/** What is granted and cannot be seen to be used here. */
const REASONS: { role: RegExp; action: RegExp; resource?: RegExp; why: string }[] = [
  {
    role: /^machine$/,
    action: /^batch:TerminateJob$|^sagemaker:StopTrainingJob$/,
    why: 'How Step Functions ends the jobs of a stopped execution, which LocalStack does not.',
  },
  {
    role: /^machine$/,
    action: /^events:/,
    resource: /:rule\/StepFunctionsGetEventsFor(BatchJobs|SageMakerTrainingJobs)Rule$/,
    why: 'How Step Functions hears that a job has ended; LocalStack asks again and again.',
  },
  {
    role: /^machine$/,
    action: /^states:(StartExecution|DescribeExecution|StopExecution|RedriveExecution)$/,
    why: 'The children of a Distributed Map, which LocalStack runs inside the execution.',
  },
  {
    role: /^machine$/,
    action: /^sagemaker:ListTags$/,
    why: "In the service's own list for createTrainingJob.sync: https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html",
  },
  {
    role: /^machine$/,
    action: /^logs:/,
    why: 'How Step Functions delivers the log of executions; LocalStack writes it by itself.',
  },
  {
    role: /^machine$|^function\./,
    action: /^xray:/,
    why: 'Tracing, of which LocalStack has no part.',
  },
  {
    role: /^function\.|^Network/,
    action: /^logs:/,
    why: 'Lambda and VPC write their logs by the role; LocalStack makes no flow logs, and groups of its own for functions.',
  },
  {
    role: /^ecs$|^sagemaker\./,
    action: /^(logs|ecr|cloudwatch):/,
    why: 'How the services pull images and write logs and metrics of containers; here jobs are processes.',
  },
  {
    role: /^function\.validate-run$/,
    action: /^batch:DescribeJobs$|^sagemaker:DescribeTrainingJob$/,
    why: 'Of jobs that a former execution has left; here each is stopped before its run goes on.',
  },
  {
    role: /^Observability/,
    action: /^sns:Publish$/,
    why: "How EventBridge's rules write to the alarms' topic; Batch, a plugin here, sends them no events.",
  },
  {
    role: /^(function|batch|sagemaker)\./,
    action: /^s3:ListBucket$/,
    why: 'Without it S3 answers 403 where there is no such object, and not 404.',
  },
  {
    role: /^(function\.merge-top-k|batch\.\S+|sagemaker\.\S+)$/,
    action: /^s3:AbortMultipartUpload$/,
    why: 'Only an upload in parts that fails needs it.',
  },
  {
    role: /^batch\.fit-influence$/,
    action: /^s3:PutObject$/,
    resource: /\/dsir\.json$/,
    why: 'The runs of these tests have no DSIR score.',
  },
  {
    role: /^sagemaker\.pretrain$/,
    action: /^s3:(Put|Delete)Object$/,
    resource: /\/sagemaker-\*$/,
    why: 'What SageMaker itself keeps of a training job, which the stand-in does not.',
  },
];

describe.runIf(recorded)('permissions', () => {
  let roles: DeployedRole[];
  let calls: { role: DeployedRole; call: Call }[];
  beforeAll(async () => {
    roles = await deployedRoles('out/integration/cdk.out');
    const lines = readFileSync(recorded!.file).subarray(recorded!.from).toString().split('\n').filter(Boolean);
    calls = lines
      .map((line): Call => JSON.parse(line))
      .filter(isOurs)
      .flatMap((call) => {
        const role = roles.find(({ name, roleName }) => call.who === name || call.role?.endsWith(`/${roleName}`));
        return role ? [{ role, call }] : [];
      });
  });

  it('were tried by every role that code of ours runs by', () => {
    const seen = new Set(calls.map(({ role }) => role.name));
    const ours = roles.map(({ name }) => name).filter((name) => /^(machine|function\.|batch\.|sagemaker\.)/.test(name));
    // This one only counts, so it calls nothing; its invocation is the machine's call.
    const idle = ours.filter((name) => !seen.has(name) && name !== 'function.advance-stage');
    expect(idle, 'run the whole suite: npm run test:integration').toEqual([]);
    expect(ours).toHaveLength(1 + 5 + 7 + 1);
  });

  it('allow every call that was made', () => {
    const denied = new Set<string>();
    for (const { role, call } of calls)
      for (const demand of demandsOf(call))
        if (!role.grants.some((grant) => covers(grant, demand)))
          denied.add(`${role.name}: ${demand.action} on ${demand.resource}`);
    expect([...denied]).toEqual([]);
  });

  it('allow nothing else without a reason, and every reason is needed', () => {
    const used = new Set<Grant>();
    for (const { role, call } of calls)
      for (const demand of demandsOf(call)) for (const grant of role.grants) if (covers(grant, demand)) used.add(grant);
    const idle = roles.flatMap(({ name, grants }) =>
      grants.filter((grant) => !used.has(grant)).map((grant) => ({ name, ...grant })),
    );
    const excuses = (reason: (typeof REASONS)[number], { name, action, resource }: (typeof idle)[number]) =>
      reason.role.test(name) && reason.action.test(action) && (reason.resource?.test(resource) ?? true);
    expect(
      idle
        .filter((one) => !REASONS.some((reason) => excuses(reason, one)))
        .map(({ name, action, resource }) => `${name}: ${action} on ${resource}`),
    ).toEqual([]);
    expect(REASONS.filter((reason) => !idle.some((one) => excuses(reason, one))).map(({ why }) => why)).toEqual([]);
  });
});

/** Not what the tests themselves ask for in vain, nor the logs that LocalStack writes in a function's name. */
function isOurs({ service, parameters }: Call): boolean {
  return service !== 'logs' && parameters.Bucket !== 'no-such-bucket';
}
