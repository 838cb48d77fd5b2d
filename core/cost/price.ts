/**
 * What a run costs: its operations at an assumed share of each instance's peak rate, and what starting jobs takes.
 *
 * `prices.json` has list prices of Linux on demand. GPUs' peak rates are those of the makers' data sheets (L4, A10G, L40S,
 * H100 SXM), dense, in float32 on the CUDA cores, in TF32 and in bfloat16; those of CPUs are cores (two vCPUs) times clock
 * times operations a cycle: 32 with AVX2 for EPYC 7R32 (g5) and 7R13 at 3.3 and 3.4 GHz, 64 with AVX-512 for the Xeon of m7i
 * at 3.2 GHz. SageMaker asks 1.4 times the price of EC2 for g5 and g6, and less for other types.
 *
 * The shares are assumed. In float32 a training step of Pythia-70m reaches 38 % on an H200, and on CPUs more. TF32 trains
 * 1.6 times as many tokens there, at only 8 % of its peak, because much is not matrix products; 25 % of an L4's TF32 is 1.4
 * times its float32, and 15 % of its bfloat16 1.7 times (docs/performance.md). Plain JavaScript trains at 1/250 of the rate
 * of ONNX Runtime (docs/decisions/0005-traced-engine.md).
 */
import { onGpu } from '../config/runtimes.ts';
import type { RunConfig } from '../config/schema.ts';
import { ConfigError } from '../errors.ts';
import type { CorpusIndex } from '../formats.ts';
import { DEFAULT_DEPLOYMENT, type Deployment } from './deployment.ts';
import { type CostEstimate, estimateCost, estimateStages, type StageFlops, type StageJobs } from './estimate.ts';
import prices from './prices.json' with { type: 'json' };

interface Instance {
  instance: string;
  onDemandUsdPerHour: number;
  cpu: { vcpus: number; teraflops: number };
  gpu?: { name: string; gigabytes: number; count: number; teraflops: Record<RunConfig['engine']['precision'], number> };
}

const INSTANCES: Instance[] = prices.instances;

/** Where a run is. */
export interface Place {
  /** @default - the default settings */
  deployment?: Deployment;
  /** What pretrains. @default batch */
  trainer?: 'batch' | 'sagemaker';
  /** @default - not prepared: pools are the least that they must be */
  corpus?: CorpusIndex;
  /** Of the corpus's inputs. @default - the least that gives the rows that the run must have */
  textBytes?: number;
}

/** Hours and dollars on one instance type, and on the one of SageMaker where that pretrains. */
export interface InstanceCost {
  instance: string;
  /** Whether the deployment's settings name it; the others are to compare. */
  deployed: boolean;
  accelerators: string;
  /** Of instance time, all jobs added up; jobs side by side make a run shorter and not cheaper. */
  hours: number;
  onDemandUsd: number;
  spotUsd: number;
}

/** What `mates plan` and a dry run answer: the estimate, and its price on each instance type. */
export interface PricedPlan extends CostEstimate {
  name: string;
  totalFlops: number;
  instances: InstanceCost[];
  /** Date of the price file. */
  pricesDated: string;
}

export function pricePlan(config: RunConfig, place: Place = {}): PricedPlan {
  const estimate = estimateCost(config, place.corpus);
  const totalFlops = Object.values(estimate.flops).reduce((total, part) => total + part, 0);
  const instances = costsThrough(config, config.pretrain.stages - 1, place);
  return { name: config.name, ...estimate, totalFlops, instances, pricesDated };
}

/**
 * Estimated dollars, on demand on the dearest of the deployment's instance types, from the start of a run to the end of a
 * stage: what `maxCostUsd` is held against. Attempts that are lost with a spot instance are not counted.
 *
 * @throws ConfigError where no price is known of what is deployed.
 */
export function costThroughStage(config: RunConfig, stage: number, place: Place = {}): number {
  checkPrices(config, place.deployment);
  const deployed = costsThrough(config, stage, place).filter((cost) => cost.deployed);
  return Math.max(...deployed.map(({ onDemandUsd }) => onDemandUsd));
}

/** @throws ConfigError where no price is known of what is deployed, so that nothing could hold a run to `maxCostUsd`. */
export function checkPrices(config: RunConfig, deployment?: Deployment): void {
  if (INSTANCES.some((instance) => isDeployed(instance, config, deployment))) return;
  throw new ConfigError(
    `maxCostUsd: there is no price of ${queueInstances(config, deployment).join(' or ')} to hold it against, only of ` +
      `${INSTANCES.map(({ instance }) => instance).join(', ')}: deploy with one of these, or start the run without maxCostUsd.`,
  );
}

