/**
 * `npm run test:cuda`: the GPU path of the ONNX engine on a machine without a GPU, as far as that goes. ONNX Runtime's CUDA
 * provider is loaded for real, first with NVIDIA's runtime and a driver that has no GPU, then with a stub of CUDA that
 * computes nothing but lets graphs be opened and run. Linux on x64, with Python's pip, a C compiler, binutils and unzip.
 */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  buildDriver,
  buildRuntime,
  commitOf,
  coreLibrary,
  download,
  installWithProvider,
  npmLibrary,
} from './build.ts';
import type { Report } from './programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'mates-cuda-'));
const counters = join(folder, 'counters');
const CUBLAS = ['libcublas.so.13', 'libcublasLt.so.13', 'libcurand.so.10'];

function main(): void {
  const { provider, cudart } = download();
  check('the provider was built from the commit of the npm package', () => {
    const commit = commitOf(npmLibrary);
    assert.ok(commit);
    assert.equal(commitOf(coreLibrary(provider)), commit);
  });
  installWithProvider(provider, folder);
  const driver = buildDriver(join(folder, 'driver'));
  const stub = buildRuntime(provider, join(folder, 'stub'));
  const products = buildRuntime(provider, join(folder, 'products'), CUBLAS);

  check('without a driver, onnx-cuda says that it cannot be loaded', () => {
    const { name, message } = program<{ name: string; message: string }>(['open'], [cudart, products]);
    assert.equal(name, 'ConfigError');
    assert.match(message, /cannot be loaded: its libraries, or the driver's libcuda\.so\.1, are missing/);
  });
  check('with a driver and no GPU, it is refused with the error of CUDA', () => {
    const { name, message } = program<{ name: string; message: string }>(['open'], [driver, cudart, products]);
    console.log(`  ${message}`);
    assert.equal(name, 'ConfigError');
    assert.match(message, /no GPU can be used \(CUDA failure (35|100): .*\)\. Check the driver/);
  });
  check('an operator that has no kernel for CUDA is refused, not run on the CPU', () => {
    const { message } = program<{ message: string }>(['unsupported'], [stub]);
    assert.match(message, /CPU EP|implementation|kernel/i);
  });

  let report: Report = {};
  check('every program of both models opens and runs with all its operators on the GPU', () => {
    report = program<Report>(['run', counters], [stub], { STUB_CUDA_DEVICES: '2' });
    for (const [name, { kernels, products }] of Object.entries(report)) {
      assert.ok(kernels > 0 && products > 0, `${name}: ${kernels} kernels, ${products} products`);
      console.log(`  ${name}: ${kernels} kernels, ${products} matrix products`);
    }
    assert.equal(Object.keys(report).length, 2 * 9 + 1);
  });
  check('parameters and gradient cross once in a run, whatever its micro-batches', () => {
    for (const precision of ['float32', 'mixed'])
      for (const microBatches of [1, 4]) {
        const { toDevice, toHost, parameterBytes } = report[`loss and gradient of ${microBatches}, ${precision}`]!;
        assert.ok(toDevice >= parameterBytes && toDevice < 1.05 * parameterBytes, `${toDevice} of ${parameterBytes}`);
        assert.ok(toHost >= parameterBytes && toHost < 1.01 * parameterBytes, `${toHost} of ${parameterBytes}`);
      }
  });
  check('of two workers each has its own GPU', () => assert.equal(report['data-parallel']!.devices, 0b11));
}

function check(name: string, work: () => void): void {
  const began = performance.now();
  work();
  console.log(`ok ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}

function program<Result>(args: string[], libraries: string[], environment: Record<string, string> = {}): Result {
  const env = {
    ...process.env,
    ...environment,
    LD_LIBRARY_PATH: libraries.join(':'),
    STUB_CUDA_COUNTERS: counters,
  };
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(folder, 'programs.js'), ...args], {
    encoding: 'utf8',
    env,
  });
  assert.equal(status, 0, stdout + stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

try {
  main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
