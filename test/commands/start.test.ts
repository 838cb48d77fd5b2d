import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import {
  DescribeExecutionCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { executionInput, start } from '../../bin/deployed/commands/start.ts';
import { executionArn, findDeployment } from '../../bin/deployed/machine.ts';
import { ConfigError } from '../../core/errors.ts';
import { temporaryFolder } from '../support.ts';
import { EXECUTION, MACHINE, printed, sfn } from './support.ts';

const stacks = mockClient(CloudFormationClient);
const target = { stack: 'MatesPipeline' };
const output = (OutputKey: string, OutputValue: string) => ({ OutputKey, OutputValue });
const named = (name: string, message = name) => Object.assign(new Error(message), { name });

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});
beforeEach(() => {
  sfn.reset();
  stacks.reset();
  sfn.on(StartExecutionCommand).resolves({ executionArn: EXECUTION });
  sfn.on(ListExecutionsCommand).resolves({ executions: [] });
  stacks.on(DescribeStacksCommand).resolves({
    Stacks: [
      {
        StackName: 'x',
        CreationTime: new Date(),
        StackStatus: 'CREATE_COMPLETE',
        Outputs: [output('MachineArn', `${MACHINE}:live`), output('DashboardName', 'Board')],
      },
    ],
  });
});

async function file(config: object): Promise<string> {
  const path = join(folder, 'config.json');
  await writeFile(path, JSON.stringify(config));
  return path;
}

const remote = {
  name: 'web',
  corpus: { input: ['s3://data/*.jsonl'] },
  reference: { input: 's3://data/reference.jsonl' },
  heldOut: { input: 's3://data/held-out.jsonl' },
};
const started = () => {
  const [call] = sfn.commandCalls(StartExecutionCommand);
  const { name, stateMachineArn, input } = call!.args[0].input;
  return { name, stateMachineArn, input: JSON.parse(input!) };
};

describe('the input', () => {
  it('is empty for the smoke run, apart from the fields that were changed', async () => {
    expect(await executionInput(undefined, {})).toEqual({});
    expect(await executionInput(undefined, { set: ['pretrain.stages=3'], seed: '7', maxCostUsd: '2.5' })).toEqual({
      overrides: { pretrain: { stages: 3 }, seed: 7 },
      maxCostUsd: 2.5,
    });
  });

  it('names a configuration on S3, and contains a local one whole', async () => {
    expect(await executionInput('s3://b/c.json', { set: ['seed=2'] })).toEqual({
      config: 's3://b/c.json',
      overrides: { seed: 2 },
    });
    expect(await executionInput(await file(remote), { set: ['seed=2'], runId: 'r' })).toEqual({
      config: { ...remote, seed: 2 },
      runId: 'r',
    });
  });

  it('resumes a run without its configuration', async () => {
    expect(await executionInput(undefined, { resume: 'run-1' })).toEqual({ resumeFrom: 'run-1' });
  });

  it('names a local configuration without a name after its file, and says which flag is wrong', async () => {
    const { name: _, ...nameless } = remote;
    const path = await file(nameless);
    expect(await executionInput(path, {})).toEqual({ config: { ...nameless, name: 'config' } });
    await expect(executionInput(path, { seed: 'x' })).rejects.toThrow(/^--seed x: /);
  });

  it('leaves the fields of a model that it goes on from to the first state, which reads their defaults', async () => {
    const model = { pretrained: 's3://data/llama', heads: 6, keyValueHeads: 2 };
    expect(await executionInput(await file({ ...remote, model }), {})).toEqual({ config: { ...remote, model } });
    const local = await file({ ...remote, model: { ...model, pretrained: 'llama' } });
    await expect(executionInput(local, {})).rejects.toThrow(/model\.pretrained: llama is a path of one machine/);
  });

  it('refuses what the first state would refuse, and local paths, by field', async () => {
    const local = await file({ ...remote, reference: { input: 'reference.jsonl' } });
    await expect(executionInput(local, {})).rejects.toThrow(/reference\.input: reference\.jsonl .*Copy it to S3/);
    const typo = await file({ ...remote, stages: 3 });
    await expect(executionInput(typo, {})).rejects.toThrow(/stages: unknown field/);
    await expect(executionInput(join(folder, 'none.json'), {})).rejects.toThrow(/none\.json: no such file/);
    await expect(executionInput(undefined, { maxCostUsd: 'much' })).rejects.toThrow('--max-cost-usd much: expected');
    await expect(executionInput(undefined, { runId: 'a', resume: 'b' })).rejects.toThrow(/runId and resumeFrom/);
  });
});