/** On each instance type that the run could be on, from its start to the end of a stage. */
function costsThrough(config: RunConfig, last: number, place: Place): InstanceCost[] {
  const stages = estimateStages(config, place.corpus, last + 1);
  const onSageMaker = place.trainer === 'sagemaker' ? sagemakerInstance(config, place.deployment) : undefined;
  return instancesFor(config, place.deployment).map((instance) => {
    let hours = overheadHours(1, 1); // the corpus is prepared before the first stage
    let trainingHours = 0;
    for (const { work } of stages) {
      const batch = work.filter(({ task }) => !onSageMaker || task !== 'pretrain');
      const jobs = batch.reduce((count, { jobs }) => count + jobs, 0);
      hours += overheadHours(jobs, new Set(batch.map(({ task }) => task)).size);
      for (const one of batch) hours += computeHours(one, instance, config);
      // Each training job has an instance of its own, which starts with it.
      for (const one of work)
        if (onSageMaker && !batch.includes(one))
          trainingHours += overheadHours(1, 1) + computeHours(one, onSageMaker, config);
    }
    const onDemandUsd = hours * instance.onDemandUsdPerHour + trainingHours * (onSageMaker?.onDemandUsdPerHour ?? 0);
    return {
      deployed: isDeployed(instance, config, place.deployment),
      instance: [instance, ...(onSageMaker ? [onSageMaker] : [])].map((one) => one.instance).join(' + '),
      accelerators: computer(instance, config),
      hours: hours + trainingHours,
      onDemandUsd,
      spotUsd: onDemandUsd * (1 - prices.spotDiscount),
    };
  });
}

/** A container starts and loads its inputs in about a minute; a step brings up instances, which boot and pull the image. */
const overheadHours = (jobs: number, steps: number) =>
  (jobs * prices.minutesPerJob + steps * prices.minutesPerStep) / 60;

/** Hours of computing on one instance of a type, by as many jobs side by side as it has GPUs. */
export function computeHours(
  { part, flops }: Pick<StageJobs, 'part' | 'flops'>,
  on: Instance,
  config: RunConfig,
): number {
  return flops / operationsPerSecond(on, config.engine, part) / 3600;
}

function operationsPerSecond(
  { cpu, gpu }: Instance,
  { runtime, precision }: RunConfig['engine'],
  part: keyof StageFlops,
): number {
  const { utilisation } = prices;
  if (!onGpu(runtime)) return 1e12 * cpu.teraflops * utilisation[runtime === 'onnx' ? 'float32' : 'javascript'];
  // `mixed` leaves losses that are only read in float32: most of what is neither of the two arms' training.
  const training = part === 'pretrain' || part === 'control';
  const used = precision === 'mixed' && !training ? 'float32' : precision;
  return 1e12 * gpu!.count * gpu!.teraflops[used] * utilisation[used];
}

/**
 * Instance types that jobs of the run could be on, the deployment's first. On the GPU queue a run without a GPU runtime
 * computes on the CPUs of GPU instances, and pays for both.
 */
export function instancesFor(config: RunConfig, deployment = DEFAULT_DEPLOYMENT): Instance[] {
  const deployed = INSTANCES.filter((instance) => isDeployed(instance, config, deployment));
  const others = INSTANCES.filter(({ gpu }) => onGpu(config.engine.runtime) === (gpu !== undefined));
  return [...new Set([...deployed, ...others])];
}

/** Instance types and families of the queue that the run's jobs are in. */
function queueInstances({ engine }: RunConfig, deployment = DEFAULT_DEPLOYMENT): string[] {
  const { accelerator, gpuInstances, cpuInstances } = deployment;
  return onGpu(engine.runtime) || accelerator === 'gpu' ? gpuInstances : cpuInstances;
}

function isDeployed({ instance }: Instance, config: RunConfig, deployment?: Deployment): boolean {
  return queueInstances(config, deployment).some((name) => instance === name || instance.startsWith(`${name}.`));
}

/** The setting's type at SageMaker's price; the default one in place of a type that the price file lacks. */
export function sagemakerInstance({ engine }: RunConfig, { sagemakerInstanceType } = DEFAULT_DEPLOYMENT): Instance {
  const find = (type: string) =>
    INSTANCES.find(({ instance, gpu }) => `ml.${instance}` === type && (gpu || !onGpu(engine.runtime)));
  const found = find(sagemakerInstanceType) ?? find(DEFAULT_DEPLOYMENT.sagemakerInstanceType)!;
  // A training job has the whole instance to itself, of which tfjs-gpu drives one GPU.
  const gpu = found.gpu && engine.runtime === 'tfjs-gpu' ? { ...found.gpu, count: 1 } : found.gpu;
  return {
    ...found,
    gpu,
    instance: `ml.${found.instance}`,
    onDemandUsdPerHour: found.onDemandUsdPerHour * prices.sagemakerMarkup,
  };
}

function computer({ cpu, gpu }: Instance, { engine }: RunConfig): string {
  return gpu && onGpu(engine.runtime) ? `${gpu.count} x ${gpu.name}` : `${cpu.vcpus} vCPUs`;
}

/** What the deployed stacks cost a month while nothing runs, by their `network` setting, without stored data. */
export function idleUsdPerMonth(network: 'nat' | 'endpoints'): number {
  const { hoursPerMonth, interfaceEndpointUsdPerHour, interfaceEndpoints, alarms } = prices.idle;
  const nat = prices.idle.natGatewayUsdPerHour + prices.idle.publicAddressUsdPerHour;
  const perHour = network === 'nat' ? nat : interfaceEndpoints * interfaceEndpointUsdPerHour;
  return hoursPerMonth * perHour + alarms * prices.idle.alarmUsdPerMonth;
}

export const pricesDated = prices.dated;
export const priceAssumptions = prices;
