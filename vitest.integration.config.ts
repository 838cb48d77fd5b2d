import { defineConfig } from 'vitest/config';

// One test after the other: they share an emulator, and each runs as many jobs at once as there are cores.
export default defineConfig({
  test: {
    include: ['test/integration/**/*.test.ts'],
    globalSetup: 'test/integration/global-setup.ts',
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
  },
});
