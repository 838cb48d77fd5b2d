import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { repeatableFiles } from '../../core/run/manifest.ts';
import { MemoryStore } from '../memory-store.ts';
import { allStates, type Definition, type State, synthesize } from './templates.ts';

// CommonJS without usable types.
const validate = createRequire(import.meta.url)('asl-validator') as (definition: object) => {
  isValid: boolean;
  errorsText(separator: string): string;
};

const { definition } = synthesize();
const other = synthesize({ spot: 'false', pretrainConcurrency: '1', jobTimeoutHours: '800' }).definition;
const states = Object.fromEntries(allStates(definition));
const jobs = Object.entries(states).filter(([, state]) => state.Resource?.endsWith(':batch:submitJob.sync'));
const functions = Object.entries(states).filter(([, state]) => state.Resource?.endsWith(':lambda:invoke'));

const environment = (state: State): Record<string, string> =>
  Object.fromEntries(
    state.Parameters.ContainerOverrides.Environment.map((variable: Record<string, string>) => [
      variable.Name,
      variable['Value.$'] ?? variable.Value,
    ]),
  );

describe('the definition', () => {
  it('is valid States Language', () => {
    const { isValid, errorsText } = validate(definition);
    expect(isValid ? '' : errorsText('\n')).toBe('');
  });

  it('fits the limits of the service', () => {
    expect(JSON.stringify(definition).length).toBeLessThan(1_000_000);
    for (const [, { Label }] of allStates(definition)) expect(String(Label ?? '').length).toBeLessThanOrEqual(40);
  });

  it('names its states in sentences of at most 80 characters', () => {
    const ids = allStates(definition).map(([id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[A-Z][A-Za-z :?-]{5,79}$/);
  });

  it('goes round in the order of the algorithm', () => {
    const scored = { 'Is the pool scored?': true };
    const prepared = { ...scored, 'Does the probe need preparing?': true };
    expect(walk(definition, { ...prepared, 'Are hold-out rows probed?': true })).toEqual([
      'Validate the run',
      'Is this a dry run?',
      'Prepare the corpus',
      'Plan the stage',
      'Is there budget for the stage?',
      'Is the pool scored?',
      'Does the probe need preparing?',
      'Prepare the probe',
      'Are hold-out rows probed?',
      'Probe the influence',
      'Fit the influence model',
      'Score the pool',
      'Select the documents',
      'Pretrain every arm',
      'Advance the stage',
      'Are there more stages?',
      'Finish the run',
      'Run finished',
    ]);
    expect(walk(definition, scored)).toEqual(expect.arrayContaining(['Fit the influence model', 'Score the pool']));
    expect(walk(definition, scored)).not.toContain('Prepare the probe');
    expect(walk(definition, scored)).not.toContain('Probe the influence');
    expect(walk(definition)).not.toContain('Score the pool');
    expect(walk(definition, { 'Is this a dry run?': true }).at(-1)).toBe('Dry run: report the plan');
    expect(walk(definition, { 'Is there budget for the stage?': true }).at(-1)).toBe('Cost cap reached');
    expect(states['Are there more stages?']!.Choices![0]!.Next).toBe('Plan the stage');
    expect(walk(states['Pretrain every arm']!.ItemProcessor!)).toEqual(['Where to pretrain', 'Pretrain', 'Evaluate']);
    expect(walk(states['Pretrain every arm']!.ItemProcessor!, { 'Where to pretrain': true })).toEqual([
      'Where to pretrain',
      'Pretrain on SageMaker',
      'Evaluate',
    ]);
  });

  it('reaches every state', () => {
    const targets = allStates(definition).flatMap(([, state]) => [
      state.Next,
      state.Default,
      ...(state.Choices ?? []).map(({ Next }) => Next),
      ...(state.Catch ?? []).map(({ Next }) => Next),
      state.ItemProcessor?.StartAt,
    ]);
    for (const [id] of allStates(definition)) expect([definition.StartAt, ...targets]).toContain(id);
  });
});

describe('errors', () => {
  it('of every top-level step end the run with their name and cause', () => {
    for (const [id, state] of Object.entries(definition.States))
      if (state.Type === 'Task' || state.Type === 'Map')
        expect(state.Catch, id).toEqual([{ ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: 'Run failed' }]);
    expect(states['Run failed']).toMatchObject({ ErrorPath: '$.error.Error', CausePath: '$.error.Cause' });
  });

  it('inside maps are left to the map', () => {
    for (const id of ['Probe a slice', 'Score a slice', 'Pretrain', 'Evaluate', 'Pretrain on SageMaker'])
      expect(states[id]!.Catch, id).toBeUndefined();
  });

  it.each([...functions, ...jobs])('%s retries faults of the service alone, with backoff and jitter', (_, state) => {
    const [retry] = state.Retry!;
    for (const error of retry!.ErrorEquals) expect(error).toMatch(/^(Lambda|Batch)\.\w+(Exception)$|^TransientError$/);
    expect(retry!.BackoffRate).toBeGreaterThanOrEqual(2);
    for (const { JitterStrategy } of state.Retry!) expect(JitterStrategy).toBe('FULL');
  });
});

it('calls its functions in the version of the deployment, so that a running execution keeps its code', () => {
  expect(functions).toHaveLength(5);
  for (const [, state] of functions) expect(state.Parameters.FunctionName).toMatch(/:\w+CurrentVersion/);
});

describe('jobs', () => {
  it('leave their attempts to the job definition and have a state timeout', () => {
    expect(jobs).toHaveLength(7);
    for (const [, state] of jobs) {
      expect(state.Parameters.RetryStrategy).toBeUndefined();
      expect(state.Parameters.Timeout).toBeUndefined();
      expect(state.TimeoutSeconds).toBeGreaterThan(0);
    }
  });

  it('are tagged, so that they can be found and stopped', () => {
    for (const [, state] of jobs)
      expect(state.Parameters.Tags).toEqual({ 'mates:pipeline': 'MatesPipeline', 'mates:run.$': '$.run.id' });
  });

  it('are told what they are by environment variables', () => {
    const run = { MATES_RUN_URI: '$.run.uri' };
    const stage = { ...run, MATES_STAGE: "States.Format('{}', $.stage)" };
    const arm = { ...stage, MATES_ARM: '$.arm' };
    const item = { ...stage, MATES_ITEM: 'States.JsonToString($.item)' };
    expect(Object.fromEntries(jobs.map(([id, state]) => [id, environment(state)]))).toEqual({
      'Prepare the corpus': run,
      'Prepare the probe': stage,
      'Probe a slice': item,
      'Fit the influence model': stage,
      'Score a slice': item,
      Pretrain: arm,
      Evaluate: arm,
    });
  });

  it('have names within 128 characters for the longest run id', () => {
    for (const [, state] of jobs) {
      const format = /'(.*)'/.exec(state.Parameters['JobName.$'])![1]!;
      const values = ['r'.repeat(48), '99', 'control'];
      expect(format.replace(/\{\}/g, () => values.shift()!)).toMatch(/^[A-Za-z0-9-]{1,128}$/);
    }
  });
});

describe('maps', () => {
  it.each([
    ['Probe the influence', '$.plan.probeItemsKey'],
    ['Score the pool', '$.plan.scoreItemsKey'],
  ])('%s reads its items from the lake and tolerates no failure', (id, key) => {
    const map = states[id]!;
    expect(map.ItemReader).toMatchObject({
      ReaderConfig: { InputType: 'JSON' },
      Parameters: { 'Bucket.$': '$.run.bucket', 'Key.$': key },
    });
    expect(map.ItemProcessor!.ProcessorConfig).toEqual({ Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' });
    expect(map.Label).toMatch(/^\w{1,40}$/);
    expect(map.ToleratedFailurePercentage ?? 0).toBe(0);
    expect(map.ToleratedFailureCount ?? 0).toBe(0);
    expect(map.ItemSelector).toEqual({ 'run.$': '$.run', 'stage.$': '$.stage', 'item.$': '$$.Map.Item.Value' });
  });

  it('return less than the payload limit for 10,000 items', () => {
    for (const id of ['Probe a slice', 'Score a slice']) {
      expect(states[id]!.ResultSelector).toEqual({});
      expect(states[id]!.ResultPath).toBeUndefined(); // the empty result replaces the input
    }
    expect(JSON.stringify(new Array(10_000).fill({})).length).toBeLessThan(256 * 1024);
  });

  it('over the arms is inline and limited', () => {
    const map = states['Pretrain every arm']!;
    expect(map.ItemProcessor!.ProcessorConfig.Mode).toBe('INLINE');
    expect(map).toMatchObject({ ItemsPath: '$.plan.arms', MaxConcurrency: 2, ResultPath: null });
    expect(other.States['Pretrain every arm']).toMatchObject({
      MaxConcurrency: 1,
    });
  });
});

it('functions are called again after every fault of a service, once after a crash, and after no refusal of their own', () => {
  for (const [id, { Retry }] of functions)
    expect(Retry!.flatMap(({ ErrorEquals }) => ErrorEquals).sort(), id).toEqual([
      'Lambda.AWSLambdaException',
      'Lambda.ClientExecutionTimeoutException',
      'Lambda.SdkClientException',
      'Lambda.ServiceException',
      'Lambda.TooManyRequestsException',
      'Lambda.Unknown',
      'Runtime.ExitError',
      'Sandbox.Timedout',
      'TransientError',
    ]);
});

describe('the SageMaker job', () => {
  const { Parameters } = states['Pretrain on SageMaker']!;

  it('has the tags of the pipeline, of its run and of the budget', () => {
    expect(Parameters.Tags).toEqual([
      { Key: 'mates:pipeline', Value: 'MatesPipeline' },
      { Key: 'mates:app', Value: 'mates' },
      { Key: 'mates:run', 'Value.$': '$.run.id' },
    ]);
  });

  it('uses managed spot with a checkpoint and a longest wait', () => {
    expect(Parameters.EnableManagedSpotTraining).toBe(true);
    expect(Parameters.CheckpointConfig['S3Uri.$']).toContain('$.run.uri');
    const { MaxRuntimeInSeconds, MaxWaitTimeInSeconds } = Parameters.StoppingCondition;
    expect(MaxWaitTimeInSeconds).toBeGreaterThanOrEqual(MaxRuntimeInSeconds);
    expect(MaxWaitTimeInSeconds).toBeLessThanOrEqual(28 * 86_400);
  });

  it('never runs longer than the service lets it', () => {
    const job = Object.fromEntries(allStates(other))['Pretrain on SageMaker']!;
    expect(job.Parameters.StoppingCondition.MaxRuntimeInSeconds).toBe(28 * 86_400);
  });

  it('has its own folder of files, which no manifest lists', async () => {
    expect(Parameters.OutputDataConfig['S3OutputPath.$']).toBe(
      "States.Format('{}/stages/{}/sagemaker-{}', $.run.uri, $.stage, $.arm)",
    );
    const store = new MemoryStore();
    await store.put('stages/0/sagemaker-control/pretrain-1/output/model.tar.gz', 'x');
    await store.put('stages/0/control/metrics.json', '{}');
    expect(await repeatableFiles(store)).toEqual(['stages/0/control/metrics.json']);
  });

  it('runs the same command with the same variables as on Batch', () => {
    expect(Parameters.AlgorithmSpecification.ContainerEntrypoint).toEqual(['mates-job', 'pretrain']);
    for (const [name, value] of Object.entries(environment(states.Pretrain!)))
      expect(Parameters.Environment[`${name}.$`]).toBe(value);
  });

  it('has a fresh name within 63 characters for the longest run id', () => {
    expect(Parameters['TrainingJobName.$']).toContain('States.UUID()');
    expect(['r'.repeat(48), '99', '0'.repeat(8)].join('-').length).toBeLessThanOrEqual(63);
  });

  it('has neither without spot', () => {
    const onDemand = Object.fromEntries(allStates(other))['Pretrain on SageMaker']!;
    expect(onDemand.Parameters.EnableManagedSpotTraining).toBeUndefined();
    expect(onDemand.Parameters.StoppingCondition.MaxWaitTimeInSeconds).toBeUndefined();
  });
});

/** States from the start, taking each Choice's default unless named. */
function walk({ StartAt, States }: Definition, taken: Record<string, boolean> = {}): string[] {
  const path: string[] = [];
  for (let id: string | undefined = StartAt; id && !path.includes(id); ) {
    path.push(id);
    const state: State = States[id]!;
    id = state.Type === 'Choice' ? (taken[id] ? state.Choices![0]!.Next : state.Default) : state.Next;
  }
  return path;
}
