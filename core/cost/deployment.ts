/**
 * The settings of a deployment that decide what a run costs there, and how long and how large its jobs may be; a part
 * of lib/settings.ts.
 */
export interface Deployment {
  accelerator: 'gpu' | 'cpu';
  /** Instance families or types of the GPU and of the CPU environments. */
  gpuInstances: string[];
  cpuInstances: string[];
  /** The most vCPUs of each environment, spot and on demand. */
  maxGpuVcpus: number;
  maxCpuVcpus: number;
  sagemakerInstanceType: string;
  /** Jobs of a map at once. */
  mapConcurrency?: number;
  /** Arms that pretrain at once. */
  pretrainConcurrency: number;
  jobVcpus: number;
  jobMemoryMib: number;
  rootVolumeGib: number;
  jobTimeoutHours: number;
  jobAttempts: number;
  runTimeoutDays: number;
  /** The most that any run may cost. @default - nothing but a run's own `maxCostUsd` limits it */
  maxRunCostUsd?: number;
}

/** The settings that apply when none are given, and when nothing is deployed. */
export const DEFAULT_DEPLOYMENT: Deployment = {
  accelerator: 'gpu',
  gpuInstances: ['g6.xlarge', 'g5.xlarge'],
  cpuInstances: ['m7i.xlarge', 'm6i.xlarge', 'm6a.xlarge'],
  maxGpuVcpus: 64,
  maxCpuVcpus: 64,
  sagemakerInstanceType: 'ml.g5.xlarge',
  mapConcurrency: 16, // 64 vCPUs of g6.xlarge; see mapConcurrency() in lib/settings.ts
  pretrainConcurrency: 2,
  jobVcpus: 4,
  jobMemoryMib: 14_336,
  rootVolumeGib: 200,
  jobTimeoutHours: 24,
  jobAttempts: 10,
  runTimeoutDays: 30,
  maxRunCostUsd: undefined, // named all the same: the functions are told the settings that are named here
};
