/** Service quotas that a run needs on AWS: some are zero in a new account, and Batch then waits without a word. */
import { onGpu } from '../config/runtimes.ts';
import type { RunConfig } from '../config/schema.ts';
import { DEFAULT_DEPLOYMENT } from './deployment.ts';
import { estimateStages } from './estimate.ts';
import { type Host, instancesFor, type Place } from './price.ts';

export interface QuotaNeed {
  /** As Service Quotas calls it. */
  quota: string;
  /** Absent when it depends on the instance type. */
  code?: string;
  unit: 'vCPUs' | 'instances';
  /** With a lower quota the run cannot begin. */
  least: number;
  /** With a lower quota its widest step runs fewer jobs side by side than the deployment allows. */
  useful: number;
}

/**
 * Quotas by the beginning of the instance type's name; a spot quota covers fewer families than one of on-demand
 * instances.
 */
const FAMILIES: { types: RegExp; name: string; spotName?: string; spot: string; onDemand: string }[] = [
  { types: /^(g|vt)\d/, name: 'G and VT', spot: 'L-3819A6DF', onDemand: 'L-DB2E81BA' },
  { types: /^p5/, name: 'P', spotName: 'P5', spot: 'L-C4BD4855', onDemand: 'L-417A185B' },
  { types: /^p\d/, name: 'P', spotName: 'P4, P3 and P2', spot: 'L-7212CCBC', onDemand: 'L-417A185B' },
  { types: /^/, name: 'Standard', spot: 'L-34B43A08', onDemand: 'L-1216C47A' },
];

/**
 * What is needed on the deployment's first instance type, of spot and of on demand: jobs go on demand if there is no
 * spot.
 */
export function quotaNeeds(
  config: RunConfig,
  { deployment = DEFAULT_DEPLOYMENT, trainer, ...known }: Place,
): QuotaNeed[] {
  const [host] = instancesFor(config, deployment);
  const { vcpus } = host!.cpu;
  const gpus = onGpu(config.engine.runtime) || deployment.accelerator === 'gpu';
  const most = gpus ? deployment.maxGpuVcpus : deployment.maxCpuVcpus;
  const stages = estimateStages(config, known);
  const jobs = Math.max(...stages.flatMap(({ work }) => work.map((one) => one.jobs)));
  const useful = Math.max(vcpus, Math.min(vcpus * Math.ceil(jobs / host!.jobsAtOnce), most));
  const needs = ec2Needs(host!, { least: vcpus, useful });
  // A corpus is prepared on CPUs, whatever the rest runs on.
  if (gpus && config.corpus.prepared === undefined && known.corpus === undefined) {
    const least = deployment.jobVcpus;
    needs.push(...ec2Needs({ instance: deployment.cpuInstances[0]! }, { least, useful: least }));
  }
  if (trainer === 'sagemaker') {
    const arms = Math.max(...stages.map(({ work }) => work.filter(({ task }) => task === 'pretrain').length));
    const quota = `SageMaker: ${deployment.sagemakerInstanceType} for (spot) training job usage`;
    // Both arms train at once, and an arm that is refused for hours fails the run.
    const least = Math.min(arms, deployment.pretrainConcurrency);
    needs.push({ quota, unit: 'instances', least, useful: least });
  }
  return needs;
}

function ec2Needs({ instance }: Pick<Host, 'instance'>, vcpus: { least: number; useful: number }): QuotaNeed[] {
  const { name, spotName = name, spot, onDemand } = FAMILIES.find(({ types }) => types.test(instance))!;
  return [
    { quota: `EC2: All ${spotName} Spot Instance Requests`, code: spot, unit: 'vCPUs', ...vcpus },
    { quota: `EC2: Running On-Demand ${name} instances`, code: onDemand, unit: 'vCPUs', ...vcpus },
  ];
}