describe('mates start', () => {
  it("starts the machine of the stack's output, under a name that gives the run and the time", async () => {
    const json = JSON.parse(await printed(() => start(undefined, { ...target, json: true })));
    expect(started()).toMatchObject({ stateMachineArn: `${MACHINE}:live`, input: {} });
    expect(started().name).toMatch(/^smoke-\d{8}-\d{6}$/);
    expect(json).toMatchObject({ execution: EXECUTION, run: started().name });
    expect(json.links.dashboard).toContain('Board');
  });

  it('says how to see and stop it', async () => {
    const text = await printed(() => start(undefined, { ...target, machine: MACHINE, name: 'mine', runId: 'r' }));
    expect(text).toMatch(/Started mine, run r\.\nhttps:.*\nmates watch mine .* mates stop mine/);
    expect(stacks.calls()).toHaveLength(0);
  });

  it('shows the plan of a dry run when it has ended', async () => {
    const instances = [{ instance: 'g5.xlarge', hours: 0.5, onDemandUsd: 0.51, spotUsd: 0.204 }];
    const plan = { steps: 80, tokens: 81920, instances, quotas: [] };
    sfn.on(GetExecutionHistoryCommand).resolves({ events: [] });
    sfn
      .on(DescribeExecutionCommand)
      .resolves({ status: 'SUCCEEDED', output: JSON.stringify({ run: { id: 'r' }, plan }) });
    const text = await printed(() => start(undefined, { ...target, dryRun: true }));
    expect(started().input).toEqual({ dryRun: true });
    expect(text).toMatch(
      /Run r would be:\n {2}80 steps on 81,920 tokens\n {2}g5\.xlarge: 0\.50 h, \$0\.51 on demand, \$0\.20 on spot/,
    );
  });

  it('refuses a run that another execution is working on', async () => {
    const running = { executionArn: EXECUTION, stateMachineArn: MACHINE, name: 'a', status: 'RUNNING' as const };
    sfn
      .on(ListExecutionsCommand, { stateMachineArn: MACHINE, statusFilter: 'RUNNING' })
      .resolves({ executions: [{ ...running, startDate: new Date() }] });
    sfn.on(DescribeExecutionCommand).resolves({ name: 'a', input: '{"resumeFrom": "busy"}' });
    await expect(start(undefined, { ...target, resume: 'busy' })).rejects.toThrow(
      /run busy: the execution a is working/,
    );
    expect(sfn.commandCalls(StartExecutionCommand)).toHaveLength(0);
    await printed(() => start(undefined, { ...target, resume: 'free' }));
    expect(started().input).toEqual({ resumeFrom: 'free' });
  });

  it('refuses a name that is taken', async () => {
    sfn.on(StartExecutionCommand).rejects(named('ExecutionAlreadyExists'));
    await expect(start(undefined, { ...target, name: 'mine' })).rejects.toThrow(/--name mine: .*90 days/);
  });
});

describe('the deployment', () => {
  it('is found by the stack, or given', async () => {
    expect(await findDeployment(target)).toEqual({ machine: `${MACHINE}:live`, dashboard: 'Board' });
    expect(await findDeployment({ ...target, machine: MACHINE })).toEqual({ machine: MACHINE });
    await expect(findDeployment({ ...target, machine: 'Machine' })).rejects.toThrow(ConfigError);
  });

  it('has executions by name or ARN', async () => {
    expect(await executionArn('run-1', target)).toBe(EXECUTION);
    expect(await executionArn(EXECUTION, target)).toBe(EXECUTION);
    await expect(executionArn(MACHINE, target)).rejects.toThrow(/expected an execution/);
  });

  it.each([
    [named('ValidationError', 'Stack with id X does not exist'), /cdk deploy/],
    [named('CredentialsProviderError'), /aws sso login/],
    [named('Error', 'Region is missing'), /AWS_REGION/],
  ])('%s is explained', async (error, message) => {
    stacks.on(DescribeStacksCommand).rejects(error);
    await expect(findDeployment(target)).rejects.toThrow(ConfigError);
    await expect(findDeployment(target)).rejects.toThrow(message);
  });

  it.each([
    ['ECONNREFUSED', /^Cannot find the stack: nothing answers there: .*AWS_ENDPOINT_URL\.$/],
    ['ENOTFOUND', /^Cannot find the stack: the address cannot be found: .*AWS_ENDPOINT_URL\.$/],
  ])('that is not reached (%s) is a failure, not wrong usage', async (code, message) => {
    stacks.on(DescribeStacksCommand).rejects(Object.assign(named('Error'), { code }));
    await expect(findDeployment(target)).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(message),
    });
  });

  it('must be a pipeline', async () => {
    stacks.on(DescribeStacksCommand).resolves({ Stacks: [] });
    await expect(findDeployment(target)).rejects.toThrow(/no output MachineArn/);
  });
});
