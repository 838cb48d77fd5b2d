/** The inputs that docs/console.md gives to paste are accepted. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import { localPaths } from '../../core/run/check-inputs.ts';
import { parseExecutionInput } from '../../core/run/execution-input.ts';
import { handler } from '../../functions/validate-run/index.ts';
import { temporaryLake } from './support.ts';

temporaryLake();
const text = readFileSync('docs/console.md', 'utf8');
const inputs = [...text.matchAll(/```json\n(.*?)```/gs)].map(([, text]) => JSON.parse(text!));

it('has inputs for the usual cases', () => {
  expect(inputs.length).toBeGreaterThanOrEqual(5);
});

it.each(inputs.map((input) => [JSON.stringify(input).slice(0, 60), input]))('%s', async (_, input) => {
  parseExecutionInput(input);
  if (input.config || input.resumeFrom) return; // they name what is not here
  expect(
    await handler({ input, execution: 'arn:aws:states:local:000000000000:execution:local:x', executionName: 'doc' }),
  ).toMatchObject({ stage: 0 });
});

it.each(['paper-410m', 'paper-410m-reference-code', 'paper-1b'])('names every folder that %s reads', (name) => {
  const file = `examples/${name}.json`;
  const paths = localPaths(parseConfig(JSON.parse(readFileSync(file, 'utf8')), file)).map(([field, path]) =>
    field === 'influenceModel.pretrained' ? `${path}/` : path.replace(/[^/]*$/, ''),
  );
  expect(paths.length).toBeGreaterThan(3);
  for (const folder of paths) expect(text).toContain(`\`${folder}\``);
});
