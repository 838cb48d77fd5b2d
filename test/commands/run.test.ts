import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../../bin/commands/run.ts';
import { temporaryFolder } from '../support.ts';

it('records no configuration whose engine is not installed, as the run would have to keep it', async () => {
  const out = await temporaryFolder();
  const command = run('examples/smoke.json', { out, runId: 'one', set: ['engine.runtime=tfjs-gpu'] });
  await expect(command).rejects.toThrow(/^engine\.runtime is tfjs-gpu, but .* cannot be loaded .* to onnx\.$/);
  expect(existsSync(join(out, 'runs'))).toBe(false);
});
