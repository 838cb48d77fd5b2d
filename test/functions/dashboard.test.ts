import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { mockClient } from 'aws-sdk-client-mock';
import { beforeEach, expect, it, vi } from 'vitest';
import { dashboardName } from '../../functions/finish-run/dashboard.ts';

process.env.AWS_REGION ??= 'us-east-1';
const STACK = 'arn:aws:cloudformation:us-east-1:123456789012:stack/MatesPipeline/1';
const stacks = mockClient(CloudFormationClient);
beforeEach(() => stacks.reset());

it("the dashboard's name is an output of the function's own stack", async () => {
  const stack = { StackName: 'MatesPipeline', CreationTime: new Date(), StackStatus: 'UPDATE_COMPLETE' as const };
  const Outputs = [
    { OutputKey: 'MachineArn', OutputValue: 'x' },
    { OutputKey: 'DashboardName', OutputValue: 'Board' },
  ];
  stacks.on(DescribeStacksCommand, { StackName: STACK }).resolves({ Stacks: [{ ...stack, Outputs }] });
  expect(await dashboardName(STACK)).toBe('Board');
  stacks.on(DescribeStacksCommand, { StackName: STACK }).resolves({ Stacks: [stack] });
  expect(await dashboardName(STACK)).toBeUndefined();
});

it("the dashboard's name is left out, with a warning, when the stack cannot be read", async () => {
  stacks.on(DescribeStacksCommand).rejects(new Error('Rate exceeded'));
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  expect(await dashboardName(STACK)).toBeUndefined();
  expect(warn.mock.calls.flat().join()).toMatch(/dashboard: Error: Rate exceeded/);
  warn.mockRestore();
});
