import { readFile } from 'node:fs/promises';
import { globSync } from 'tinyglobby';
import { expect, it } from 'vitest';

const FOLDER = 'containers/gpu';
const linesOf = async (file: string) =>
  (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

it('every wheel of the GPU image is of one version and named with its hash', async () => {
  const files = globSync(`${FOLDER}/*-requirements.txt`);
  expect(files).toHaveLength(4);
  for (const file of files)
    for (const line of await linesOf(file))
      expect(line, file).toMatch(/^[a-z0-9-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}$/);
});

it('the provider of CUDA is of the version of onnxruntime-node', async () => {
  const { dependencies } = JSON.parse(await readFile('package.json', 'utf8'));
  const [wheel] = await linesOf(`${FOLDER}/onnxruntime-requirements.txt`);
  expect(wheel).toMatch(new RegExp(`^onnxruntime-gpu==${dependencies['onnxruntime-node']} `));
});
