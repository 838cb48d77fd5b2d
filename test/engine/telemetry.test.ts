import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support.ts';

/** Opens a session and runs it; ONNX Runtime otherwise leaves an identifier in the home directory. */
const PROGRAM = (engine: string) => `
const at = (name) => import(${JSON.stringify(engine)} + name);
const [{ createRuntime }, { LanguageModel }, { ParameterSet }] =
  await Promise.all(['runtime/runtime.ts', 'decoder/language-model.ts', 'parameters.ts'].map(at));
const shape = { layers: 1, width: 16, heads: 2, vocabularySize: 64, rotaryFraction: 0.25, rotaryBase: 10000,
  layerNormEpsilon: 1e-5, initializerStd: 0.02 };
const model = new LanguageModel(await createRuntime('onnx', { threads: 1 }), shape);
const batch = { batch: 2, length: 4, tokens: new Int32Array(8) };
console.log((await model.tokenLosses(new ParameterSet(model.specs), batch)).length);
process.exit(0);
`;

it('the engine leaves no telemetry behind', async () => {
  const home = await temporaryFolder();
  const program = PROGRAM(`${pathToFileURL(resolve('engine')).href}/`);
  const env = { PATH: process.env.PATH, HOME: home };
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', program],
    { encoding: 'utf8', env },
  );
  expect([status, stdout.trim()], stderr).toEqual([0, '6']);
  expect(readdirSync(home)).toEqual([]);
});
