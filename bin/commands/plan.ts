import { rowTokens } from '../../core/config/corpus-schema.ts';
import type { ModelFields, RunConfig } from '../../core/config/schema.ts';
import { preparedIndex } from '../../core/corpus/corpus.ts';
import { FILE_VOCABULARY } from '../../core/cost/estimate.ts';
import { limitWarnings } from '../../core/cost/limits.ts';
import { textSizes } from '../../core/cost/passages.ts';
import { textBytes } from '../../core/cost/preparation.ts';
import { idleUsdPerMonth, type Place, type PricedPlan, priceAssumptions, pricePlan } from '../../core/cost/price.ts';
import { type QuotaNeed, quotaNeeds } from '../../core/cost/quotas.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { counted, plural } from '../../core/plural.ts';
import { WARNING } from '../../core/progress.ts';
import { inputProblems } from '../../core/run/check-inputs.ts';
import { methodLabel } from '../../core/selection/weighted-scores.ts';
import { storeOpener } from '../../core/storage/index.ts';
import { formatCount, plainTable } from '../format.ts';
import { loadConfigFile } from '../load-config.ts';
import { quotaTable } from '../quota-table.ts';

interface Options {
  set?: string[];
  seed?: string;
  markdown?: boolean;
  json?: boolean;
}

/** The price, and for a deployment with the default settings what does not fit its limits and the quotas it needs. */
interface Plan extends PricedPlan {
  warnings: string[];
  quotas: QuotaNeed[];
}

const { dated, utilisation, spotDiscount, minutesPerJob, minutesPerStart, region } = priceAssumptions;

/**
 * `mates plan CONFIG`: what the run would do and cost. Several configurations give one table of what they cost, and of
 * what the deployed system costs while idle. Runs nothing and reads no data but passages and the index of a prepared corpus; warns
 * if a file is missing.
 */
export async function plan(files: string[], options: Options): Promise<void> {
  const configs: RunConfig[] = [];
  for (const file of files) configs.push(await loadConfigFile(file, options));
  const plans: Plan[] = [];
  const corpora: (CorpusIndex | undefined)[] = [];
  for (const config of configs) {
    const corpus = await preparedIndex(config, storeOpener());
    corpora.push(corpus);
    const { problems, ...found } = await filesHere(config);
    if (config.corpus.prepared !== undefined && !corpus)
      problems.push(
        `The corpus ${config.corpus.prepared} is not there yet: its rows are taken to have ${rowTokens(config.corpus)} tokens, and its tokenizer ${formatCount(FILE_VOCABULARY)} entries.`,
      );
    const place = { corpus, ...found };
    const quotas = quotaNeeds(config, place);
    const warnings = [...limitWarnings(config, place), ...problems];
    plans.push({ ...pricePlan(config, place), warnings, quotas });
  }
  if (options.json) {
    console.log(JSON.stringify(plans.length === 1 ? plans[0] : { idle: idle(), plans }));
    return;
  }
  if (plans.length > 1 || options.markdown) {
    console.log(options.markdown ? costMarkdown(plans) : costTable(plans));
    // Beside the table, which may go into a document.
    for (const { name, warnings } of plans)
      for (const warning of warnings) console.error(`${WARNING}${name}: ${warning}`);
  } else console.log(describe(configs[0]!, plans[0]!, corpora[0]));
}

/** What is wrong with the run's input files on this machine, and how much text they have. */
async function filesHere(config: RunConfig): Promise<Pick<Place, 'textBytes' | 'passages'> & { problems: string[] }> {
  const { files, problems, ...found } = await inputProblems(config, storeOpener());
  if (problems.length > 0) problems.push('Planning does not need these files; a run does.');
  return {
    problems,
    passages: textSizes(config, found),
    ...(files.length > 0 && { textBytes: textBytes(files) }),
  };
}

