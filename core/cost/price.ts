/**
 * What a run costs: its operations at an assumed share of each instance's peak rate, and what starting jobs takes.
 *
 * `prices.json` has list prices of Linux on demand. GPUs' peak rates are those of the makers' data sheets (L4, A10G, L40S,
 * H100 SXM), dense, in float32 on the CUDA cores, in TF32 and in bfloat16; those of CPUs are cores (two vCPUs) times clock
 * times operations a cycle: 32 with AVX2 for EPYC 7R32 (g5) and 7R13 (g6, m6a) at 3.3 and 3.4 GHz, 64 with AVX-512 for the Xeons of m7i, m6i and m6id
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
import type { StageTask, TaskName } from '../tasks.ts';
import { DEFAULT_DEPLOYMENT, type Deployment } from './deployment.ts';
import {
  type CostEstimate,
  estimateCost,
  estimateStages,
  type KnownInputs,
  type StageFlops,
  type StageJobs,
} from './estimate.ts';
import { leastTextBytes, preparationHours, preparedBytes } from './preparation.ts';
import prices from './prices.json' with { type: 'json' };

export interface Instance {
  instance: string;
  onDemandUsdPerHour: number;
  cpu: { vcpus: number; teraflops: number };
  gpu?: { name: string; gigabytes: number; count: number; teraflops: Record<RunConfig['engine']['precision'], number> };
}

/** An instance on which jobs of a deployment run. */
export interface Host extends Instance {
  /** Jobs that have room on it: each has one GPU, or its vCPUs. A whole instance is billed, even where jobs use a part of it. */
  jobsAtOnce: number;
  /** The share of its operations per second that one job has. */
  jobShare: number;
}

const INSTANCES: Instance[] = prices.instances;

/** Where a run is done, and what is known about it. */
export interface Place extends KnownInputs {
  /** @default - the default settings */
  deployment?: Deployment;
  /** What pretrains. @default batch */
  trainer?: 'batch' | 'sagemaker';
  /** Bytes of text in the corpus's inputs. @default - the least that gives the rows that the run must have */
  textBytes?: number;
  /**
   * Of each stage so far, the hours that its jobs were at work, added up by task; the first one's have those of preparing
   * the corpus. The last one goes on; those before are done. A trainer of one's own records none. @default - the estimate holds
   */
  measured?: readonly JobHours[];
}

type JobHours = ReadonlyMap<TaskName, number>;

/** Hours and dollars on one instance type, and on SageMaker's if that pretrains. */
export interface InstanceCost {
  instance: string;
  /** Whether the deployment's settings name it; the others are given for comparison. */
  deployed: boolean;
  accelerators: string;
  /** Hours of instance time, added up over all jobs: running them side by side makes a run shorter, not cheaper. */
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
  const estimate = estimateCost(config, place);
  const totalFlops = Object.values(estimate.flops).reduce((total, part) => total + part, 0);
  const instances = costsThrough(config, config.pretrain.stages - 1, place);
  return { name: config.name, ...estimate, totalFlops, instances, pricesDated: prices.dated };
}

/**
 * Estimated dollars, on demand on the dearest of the deployment's instance types, from the start of a run to the end of a
 * stage, for comparison with `maxCostUsd` or the deployment's `maxRunCostUsd`. Hours that are recorded count where they
 * are more than was estimated. If the latest stage that is done took longer than estimated, those to come are assumed to,
 * by the same factor. Attempts that end without a record, as when an instance is lost at once, are not counted.
 *
 * @throws ConfigError when the price of what is deployed is not known.
 */
export function costThroughStage(config: RunConfig, stage: number, place: Place = {}): number {
  checkPrices(config, place);
  const deployed = costsThrough(config, stage, place).filter((cost) => cost.deployed);
  return Math.max(...deployed.map(({ onDemandUsd }) => onDemandUsd));
}

