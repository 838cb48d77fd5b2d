import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { OUTPUT } from '../../core/deployed-names.ts';

/**
 * Name of the pipeline's CloudWatch dashboard, from the outputs of its stack: the dashboard shows this function, so the
 * function cannot be given the dashboard's name. A missing link is no reason for a finished run to fail.
 *
 * @param stack ARN of the stack.
 */
export async function dashboardName(stack: string): Promise<string | undefined> {
  try {
    const { Stacks = [] } = await new CloudFormationClient({}).send(new DescribeStacksCommand({ StackName: stack }));
    return Stacks[0]?.Outputs?.find(({ OutputKey }) => OutputKey === OUTPUT.dashboard)?.OutputValue;
  } catch (error) {
    console.warn(`No link to the dashboard: ${error}`);
    return undefined;
  }
}
