/** Whether a run can be done in the time, in the memory and on the disk that its deployment gives. */

import { onGpu } from '../config/runtimes.ts';
import type { RunConfig } from '../config/schema.ts';
import type { TaskName } from '../tasks.ts';
import { DEFAULT_DEPLOYMENT } from './deployment.ts';
import { estimateStages } from './estimate.ts';
import { trainerMemory } from './memory.ts';
import { diskGib, leastTextBytes, preparationHours } from './preparation.ts';
import { instancesFor, jobHours, type Place, sagemakerInstance } from './price.ts';

/** A job that can resume stops by itself this long before its timeout, after which Batch would not start it again. */
export const DEADLINE_MARGIN_HOURS = 0.5;

/** A training job of SageMaker runs at most 28 days, waiting for spot capacity included (API reference, StoppingCondition). */
export const SAGEMAKER_HOURS = 28 * 24;

/** Tasks whose next attempt goes on where the one before was stopped; the others start over. */
export const RESUMED_TASKS: readonly TaskName[] = ['prepare', 'pretrain', 'probe', 'fit-influence', 'evaluate'];

/** What a user should know before the run starts, by estimates, in sentences that name the setting or field. */
export function limitWarnings(config: RunConfig, place: Place = {}): string[] {
  return [
    ...engineWarnings(config, place),
    ...textWarnings(config, place),
    ...preparationWarnings(config, place),
    ...timeWarnings(config, place),
    ...memoryWarnings(config, place),
  ];
}

/** Only for a deployment: on one machine nobody pays for an idle GPU. */
function engineWarnings({ engine: { runtime } }: RunConfig, { deployment, trainer }: Place): string[] {
  if (trainer === 'sagemaker' && runtime === 'onnx-cuda')
    return [
      "engine.runtime onnx-cuda needs NVIDIA's driver 580 or later, and the image cannot choose that of SageMaker's hosts: try a small run first, " +
        'or train on batch.',
    ];
  if (deployment?.accelerator !== 'gpu' || onGpu(runtime)) return [];
  return [
    `engine.runtime ${runtime} computes on the CPUs of instances that have GPUs: set it to onnx-cuda, or deploy with accelerator=cpu.`,
  ];
}

/**
 * Warns if files have less than half of the text that a run's rows take; closer cases are settled when it is prepared.
 */
function textWarnings(config: RunConfig, { textBytes }: Place): string[] {
  const needed = leastTextBytes(config);
  if (textBytes === undefined || config.corpus.prepared !== undefined || textBytes > needed / 2) return [];
  const size = (bytes: number) => {
    const [value, unit] = bytes < 1e9 ? [bytes / 1e6, 'MB'] : [bytes / 1e9, 'GB'];
    return `${value < 10 ? value.toPrecision(2) : Math.round(value)} ${unit}`;
  };
  return [
    `The corpus's files have about ${size(textBytes)} of text, and rows for all stages take some ${size(needed)}: ` +
      'lower pretrain.stepsPerStage or pretrain.stages, raise selection.fraction, or add text.',
  ];
}

/** Only for a deployment, as one machine's disk is not known, and for a corpus that the run prepares itself. */
function preparationWarnings(config: RunConfig, { deployment, textBytes }: Place): string[] {
  if (!deployment || config.corpus.prepared !== undefined) return [];
  const { rootVolumeGib, jobVcpus, jobTimeoutHours, jobAttempts } = deployment;
  const bytes = textBytes ?? leastTextBytes(config);
  const warnings: string[] = [];
  const gib = diskGib(bytes);
  if (gib > rootVolumeGib)
    warnings.push(
      `Preparing the corpus needs a disk of about ${gib} GiB, for its text unpacked, and instances have ${rootVolumeGib}: ` +
        'deploy with a larger rootVolumeGib, or with cpuInstances that have disks of their own.',
    );
  const { reading, packing } = preparationHours(bytes, jobVcpus);
  const perAttempt = jobTimeoutHours - DEADLINE_MARGIN_HOURS - reading;
  if (packing > jobAttempts * perAttempt)
    warnings.push(
      `Preparing the corpus takes about ${Math.round(reading + packing)} hours on ${jobVcpus} vCPUs, and each of ${jobAttempts} attempts ` +
        `begins with ${Math.round(reading)} of them: deploy with a longer jobTimeoutHours than ${jobTimeoutHours}, or prepare the ` +
        'corpus beforehand (corpus.prepared).',
    );
  return warnings;
}