/**
 * @throws ConfigError when a price of what is deployed is missing, so that nothing could hold a run to its cap.
 */
function checkPrices(config: RunConfig, { deployment = DEFAULT_DEPLOYMENT, trainer }: Place): void {
  const { cpuInstances, sagemakerInstanceType, maxRunCostUsd } = deployment;
  const used = [...queueInstances(config, deployment), ...(preparesCorpus(config) ? cpuInstances : [])];
  // From a family, Batch may take any size for one small job, and all of it is billed.
  const unpriced = new Set(used.filter((name) => !name.includes('.') || !instanceCalled(name)));
  if (trainer === 'sagemaker' && !onSageMaker(config, sagemakerInstanceType)) unpriced.add(sagemakerInstanceType);
  if (unpriced.size === 0) return;
  const [cap, without] =
    maxRunCostUsd === undefined
      ? ['maxCostUsd', 'start the run without maxCostUsd']
      : ['maxRunCostUsd', 'without both maxRunCostUsd and maxCostUsd'];
  throw new ConfigError(
    `${cap}: there is no price of ${[...unpriced].join(' or ')} to hold it against, only of the types ` +
      `${INSTANCES.map(({ instance }) => instance).join(', ')}, and of other sizes of those without a GPU: ` +
      `deploy with these alone, or ${without}.`,
  );
}

/** The cost on each instance type that the run could be on, from its start to the end of a stage. */
function costsThrough(config: RunConfig, last: number, place: Place): InstanceCost[] {
  const stages = estimateStages(config, place, last + 1).map(({ work }) => work);
  const trainsOn = place.trainer === 'sagemaker' ? sagemakerInstance(config, place.deployment) : undefined;
  const isApart = ({ task }: StageJobs) => trainsOn !== undefined && task === 'pretrain';
  const hoursOn = (on: Host, apart: boolean) =>
    stages.map((work) => {
      const jobs = work.filter((one) => isApart(one) === apart);
      return stageHours(jobs, on, config, place.deployment);
    });
  const onSageMaker = hoursOn(trainsOn!, true);
  const preparing = preparingHours(config, place);
  const preparesOn = dearestCpus(place.deployment);
  return instancesFor(config, place.deployment).map((instance) => {
    const onBatch = hoursOn(instance, false);
    const longer = timesLonger(place.measured ?? [], [onBatch, onSageMaker]);
    const hoursOf = ({ starting, tasks }: StageHours, stage: number) =>
      starting + sumOf(tasks, ({ task, ofInstances }) => longer(stage, task) * ofInstances);
    const hours = sumOf(onBatch, hoursOf);
    const trainingHours = sumOf(onSageMaker, hoursOf);
    const onDemandUsd =
      preparing * preparesOn.onDemandUsdPerHour +
      hours * instance.onDemandUsdPerHour +
      trainingHours * (trainsOn?.onDemandUsdPerHour ?? 0);
    return {
      deployed: isDeployed(instance, config, place.deployment),
      instance: [instance, ...(trainsOn ? [trainsOn] : [])].map((one) => one.instance).join(' + '),
      accelerators: computer(instance, config),
      hours: preparing + hours + trainingHours,
      onDemandUsd,
      spotUsd: onDemandUsd * (1 - prices.spotDiscount),
    };
  });
}

/** Hours of a stage. */
interface StageHours {
  /** Of instances, until they have started. */
  starting: number;
  tasks: readonly TaskHours[];
}

interface TaskHours {
  task: StageTask;
  ofInstances: number;
  /** Each job counted by itself: an instance may have several at once. */
  ofJobs: number;
}

function stageHours(
  work: readonly StageJobs[],
  on: Host,
  config: RunConfig,
  deployment: Deployment | undefined,
): StageHours {
  const tasks = work.map((one) => {
    const ofJob = prices.minutesPerJob / 60 + jobHours(one, on, config);
    return { task: one.task, ofInstances: Math.ceil(one.jobs / on.jobsAtOnce) * ofJob, ofJobs: one.jobs * ofJob };
  });
  return { starting: startHours(instancesStarted(work, on, deployment)), tasks };
}

