import Table from 'cli-table3';
import type { RunConfig } from '../../core/config/schema.ts';
import { estimateCost, instanceCosts, pricesDated } from '../../core/cost/estimate.ts';
import { formatCount, PLAIN_TABLE } from './format.ts';
import { loadConfigFile } from './load-config.ts';

interface Options {
  set?: string[];
  seed?: string;
  json?: boolean;
}

/** `mates plan CONFIG`: what the run would do and cost. Runs nothing and reads no data. */
export async function plan(file: string, options: Options): Promise<void> {
  const config = await loadConfigFile(file, options);
  const estimate = estimateCost(config);
  const total = Object.values(estimate.flops).reduce((sum, flops) => sum + flops, 0);
  const instances = instanceCosts(total);
  if (options.json) {
    console.log(JSON.stringify({ name: config.name, ...estimate, totalFlops: total, instances, pricesDated }));
    return;
  }
  const facts = new Table(PLAIN_TABLE);
  facts.push(
    ['model', `${formatCount(estimate.parameters)} parameters (${shape(config)})`],
    [
      'stages',
      `${config.pretrain.stages} of ${formatCount(config.pretrain.stepsPerStage)} steps, the first on random rows`,
    ],
    ['training tokens', formatCount(estimate.tokens)],
    [
      'rows the corpus must have',
      `about ${formatCount(estimate.rowsNeeded)} of ${config.corpus.sequenceLength} tokens`,
    ],
    ['oracle probes', `${formatCount(estimate.probes)}, ${config.reference.passages} reference passages each`],
    ['rows scored', `at least ${formatCount(estimate.scoredRows)}`],
    ...Object.entries(estimate.flops).map(([step, flops]) => [`FLOPs: ${step}`, flops.toExponential(2)]),
    ['selection costs', `${(100 * estimate.selectionOverhead).toFixed(1)} % of the pretraining it serves`],
  );
  console.log(facts.toString());
  const money = new Table({ ...PLAIN_TABLE, head: ['instance', 'accelerators', 'hours', 'on demand', 'spot'] });
  for (const { instance, accelerators, hours, onDemandUsd, spotUsd } of instances)
    money.push([
      instance,
      accelerators,
      hours < 1 ? hours.toPrecision(2) : formatCount(hours),
      `$${onDemandUsd.toFixed(2)}`,
      `$${spotUsd.toFixed(2)}`,
    ]);
  console.log(money.toString());
  console.log(
    `Prices as of ${pricesDated}, at 35 % of the peak rate; spot at an assumed 60 % discount. Estimates, not quotes.`,
  );
}

function shape({ model, corpus }: RunConfig): string {
  return `${model.layers} layers, width ${model.width}, ${model.heads} heads, context ${corpus.sequenceLength}`;
}
