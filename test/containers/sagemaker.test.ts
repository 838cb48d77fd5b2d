import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hyperparameters, reportFailure } from '../../containers/sagemaker.ts';
import { temporaryFolder } from '../support.ts';

describe('a SageMaker training job', () => {
  it('gets its variables from its hyperparameters, and only from those that are ours', async () => {
    const optMl = await temporaryFolder();
    await mkdir(join(optMl, 'input/config'), { recursive: true });
    const given = { MATES_STAGE: '1', MATES_ARM: 'control', PATH: '/elsewhere', sagemaker_region: 'us-east-1' };
    await writeFile(join(optMl, 'input/config/hyperparameters.json'), JSON.stringify(given));
    expect(hyperparameters(optMl)).toEqual({ MATES_STAGE: '1', MATES_ARM: 'control' });
  });

  it('has no effect outside SageMaker', async () => {
    expect(hyperparameters(await temporaryFolder())).toEqual({});
    expect(() => reportFailure('RunError: the loss is NaN', '/nowhere')).not.toThrow();
  });

  it('leaves the reason for its failure, cut to the length that the service shows', async () => {
    const optMl = await temporaryFolder();
    await mkdir(join(optMl, 'output'));
    reportFailure('x'.repeat(2000), optMl);
    expect(await readFile(join(optMl, 'output/failure'), 'utf8')).toBe('x'.repeat(1024));
  });
});