/** Instances that the steps of a stage start. Those of one step are taken to be gone when the next begins. */
function instancesStarted(
  work: readonly StageJobs[],
  on: Host,
  { mapConcurrency = Number.POSITIVE_INFINITY } = DEFAULT_DEPLOYMENT,
): number {
  const jobs = new Map<StageTask, number>();
  for (const one of work) jobs.set(one.task, (jobs.get(one.task) ?? 0) + one.jobs);
  return sumOf([...jobs.values()], (count) => Math.ceil(Math.min(count, mapConcurrency) / on.jobsAtOnce));
}

/**
 * By what factor a task of a stage takes longer than estimated, at least 1. A stage that is done has one factor for all of
 * its tasks, also for those that nothing is recorded of, and hands it on to the stages to come.
 */
function timesLonger(
  measured: readonly JobHours[],
  estimated: readonly StageHours[][],
): (stage: number, task: StageTask) => number {
  const ratio = (stage: number, isCounted = (_task: StageTask) => true): number => {
    const recorded = measured[stage]!;
    const tasks = estimated.flatMap((stages) => stages[stage]!.tasks);
    const known = tasks.filter(({ task }) => recorded.has(task) && isCounted(task));
    const hours = sumOf([...new Set(known.map(({ task }) => task))], (task) => recorded.get(task)!);
    return Math.max(1, known.length > 0 ? hours / sumOf(known, ({ ofJobs }) => ofJobs) : 1);
  };
  const goesOn = measured.length - 1;
  const done = measured.slice(0, -1).map((_, stage) => ratio(stage));
  const latest = done.at(-1) ?? 1;
  return (stage, task) =>
    done[stage] ?? Math.max(latest, stage === goesOn ? ratio(stage, (counted) => counted === task) : 1);
}

const sumOf = <T>(items: readonly T[], value: (item: T, index: number) => number) =>
  items.reduce((sum, item, i) => sum + value(item, i), 0);

/** What a corpus is taken to be prepared on: the dearest of the deployment's CPU instances with a price, or of all. */
function dearestCpus({ cpuInstances } = DEFAULT_DEPLOYMENT): Instance {
  const deployed = cpuInstances.flatMap((name) => instanceCalled(name) ?? []);
  const cpus = deployed.length > 0 ? deployed : INSTANCES.filter(({ gpu }) => !gpu);
  return cpus.reduce((a, b) => (a.onDemandUsdPerHour > b.onDemandUsdPerHour ? a : b));
}

/** Whether the run prepares its corpus itself, before the first stage. */
const preparesCorpus = ({ corpus }: RunConfig) => corpus.prepared === undefined;

/** Hours of preparing the corpus, or of looking at it if it was prepared beforehand. */
function preparingHours(config: RunConfig, { deployment = DEFAULT_DEPLOYMENT, corpus, ...place }: Place): number {
  const least = prices.minutesPerJob / 60;
  if (!preparesCorpus(config)) return startHours(1) + least;
  const bytes = place.textBytes ?? (corpus ? preparedBytes(corpus) : leastTextBytes(config));
  const { reading, packing } = preparationHours(bytes, deployment.jobVcpus);
  const measured = place.measured?.[0]?.get('prepare') ?? 0;
  return startHours(1) + Math.max(least + reading + packing, measured);
}

/** Hours for starting instances, which boot and pull the image. */
const startHours = (instances: number) => (instances * prices.minutesPerStart) / 60;

