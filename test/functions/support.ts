import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';

/** Gives each test a lake of its own, in a directory; `lake.path` is where. */
export function temporaryLake(): { path: string } {
  const lake = { path: '' };
  beforeEach(async () => {
    lake.path = await mkdtemp(join(tmpdir(), 'mates-functions-'));
    process.env.MATES_LAKE_DIRECTORY = lake.path;
  });
  afterEach(async () => {
    delete process.env.MATES_LAKE_DIRECTORY;
    await rm(lake.path, { recursive: true, force: true });
  });
  return lake;
}
