/**
 * `npm run test:images [-- --gpu | --cuda]`: builds the CPU image for real, lints the Dockerfiles, and trains in a
 * container: the same bytes as on this machine, and a SIGTERM that ends in exit code 75 and a checkpoint to resume from.
 * `--gpu` builds the GPU image as well, without the 3.9 GB of CUDA; `--cuda` with it.
 */
import { strict as assert } from 'node:assert';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { LAKE_DIRECTORY_VARIABLE, LOCAL_LAKE } from '../../core/storage/index.ts';
import { buildDriver } from '../cuda/build.ts';
import { TINY } from '../end-to-end/support.ts';
import { capture, containerEngine, type Ended } from './engine.ts';
import { lint } from './hadolint.ts';

const CPU = { dockerfile: 'containers/Dockerfile', tag: 'mates-test:cpu' };
const GPU = { dockerfile: 'containers/gpu/Dockerfile', tag: 'mates-test:gpu' };
/** The second stage: it starts from a checkpoint, as every stage but the first does. */
const STAGE = `runs/${TINY.name}/stages/1`;
const TRAINED = ['checkpoint', 'partial-checkpoint', 'metrics.json'];

const engine = containerEngine();
const folder = mkdtempSync(join(tmpdir(), 'mates-images-'));
function main(): void {
  check('hadolint finds nothing', () => lint([CPU.dockerfile, GPU.dockerfile]));
  check(`${CPU.dockerfile} builds with ${engine.name}`, () => engine.build(CPU.dockerfile, CPU.tag));
  console.log(`  ${engine.megabytes(CPU.tag)} MB`);

  const host = join(folder, 'host');
  check('a run on this machine, to compare with', () => runOnHost(host));
  check('jobs run as a user without privileges', () => {
    assert.equal(engine.run(CPU.tag, { command: ['id', '-u'] }).output.trim(), '1000');
  });
  check('pretraining in the container gives the same bytes', () => {
    const lake = lakeToTrain(host, 'same');
    expectStatus(job(CPU.tag, lake, ['mates-job', 'pretrain']), 0);
    expectSameCheckpoint(lake, host);
  });
  check('SIGTERM: exit code 75, and the next attempt ends in the same bytes', () => {
    const lake = lakeToTrain(host, 'interrupted');
    expectStatus(job(CPU.tag, lake, ['sh', '-c', TERMINATE_AFTER_THE_FIRST_STEP]), 75);
    const partial = readdirSync(join(lake, STAGE, 'partial-checkpoint'));
    assert.equal(partial.length, 1, 'one resumable checkpoint');
    assert.ok(!readdirSync(join(lake, STAGE)).includes('checkpoint'), 'the stage is not finished');
    expectStatus(job(CPU.tag, lake, ['mates-job', 'pretrain']), 0);
    expectSameCheckpoint(lake, host);
  });
  check('two workers in the container give the same bytes', () => {
    const lake = lakeToTrain(host, 'workers', 'onnx', 2);
    expectStatus(job(CPU.tag, lake, ['mates-job', 'pretrain']), 0);
    expectSameCheckpoint(lake, host);
  });
  check("SageMaker's way: `train`, told by hyperparameters", () => {
    const lake = lakeToTrain(host, 'sagemaker');
    const config = mkdtempSync(join(folder, 'config-'));
    chmodSync(config, 0o755);
    const hyperparameters = { MATES_TASK: 'pretrain', ...variables('1') };
    writeFileSync(join(config, 'hyperparameters.json'), JSON.stringify(hyperparameters));
    const mounts = { '/lake': lake, '/opt/ml/input/config': config };
    expectStatus(engine.run(CPU.tag, { command: ['train'], mounts }), 0);
    expectSameCheckpoint(lake, host);
  });
  check('`builtin:` files are in the image', () => {
    const { output } = engine.run(CPU.tag, { command: ['ls', '/opt/mates/examples/corpus'] });
    assert.match(output, /reference\.jsonl/);
  });

  const cuda = process.argv.includes('--cuda');
  if (!cuda && !process.argv.includes('--gpu')) return;
  check(`${GPU.dockerfile} builds${cuda ? '' : ', CUDA left out'}`, () =>
    engine.build(GPU.dockerfile, GPU.tag, cuda ? {} : { CUDA: '' }),
  );
  console.log(`  ${engine.megabytes(GPU.tag)} MB`);
  check('TensorFlow loads in it and multiplies', () => {
    const { output } = engine.run(GPU.tag, { command: ['node', '-e', MULTIPLY] });
    assert.match(output, /^TensorFlow 2\.\d+\.\d+ 2,2,2,2$/m);
  });
  check("TensorFlow's gradients are those of ONNX Runtime", () => {
    const { status, output } = program('gradients.ts', ['node', '/opt/mates/test/gradients.js']);
    assert.equal(status, 0, output);
    // What libraries write to stderr may come before or after.
    const result = output.split('\n').findLast((line) => line.startsWith('{'));
    const found = JSON.parse(result!) as Record<string, number>;
    for (const [name, difference] of Object.entries(found)) {
      console.log(`  ${name}: ${difference.toExponential(1)}`);
      assert.ok(difference < 1e-5, name);
    }
  });
  check('it trains as the CPU image does', () => {
    const lake = lakeToTrain(host, 'gpu-image');
    expectStatus(job(GPU.tag, lake, ['mates-job', 'pretrain']), 0);
    expectSameCheckpoint(lake, host);
  });
  check('without a GPU, tfjs-gpu is refused and not run on the CPU', () => {
    const lake = lakeToTrain(host, 'gpu', 'tfjs-gpu');
    const ended = job(GPU.tag, lake, ['mates-job', 'pretrain']);
    expectStatus(ended, 2);
    assert.match(ended.output, /found no GPU/);
  });
  check('without a driver, onnx-cuda is refused and not run on the CPU', () => {
    const ended = job(GPU.tag, lakeToTrain(host, 'no-driver', 'onnx-cuda'), ['mates-job', 'pretrain']);
    expectStatus(ended, 2);
    // With CUDA in the image, all else that the provider links to is there.
    const missing = cuda ? /libcuda\.so\.1: cannot open/ : /libcublasLt\.so\.13: cannot open/;
    assert.match(ended.output, missing);
    assert.match(errorOf(ended), /^ConfigError: .*the driver's libcuda\.so\.1, are missing/);
  });
  if (!cuda) return;
  check('with a driver and no GPU, onnx-cuda is refused with the error of CUDA', () => {
    const lake = lakeToTrain(host, 'no-gpu', 'onnx-cuda');
    const driver = buildDriver(join(folder, 'driver'));
    const environment = { ...variables('1'), LD_LIBRARY_PATH: '/driver' };
    const mounts = { '/lake': lake, '/driver': driver };
    const ended = engine.run(GPU.tag, { command: ['mates-job', 'pretrain'], environment, mounts });
    expectStatus(ended, 2);
    console.log(`  ${errorOf(ended)}`);
    assert.match(errorOf(ended), /^ConfigError: .*no GPU can be used \(CUDA failure (35|100): /);
  });
}

/** A program of this folder, bundled and run in the GPU image where the jobs' packages are found. */
function program(source: string, command: string[]): Ended {
  const out = mkdtempSync(join(folder, 'program-'));
  chmodSync(out, 0o755);
  buildSync({
    entryPoints: [join(import.meta.dirname, source)],
    outdir: out,
    bundle: true,
    platform: 'node',
    format: 'esm',
    mainFields: ['module', 'main'],
    external: ['onnxruntime-node', '@tensorflow/tfjs-node-gpu'],
    banner: { js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);" },
  });
  return engine.run(GPU.tag, { command, mounts: { '/opt/mates/test': out } });
}

/** What the job itself says at its end; what runs the container may say more. */
const errorOf = ({ output }: Ended) =>
  output.split('\n').findLast((line) => line.startsWith('ConfigError: ')) ?? output;

/** Waits for the first step's line of progress, so that the signal comes while the job trains. */
const TERMINATE_AFTER_THE_FIRST_STEP = `
mates-job pretrain > /tmp/output & job=$!
until grep -q progress /tmp/output || ! kill -0 $job; do sleep 0.01; done
kill -TERM $job; wait $job; code=$?; cat /tmp/output; exit $code`;

const MULTIPLY = `
const tf = require('@tensorflow/tfjs-node-gpu');
const two = tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync().join();
console.log('TensorFlow ' + tf.backend().binding.TF_Version + ' ' + two);`;

function check(name: string, work: () => void): void {
  const began = performance.now();
  work();
  console.log(`ok ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}

/** Two stages; the second long enough to be interrupted. */
function runOnHost(lake: string): void {
  const config = structuredClone(TINY);
  config.pretrain.stages = 2;
  config.pretrain.stepsPerStage = 40;
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(config));
  expectStatus(capture('node', ['bin/mates.js', 'run', path, '--out', lake, '--run-id', TINY.name]), 0);
}

/** A copy of the lake whose second stage is yet to be trained, which the container's user can write. */
function lakeToTrain(host: string, name: string, runtime = 'onnx', workers = 1): string {
  const lake = join(folder, name);
  cpSync(host, lake, { recursive: true });
  for (const part of TRAINED) rmSync(join(lake, STAGE, part), { recursive: true, force: true });
  const record = join(lake, `runs/${TINY.name}/run.json`);
  const run = JSON.parse(readFileSync(record, 'utf8'));
  Object.assign(run.config.engine, { runtime, workers });
  writeFileSync(record, JSON.stringify(run));
  chmodSync(folder, 0o755);
  for (const entry of ['', ...readdirSync(lake, { recursive: true, encoding: 'utf8' })]) {
    const path = join(lake, entry);
    chmodSync(path, statSync(path).isDirectory() ? 0o777 : 0o666);
  }
  return lake;
}

function variables(stage: string): Record<string, string> {
  return {
    MATES_RUN_URI: `s3://${LOCAL_LAKE}/runs/${TINY.name}`,
    MATES_STAGE: stage,
    MATES_ARM: 'main',
    [LAKE_DIRECTORY_VARIABLE]: '/lake',
  };
}

function job(tag: string, lake: string, command: string[]): Ended {
  return engine.run(tag, { command, environment: variables('1'), mounts: { '/lake': lake } });
}

function expectStatus({ status, output }: Ended, expected: number): void {
  assert.equal(status, expected, output);
}

function expectSameCheckpoint(lake: string, host: string): void {
  const checkpoint = join(host, STAGE, 'checkpoint');
  const names = readdirSync(checkpoint);
  assert.ok(names.includes('model.safetensors'), names.join());
  assert.deepEqual(readdirSync(join(lake, STAGE, 'checkpoint')), names);
  for (const name of names)
    assert.ok(
      readFileSync(join(lake, STAGE, 'checkpoint', name)).equals(readFileSync(join(checkpoint, name))),
      `checkpoint/${name} differs from this machine's`,
    );
}

try {
  main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