/** Hours that one of the jobs computes; in addition, each takes about a minute to start and load its inputs. */
export function jobHours({ part, flops, jobs }: Omit<StageJobs, 'task'>, on: Host, config: RunConfig): number {
  return flops / jobs / (on.jobShare * operationsPerSecond(on, config.engine, part)) / 3600;
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
export function instancesFor(config: RunConfig, deployment = DEFAULT_DEPLOYMENT): Host[] {
  const deployed = queueInstances(config, deployment).flatMap((name) => instanceCalled(name) ?? []);
  const others = INSTANCES.filter(({ gpu }) => onGpu(config.engine.runtime) === (gpu !== undefined));
  const byName = new Map([...deployed, ...others].map((instance) => [instance.instance, instance]));
  return [...byName.values()].map((instance) => {
    const { cpu, gpu } = instance;
    const vcpuShare = Math.min(1, deployment.jobVcpus / cpu.vcpus);
    // A job of the GPU queue has a GPU even if it computes on CPUs.
    const jobsAtOnce = gpu?.count ?? Math.floor(1 / vcpuShare);
    return { ...instance, jobsAtOnce, jobShare: gpu && onGpu(config.engine.runtime) ? 1 / gpu.count : vcpuShare };
  });
}

/** Instance types and families of the queue that the run's jobs are in. */
function queueInstances({ engine }: RunConfig, deployment = DEFAULT_DEPLOYMENT): string[] {
  const { accelerator, gpuInstances, cpuInstances } = deployment;
  return onGpu(engine.runtime) || accelerator === 'gpu' ? gpuInstances : cpuInstances;
}

function isDeployed({ instance }: Instance, config: RunConfig, deployment?: Deployment): boolean {
  return queueInstances(config, deployment).some((name) => instanceCalled(name)?.instance === instance);
}

/**
 * The instance type of a name, or the smallest of a family. Without a GPU, a type's vCPUs and price are those of its
 * family's xlarge times its size. Types with GPUs differ in the number of GPUs, too, and their families have no price.
 */
function instanceCalled(name: string): Instance | undefined {
  const listed = INSTANCES.find(({ instance }) => instance === name);
  if (listed) return listed;
  const { family, times = '1' } = /^(?<family>\w+)(\.(?<times>\d+)xlarge)?$/.exec(name)?.groups ?? {};
  const smallest = INSTANCES.find(({ instance, gpu }) => !gpu && instance === `${family}.xlarge`);
  if (!smallest) return undefined;
  const { onDemandUsdPerHour, cpu } = smallest;
  return {
    instance: times === '1' ? smallest.instance : name,
    onDemandUsdPerHour: Number(times) * onDemandUsdPerHour,
    cpu: { vcpus: Number(times) * cpu.vcpus, teraflops: Number(times) * cpu.teraflops },
  };
}

/** GPUs of an instance type; undefined for one without a price. */
export const gpusOf = (type: string): number | undefined => instanceCalled(type)?.gpu?.count;

/** The setting's type at SageMaker's price; for a type without a price the default one, for want of a better guess. */
export function sagemakerInstance(config: RunConfig, { sagemakerInstanceType } = DEFAULT_DEPLOYMENT): Host {
  const type =
    onSageMaker(config, sagemakerInstanceType) ?? onSageMaker(config, DEFAULT_DEPLOYMENT.sagemakerInstanceType)!;
  return {
    ...type,
    // A training job has the whole instance to itself, of which tfjs-gpu drives one GPU.
    jobsAtOnce: 1,
    jobShare: config.engine.runtime === 'tfjs-gpu' ? 1 / (type.gpu?.count ?? 1) : 1,
    instance: `ml.${type.instance}`,
    onDemandUsdPerHour: type.onDemandUsdPerHour * prices.sagemakerMarkup,
  };
}

/** The instance type behind one of SageMaker's, if its price is known and it has what the run computes with. */
function onSageMaker({ engine }: RunConfig, type: string): Instance | undefined {
  return INSTANCES.find(({ instance, gpu }) => `ml.${instance}` === type && (gpu || !onGpu(engine.runtime)));
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

export const priceAssumptions = prices;
