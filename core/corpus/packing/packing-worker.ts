/** A packing thread: entry point, started by `pack-shards.ts` with a {@link PackingThread}. */
import { workerData } from 'node:worker_threads';
import { storeOpener } from '../../storage/index.ts';
import { serve } from '../../threads/worker-pool.ts';
import { loadTokenizer } from '../../tokenizer/index.ts';
import type { PackingRequest, PackingResult, PackingThread } from './pack-shards.ts';
import { ShardMaker } from './shard-maker.ts';

const { setup, tokenizer, endOfText, target }: PackingThread = workerData;
let maker: ShardMaker;

serve<PackingRequest, PackingResult>(
  async () => {
    maker = new ShardMaker(
      setup,
      loadTokenizer(tokenizer, 'tokenizer.json', { end: endOfText }),
      storeOpener()(target),
    );
    return 'ready';
  },
  async (request) =>
    request.step === 'pack'
      ? maker.pack(request.shard, request.distinct)
      : maker.write(request.shard, request.firstRow),
);
