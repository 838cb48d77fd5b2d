import { defineConfig } from 'vitest/config';

// Two workers: each may hold an ONNX Runtime session, and the smallest machine we promise to run on has two cores.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/integration/**', 'node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