function describe(config: RunConfig, plan: Plan, corpus?: CorpusIndex): string {
  const sequenceLength = rowTokens(config.corpus, corpus);
  // Without the corpus, pools are taken to be as small as they may be.
  const least = corpus || plan.scoredRows === 0 ? '' : 'at least ';
  const facts = [
    ['model', `${formatCount(plan.parameters)} parameters (${shape(config, sequenceLength)})`],
    ...(config.model.pretrained ? [['goes on from', config.model.pretrained]] : []),
    [
      'stages',
      `${config.pretrain.stages} of ${formatCount(config.pretrain.stepsPerStage)} ${plural(config.pretrain.stepsPerStage, 'step')}, the first on random rows`,
    ],
    ['selection', methodLabel(config.selection)],
    ['training tokens', formatCount(plan.tokens)],
    ['rows the corpus must have', `about ${formatCount(plan.rowsNeeded)} of ${sequenceLength} tokens`],
    ['probes', plan.probes ? `${formatCount(plan.probes)}, ${probing(config)}` : 'none'],
    ['rows scored', plan.scoredRows ? `${least}${formatCount(plan.scoredRows)}` : 'none'],
    ['jobs', formatCount(plan.jobs)],
    ...Object.entries(plan.flops).map(([step, flops]) => [
      `FLOPs: ${step}`,
      `${step === 'score' ? least : ''}${flops.toExponential(2)}`,
    ]),
    ['selection costs', `${least}${(100 * plan.selectionOverhead).toFixed(1)} % of the main arm's pretraining`],
  ];
  const money = plan.instances.map(({ instance, accelerators, hours, onDemandUsd, spotUsd }) => [
    instance,
    accelerators,
    showHours(hours),
    dollars(onDemandUsd),
    dollars(spotUsd),
  ]);
  const warnings = plan.warnings.map((warning) => `${WARNING}${warning}`);
  return [
    plainTable(facts),
    plainTable(money, ['instance', 'accelerators', 'hours', 'on demand', 'spot']),
    assumptions(),
    quotaTable(plan.quotas),
    ...warnings,
  ].join('\n');
}

const HEAD = ['', 'instance', 'instance hours', 'on demand', 'spot'];

/** The cost of idling, then of each plan on the first instance type of the price file and on its cheapest one. */
function costRows(plans: PricedPlan[]): string[][] {
  const rows = idle().map(({ network, usdPerMonth }) => [
    `idle, \`network: ${network}\``,
    'none',
    '0',
    `${dollars(usdPerMonth)} a month`,
    'the same',
  ]);
  for (const { name, instances } of plans) {
    const cheapest = instances.reduce((best, one) => (one.onDemandUsd < best.onDemandUsd ? one : best));
    for (const { instance, hours, onDemandUsd, spotUsd } of new Set([instances[0]!, cheapest]))
      rows.push([name, instance, showHours(hours), dollars(onDemandUsd), dollars(spotUsd)]);
  }
  return rows;
}

const idle = () =>
  (['nat', 'endpoints'] as const).map((network) => ({ network, usdPerMonth: idleUsdPerMonth(network) }));

function costTable(plans: PricedPlan[]): string {
  const rows = costRows(plans).map((row) => row.map((cell) => cell.replaceAll('`', '')));
  return `${plainTable(rows, HEAD)}\n${assumptions()}`;
}

export function costMarkdown(plans: PricedPlan[]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const rows = costRows(plans).map(line);
  return [line(HEAD), line(['---', '---', '--:', '--:', '--:']), ...rows, '', assumptions()].join('\n');
}

const assumptions = () =>
  `Prices of ${dated} in ${region}; an assumed ${100 * utilisation.float32} % of the peak rate in float32 (${100 * utilisation.tf32} % in TF32, ` +
  `${100 * utilisation.mixed} % in bfloat16), ${minutesPerJob} minute more per job and ${minutesPerStart} for each instance that a step starts; spot at an ` +
  `assumed ${100 * spotDiscount} % discount. Storage, logs, traffic, and attempts lost with a spot instance come on top. ` +
  'Estimates, not quotes.';

function probing({ probe, reference }: RunConfig): string {
  return probe.method === 'exact'
    ? `${reference.passages} reference ${plural(reference.passages, 'passage')} each`
    : `by ${probe.method}`;
}

const dollars = (value: number) =>
  `$${value.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

const showHours = (hours: number) => (hours < 100 ? hours.toPrecision(2) : formatCount(hours));

const gptNeox = ({ activation, attentionBias }: ModelFields<'gpt-neox'>) => [
  ...(activation === 'gelu' ? [] : [activation]),
  ...(attentionBias ? [] : ['no biases in attention']),
];

const llama = ({ keyValueHeads, headWidth, attentionBias, queryKeyNorm, rotaryScaling }: ModelFields<'llama'>) => [
  ...(keyValueHeads === undefined ? [] : [`${keyValueHeads} of keys and values`]),
  ...(headWidth === undefined ? [] : [`heads of ${headWidth}`]),
  ...(attentionBias ? ['biases in attention'] : []),
  ...(queryKeyNorm ? ['norms of queries and keys'] : []),
  ...(rotaryScaling ? ['stretched positions'] : []),
];

function shape({ model }: RunConfig, context: number): string {
  const { layers, width, heads, mlpWidth, tiedEmbeddings } = model;
  return [
    ...(model.architecture === 'llama' ? ['a Llama'] : []),
    `${counted(layers, 'layer')}, width ${width}, ${counted(heads, 'head')}`,
    ...(model.architecture === 'llama' ? llama(model) : gptNeox(model)),
    ...(mlpWidth === undefined ? [] : [`MLPs of ${mlpWidth}`]),
    ...(tiedEmbeddings ? ['a tied head'] : []),
    `context ${context}`,
  ].join(', ');
}
