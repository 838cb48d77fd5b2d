import { beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import type { RunRecord } from '../../core/formats.ts';
import { RUN_FILE, stageLayout } from '../../core/layout.ts';
import { createRun } from '../../core/run/create-run.ts';
import { DirectoryStore, getJson, putJson } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';

const config = (seed: number) =>
  parseConfig({ seed, corpus: { input: ['a'] }, reference: { input: 'r' }, heldOut: { input: 'h' } }, 'test');
const versions = { mates: '1', 'onnxruntime-node': '2', node: '20' };

describe('creating a run', () => {
  let store: DirectoryStore;
  beforeEach(async () => {
    store = new DirectoryStore(await temporaryFolder());
  });

  it('finds the same run again, even under another version of Node', async () => {
    const record = await createRun(store, 'x', config(1), versions);
    expect(await createRun(store, 'x', config(1), { ...versions, node: '22' })).toEqual(record);
  });

  it('refuses a record of another format', async () => {
    await putJson(store, RUN_FILE, { format: 'mates-run/2' });
    await expect(createRun(store, 'x', config(1), versions)).rejects.toThrow(
      /run\.json has the format "mates-run\/2", "mates-run\/1" was expected/,
    );
  });

  it('refuses another configuration under the same id, naming what differs', async () => {
    await createRun(store, 'x', config(1), versions);
    await putJson(store, stageLayout(0).plan, {});
    await expect(createRun(store, 'x', config(2), versions)).rejects.toThrow(
      /run x .*seed was 1 and is now 2.*--run-id/s,
    );
  });

  it('says that only folders differ where a run was moved, and not where a file differs', async () => {
    const at = (path: string) => ({ ...config(1), reference: { ...config(1).reference, input: path } });
    await createRun(store, 'x', at('/before/reference.jsonl'), versions);
    await putJson(store, stageLayout(0).plan, {});
    const refusal = (path: string) => createRun(store, 'x', at(path), versions).catch((error: Error) => error.message);
    expect(await refusal('/after/reference.jsonl')).toMatch(
      /reference\.input was .* Only folders differ: .* link to them/s,
    );
    expect(await refusal('/after/other.jsonl')).toMatch(/or delete the old run\.$/);
  });

  it('accepts another configuration where the run has not begun, as after a refusal whose advice was followed', async () => {
    await createRun(store, 'x', config(1), versions);
    expect((await createRun(store, 'x', config(2), versions)).config.seed).toBe(2);
    expect((await getJson<RunRecord>(store, RUN_FILE)).config.seed).toBe(2);
  });

  it('finds a run again that was written before a field existed', async () => {
    const record = await createRun(store, 'x', config(1), versions);
    await putJson(store, stageLayout(0).plan, {});
    const { earlierStages: _, ...influenceModel } = record.config.influenceModel;
    await putJson(store, RUN_FILE, { ...record, config: { ...record.config, influenceModel } });
    expect((await createRun(store, 'x', config(1), versions)).id).toBe('x');
  });

  it('refuses to go on with another version of the engine', async () => {
    await createRun(store, 'x', config(1), versions);
    const other = { ...versions, 'onnxruntime-node': '3' };
    await expect(createRun(store, 'x', config(1), other)).rejects.toThrow(
      /begun with onnxruntime-node 2, and this is 3/,
    );
  });

  it("lets a trainer of the user's own be corrected, but not take turns with ours", async () => {
    await createRun(store, 'x', config(1), { ...versions, trainer: 'python a.py' });
    expect((await createRun(store, 'x', config(1), { ...versions, trainer: 'python b.py' })).id).toBe('x');
    await expect(createRun(store, 'x', config(1), versions)).rejects.toThrow(
      /begun with the trainer python a\.py, and this is with our own trainer/,
    );
  });
});
