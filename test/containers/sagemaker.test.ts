import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hyperparameters, reportFailure } from '../../containers/sagemaker.ts';

const folder = () => mkdtemp(join(tmpdir(), 'mates-opt-ml-'));

describe('a SageMaker training job', () => {
  it('is told by its hyperparameters, and only by those that are ours', async () => {
    const optMl = await folder();
    await mkdir(join(optMl, 'input/config'), { recursive: true });
    const given = { MATES_STAGE: '1', MATES_ARM: 'control', PATH: '/elsewhere', sagemaker_region: 'us-east-1' };
    await writeFile(join(optMl, 'input/config/hyperparameters.json'), JSON.stringify(given));
    expect(hyperparameters(optMl)).toEqual({ MATES_STAGE: '1', MATES_ARM: 'control' });
  });

  it('is nothing elsewhere', async () => {
    expect(hyperparameters(await folder())).toEqual({});
    expect(() => reportFailure('RunError: the loss is NaN', '/nowhere')).not.toThrow();
  });

  it('leaves the reason of its failure, cut to what the service shows', async () => {
    const optMl = await folder();
    await mkdir(join(optMl, 'output'));
    reportFailure('x'.repeat(2000), optMl);
    expect(await readFile(join(optMl, 'output/failure'), 'utf8')).toBe('x'.repeat(1024));
  });
});
