import { App } from 'aws-cdk-lib/core';
import { describe, expect, it } from 'vitest';
import { DEFAULT_DEPLOYMENT } from '../../core/cost/deployment.ts';
import { ConfigError } from '../../core/errors.ts';
import { parseEcr } from '../../lib/ecr-reference.ts';
import { mapConcurrency, parseSettings, readSettings, SETTING_NAMES } from '../../lib/settings.ts';
import { projectContext } from '../../lib/synthesize.ts';

const IN_EUROPE = { account: '123456789012', region: 'eu-west-1' };

describe('context', () => {
  it('of cdk.json lists every setting with its default', () => {
    const context = projectContext();
    const defaults: Record<string, unknown> = { ...parseSettings() };
    for (const name of SETTING_NAMES) {
      expect(context, name).toHaveProperty(name);
      expect(context[name], name).toEqual(defaults[name] ?? null);
    }
  });

  it('holds the feature flags of a new app, and strong references between stacks', () => {
    const context = projectContext();
    expect(Object.keys(context).filter((name) => name.startsWith('@aws-cdk')).length).toBeGreaterThan(60);
    // Weak ones need Fn::GetStackOutput, which emulators lack; and the lake must not go while a pipeline uses it.
    expect(context['@aws-cdk/core:defaultCrossStackReferences']).toBe('strong');
  });

  it('may come as strings from the command line', () => {
    const { node } = new App({
      context: { spot: 'false', gpuInstances: 'g5.xlarge, p4d', maxGpuVcpus: '8', monthlyBudgetUsd: '99.5', image: '' },
    });
    const settings = readSettings(node);
    expect(settings.image).toBeUndefined();
    expect(settings).toMatchObject({
      spot: false,
      gpuInstances: ['g5.xlarge', 'p4d'],
      maxGpuVcpus: 8,
      monthlyBudgetUsd: 99.5,
    });
  });

  it('runs as many jobs of a map at once as one environment holds, unless told otherwise', () => {
    const jobs = (values: object) => mapConcurrency(parseSettings({ ...values }));
    expect(jobs({})).toBe(16);
    expect(DEFAULT_DEPLOYMENT.mapConcurrency).toBe(16);
    const larger = { gpuInstances: 'g6.2xlarge', cpuInstances: 'm7i.2xlarge' };
    expect(jobs({ ...larger, maxGpuVcpus: 100, jobVcpus: 8 })).toBe(12);
    // a job has a GPU, and of the type that holds fewest no more may run than one environment has room for
    expect(jobs({ gpuInstances: 'g6.2xlarge' })).toBe(8);
    expect(jobs({ gpuInstances: 'g6.xlarge,g6.4xlarge' })).toBe(4);
    expect(jobs({ gpuInstances: 'p5.48xlarge' })).toBe(8);
    expect(jobs({ gpuInstances: 'p5.48xlarge', cpuInstances: 'm7i.12xlarge', jobVcpus: 48 })).toBe(4);
    expect(jobs({ gpuInstances: 'g6', cpuInstances: 'm7i', jobVcpus: 8 })).toBe(8);
    expect(jobs({ accelerator: 'cpu', maxCpuVcpus: 2 })).toBe(1);
    expect(jobs({ mapConcurrency: 40 })).toBe(40);
  });

  it.each([
    [{ network: 'vpn' }, 'context network'],
    [{ maxGpuVcpus: '-1' }, 'context maxGpuVcpus'],
    [{ jobAttempts: 11 }, 'context jobAttempts'],
    [{ spot: 'maybe' }, 'context spot'],
    [{ gpuInstances: '' }, 'context gpuInstances'],
    [{ gpuInstances: 'g6.xlarge,m7i.xlarge' }, 'context gpuInstances: m7i.xlarge has no NVIDIA GPU'],
    [{ gpuInstances: 'g4ad' }, 'context gpuInstances: g4ad has no NVIDIA GPU'],
    [
      { gpuInstances: 'g5g.xlarge' },
      'g5g.xlarge has Arm processors, and the images are for x86; choose another type, such as g6.xlarge',
    ],
    [{ gpuInstances: 'p6e-gb200.36xlarge' }, 'context gpuInstances: p6e-gb200.36xlarge has Arm processors'],
    [{ cpuInstances: ['m7i', 'c7gn'], accelerator: 'cpu' }, 'context cpuInstances: c7gn has Arm processors'],
    [{ jobVcpus: 16, gpuInstances: 'g6' }, 'context cpuInstances: none of them has the 16 vCPUs of a job'],
    [{ logRetentionDays: 10 }, 'one of 1, 3, 5'],
    [{ alarmEmail: 'nobody' }, 'context alarmEmail'],
    [{ region: 'eu-west-1' }, 'both or neither'],
    [{ vpcId: 'vpc-1' }, 'context vpcId'],
    [{ sagemakerInstanceType: 'g5.xlarge' }, 'context sagemakerInstanceType'],
    [
      { network: 'endpoints', image: 'ghcr.io/a/b:1' },
      'context image: ghcr.io/a/b:1 cannot be pulled from subnets without',
    ],
    [{ network: 'endpoints', image: 'mates:local' }, 'context image: mates:local cannot be pulled'],
    [{ network: 'endpoints', trainerImage: 'docker.io/a' }, "push it to ECR in the stacks' region"],
    [
      { ...IN_EUROPE, network: 'endpoints', image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/mates:1.0' },
      'push it to ECR in eu-west-1, or deploy with -c network=nat',
    ],
  ])('%j is refused by name', (values, message) => {
    expect(() => parseSettings(values)).toThrow(ConfigError);
    expect(() => parseSettings(values)).toThrow(message);
  });

  it('takes any type with room for a job, and families', () => {
    const types = ['g4dn.12xlarge', 'gr6.4xlarge', 'p5en.48xlarge', 'g6'];
    const cpuInstances = ['m7i-flex.4xlarge', 'c6id.metal', 'is4'];
    expect(parseSettings({ jobVcpus: 16, gpuInstances: types, cpuInstances })).toMatchObject({ gpuInstances: types });
    expect(parseSettings({ accelerator: 'cpu', jobVcpus: 2, cpuInstances: 't3.medium' }).jobVcpus).toBe(2);
    // The queue of GPUs is not deployed then.
    expect(parseSettings({ accelerator: 'cpu', jobVcpus: 4, gpuInstances: 'g5g.large' }).jobVcpus).toBe(4);
  });

  it.each([
    { network: 'nat', image: 'ghcr.io/a/b:1' },
    { ...IN_EUROPE, network: 'endpoints', image: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/mates:1.0' },
    { ...IN_EUROPE, network: 'endpoints', vpcId: 'vpc-1', image: 'ghcr.io/a/b:1' },
  ])('%j has images that can be reached', (values) => {
    expect(parseSettings(values).image).toBe(values.image);
  });
});

it.each([
  ['123456789012.dkr.ecr.us-east-1.amazonaws.com/mates:1.0', { name: 'mates', reference: '1.0' }],
  ['123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b', { name: 'a/b', reference: 'latest' }],
  [
    `123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/mates@sha256:${'a'.repeat(64)}`,
    { region: 'cn-north-1', reference: `sha256:${'a'.repeat(64)}` },
  ],
  [
    `123456789012.dkr.ecr.us-east-1.amazonaws.com/mates:1.0@sha256:${'b'.repeat(64)}`,
    { name: 'mates', reference: `sha256:${'b'.repeat(64)}` },
  ],
  ['ghcr.io/owner/mates:1.0', undefined],
  ['mates:local', undefined],
])('%s is read as an ECR reference or not', (image, parts) => {
  if (parts) expect(parseEcr(image)).toMatchObject(parts);
  else expect(parseEcr(image)).toBeUndefined();
});