/** For pretraining and evaluation, which need the most memory unless the model is small. */
function memoryWarnings(config: RunConfig, { deployment = DEFAULT_DEPLOYMENT, corpus }: Place): string[] {
  const { instance, gpu } = instancesFor(config, deployment)[0]!;
  const needed = trainerMemory(config, onGpu(config.engine.runtime), corpus);
  const gigabytes = (bytes: number) => (bytes / 1e9).toPrecision(2);
  const warnings: string[] = [];
  const { jobMemoryMib } = deployment;
  if (needed.host > jobMemoryMib * 2 ** 20)
    warnings.push(
      `Pretraining needs about ${gigabytes(needed.host)} GB of memory, and a job has ${gigabytes(jobMemoryMib * 2 ** 20)}: ` +
        `deploy with a larger jobMemoryMib than ${jobMemoryMib}, on instances that have it.`,
    );
  if (gpu && needed.gpu > gpu.gigabytes * 1e9)
    warnings.push(
      `Pretraining needs about ${gigabytes(needed.gpu)} GB of a GPU's memory, and the ${gpu.name} of ${instance} has ` +
        `${gpu.gigabytes}: lower pretrain.microBatchRows, now ${config.pretrain.microBatchRows}.`,
    );
  return warnings;
}

/**
 * What is estimated to take longer than it may, on the deployment's first instance type or SageMaker's, in sentences
 * that name the setting. Waiting for capacity comes on top.
 */
function timeWarnings(config: RunConfig, place: Place): string[] {
  const { deployment = DEFAULT_DEPLOYMENT, trainer } = place;
  const { jobTimeoutHours, jobAttempts, runTimeoutDays } = deployment;
  const [usual] = instancesFor(config, deployment);
  const longest = new Map<string, { hours: number; warning: string }>();
  let runHours = 0;
  for (const { work } of estimateStages(config, place)) {
    const inStage = new Map<string, number>();
    for (const { task, part, jobs, flops } of work) {
      const onSageMaker = task === 'pretrain' && trainer === 'sagemaker';
      const instance = onSageMaker ? sagemakerInstance(config, deployment) : usual!;
      const hours = jobHours({ part, flops, jobs }, instance, config);
      inStage.set(task, Math.max(inStage.get(task) ?? 0, hours));
      // SageMaker starts a job again after a spot interruption, but not when its time is up.
      const resumes = RESUMED_TASKS.includes(task) && !onSageMaker;
      const attempts = resumes ? jobAttempts : 1;
      const isMost = onSageMaker && jobTimeoutHours >= SAGEMAKER_HOURS;
      const perAttempt = isMost ? SAGEMAKER_HOURS : jobTimeoutHours;
      const usable = resumes ? perAttempt - DEADLINE_MARGIN_HOURS : perAttempt;
      const needed = Math.ceil(hours / usable);
      const enough = resumes ? Math.max(1, attempts / 2) : attempts; // interruptions use the same attempts
      if (needed <= enough || hours <= (longest.get(task)?.hours ?? 0)) continue;
      const has =
        needed > attempts
          ? `and has ${Math.round(attempts * usable)}${attempts > 1 ? ` in ${attempts} attempts` : ''}`
          : `${needed} of its ${attempts} attempts, which are for interruptions too`;
      const remedy = isMost ? 'deploy' : `deploy with a longer jobTimeoutHours than ${jobTimeoutHours}, or`;
      const warning =
        `A job of ${task} takes about ${Math.round(hours)} hours on ${instance.instance}, ${has}: ` +
        `${remedy} on faster instances${isMost ? ', or let Batch pretrain, which resumes it' : ''}.`;
      longest.set(task, { hours, warning });
    }
    runHours += [...inStage.values()].reduce((sum, hours) => sum + hours, 0);
  }
  const warnings = Array.from(longest.values(), ({ warning }) => warning);
  if (runHours > 24 * runTimeoutDays)
    warnings.push(
      `The run takes at least ${Math.round(runHours / 24)} days on ${usual!.instance}, and is stopped after runTimeoutDays, ` +
        `${runTimeoutDays}: then end the jobs that it has left (mates stop), and start it again with resumeFrom.`,
    );
  return warnings;
}
