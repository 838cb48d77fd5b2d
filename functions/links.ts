/** Addresses in the AWS console of a run's results and of what it runs in. */
import { REPORT_FILE } from '../core/layout.ts';

export interface RunLinks {
  report?: string;
  /** The run's folder in the lake. */
  run?: string;
  /** The execution, with its Map Runs. */
  execution?: string;
  dashboard?: string;
  /** The jobs' log group, and the machine's. */
  jobLogs?: string;
  machineLogs?: string;
}

export interface LinkTargets {
  /** ARN of any standard execution of the machine; everything else is in the same region and partition. */
  execution: string;
  bucket?: string;
  /** Prefix of the run in the bucket. */
  prefix?: string;
  dashboard?: string;
  jobLogs?: string;
  machineLogs?: string;
}

const CONSOLES: Record<string, string> = {
  'aws-cn': 'console.amazonaws.cn',
  'aws-us-gov': 'console.amazonaws-us-gov.com',
};

/** Links to whatever is known; an execution on an emulator gets the addresses that it would have on AWS. */
export function consoleLinks({ execution, bucket, prefix, dashboard, jobLogs, machineLogs }: LinkTargets): RunLinks {
  const [, partition = 'aws', , region = ''] = execution.split(':');
  const home = `https://${region}.${CONSOLES[partition] ?? 'console.aws.amazon.com'}`;
  const logs = (name: string) => `${home}/cloudwatch/home?region=${region}#logsV2:log-groups/log-group/${twice(name)}`;
  const query = (key: string) => `?region=${region}&prefix=${encodeURIComponent(key)}`;
  return {
    ...(bucket && prefix && { report: `${home}/s3/object/${bucket}${query(`${prefix}/${REPORT_FILE}`)}` }),
    ...(bucket && prefix && { run: `${home}/s3/buckets/${bucket}${query(`${prefix}/`)}` }),
    execution: `${home}/states/home?region=${region}#/v2/executions/details/${execution}`,
    ...(dashboard && { dashboard: `${home}/cloudwatch/home?region=${region}#dashboards/dashboard/${dashboard}` }),
    ...(jobLogs && { jobLogs: logs(jobLogs) }),
    ...(machineLogs && { machineLogs: logs(machineLogs) }),
  };
}

/** The console wants names in its fragment escaped twice, with a dollar sign for the second escape. */
const twice = (name: string) => encodeURIComponent(encodeURIComponent(name)).replaceAll('%', '$');
