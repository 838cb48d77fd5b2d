import { rowTokens } from '../core/config/corpus-schema.ts';
import type { RunConfig } from '../core/config/schema.ts';
import type { RunRecord } from '../core/formats.ts';
import { counted, plural } from '../core/plural.ts';
import { type Method, methodTraits, type ScoreKind } from '../core/selection/methods.ts';
import { weightedScores } from '../core/selection/weighted-scores.ts';
import { armNames, replacedStages, selects, trainsOnReferences, usesAll } from './arms.ts';
import { domainLosses, selectionByDomain } from './charts/charts-domains.ts';
import { histogramCharts, influenceModel } from './charts/charts-influence.ts';
import { evaluationCharts, trainingChart } from './charts/charts-training.ts';
import { controlEvaluation, isShared, missingParts, type ReportData, type StageReport } from './data.ts';
import { LEAST_DIFFERENCE, shownDifference, tone } from './difference.ts';
import { extremeDocuments } from './documents.ts';
import * as format from './format.ts';
import { type Content, type Html, html } from './html.ts';
import { page } from './page.ts';
import { taskScores } from './tasks.ts';
import { verdict } from './verdict.ts';

/**
 * The report as one HTML file, which makes no requests and needs no script. Pure: the same data gives the same bytes.
 * Whatever the run has not written yet is named instead of shown.
 */
export function renderReport(data: ReportData): string {
  const { record, stages } = data;
  const sequenceLength = rowTokens(record.config.corpus, data.corpus);
  const names = armNames(record.config);
  const sections: Section[] = [
    { id: 'stages', title: 'Stage by stage', body: closingTable(data) },
    {
      id: 'losses',
      title: 'Loss',
      body: join(
        trainingChart(stages, record.config.pretrain.batchRows * sequenceLength, names),
        evaluationCharts(stages, names),
      ),
      until: 'Nothing has been trained yet.',
    },
    {
      id: 'influence-model',
      title: 'Influence model',
      body: influenceModel(stages),
      until:
        methodTraits(record.config.selection.method).score === 'influence-model'
          ? 'No influence model has been fitted yet; the first stage trains on random rows.'
          : 'This run\u2019s method has no influence model.',
    },
    {
      id: 'scores',
      title: 'Scores',
      body: histogramCharts(stages, record.config),
      until: untilScored(data, 'No candidate pool has been scored yet.'),
    },
    {
      id: 'domains',
      title: 'What was selected',
      body: selectionByDomain(stages),
      until: untilScored(data, 'Nothing has been selected by a score yet.'),
    },
    {
      id: 'domain-losses',
      title: 'Loss by domain',
      body: domainLosses(stages, names),
      until: 'No stage has been evaluated yet.',
    },
    ...(record.config.evaluation.tasks?.length
      ? [
          {
            id: 'tasks',
            title: 'Zero-shot tasks',
            body: taskScores(stages, names),
            until: 'No stage has been evaluated yet.',
          },
        ]
      : []),
    {
      id: 'documents',
      title: 'Best and worst documents',
      body: extremeDocuments(stages),
      until: untilScored(data, 'No candidate pool has been scored yet.'),
    },
    { id: 'configuration', title: 'Configuration', body: configuration(data) },
  ];
  return page(
    `${titleOf(record)} \u2013 MATES report`,
    html`${header(data, sections)}
${sections.map(
  ({ id, title, body, until }) =>
    html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
${body ?? html`<p class="muted">${until}</p>`}
</section>
`,
)}`,
  );
}

interface Section {
  id: string;
  title: string;
  body?: Html;
  /** Shown until there is a body. */
  until?: string;
}

const join = (...parts: (Html | undefined)[]): Html | undefined =>
  parts.some((part) => part) ? html`${parts}` : undefined;

const untilScored = ({ record }: ReportData, otherwise: string) =>
  methodTraits(record.config.selection.method).score
    ? otherwise
    : 'This run takes its rows at random, so nothing is scored.';

function header(data: ReportData, sections: Section[]): Html {
  const { record, stages } = data;
  const { tone, sentence, figures, cautions } = verdict(data);
  const missing = stages
    .filter(({ plan }) => plan)
    .map((stage) => ({ stage: stage.stage, parts: missingParts(stage) }))
    .filter(({ parts }) => parts.length)
    .map(({ stage, parts }) => `stage ${stage}: ${parts.join(', ')}`);
  const waiting = stages.filter(({ plan }) => !plan).map(({ stage }) => stage);
  if (waiting.length === 1) missing.push(`stage ${waiting[0]}`);
  if (waiting.length > 1) missing.push(`stages ${waiting[0]} to ${waiting.at(-1)}`);
  return html`<header>
<p class="eyebrow">MATES run \u00b7 seed ${record.config.seed}</p>
<h1>${titleOf(record)}</h1>
<p>${whatWasDone(data)}</p>
<div class="verdict ${tone}" role="note" aria-label="Result">
${figures.length > 0 && html`<dl class="figures">${figures.map(({ name, value }) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`}
<p class="say">${sentence}</p>
${cautions.length > 0 && html`<ul>${cautions.map((caution) => html`<li>${caution}</li>`)}</ul>`}
${missing.length > 0 && html`<p class="note"><b>Not there yet:</b> ${missing.join('; ')}.</p>`}
</div>
<nav aria-label="Sections">${sections.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav>
</header>`;
}

/** The configuration's name, and the run's id if it differs: several runs may have one configuration. */
const titleOf = ({ id, config: { name } }: RunRecord) => (id.startsWith(name) ? id : `${name} \u00b7 ${id}`);

function whatWasDone(data: ReportData): string {
  const {
    record: { config },
    corpus,
    stages,
  } = data;
  const { model, pretrain } = config;
  const tokens = pretrain.stages * pretrain.stepsPerStage * pretrain.batchRows * rowTokens(config.corpus, corpus);
  const trained =
    `A ${model.architecture === 'llama' ? 'Llama' : 'GPT-NeoX'} model of ${counted(model.layers, 'layer')} and width ${model.width}${model.pretrained ? ` that goes on from ${model.pretrained}` : ''}, trained for ${counted(pretrain.stages, 'stage')} of ` +
    `${format.count(pretrain.stepsPerStage)} ${plural(pretrain.stepsPerStage, 'step')} (${format.count(tokens)} tokens in all)`;
  if (!selects(config) && !trainsOnReferences(config)) return `${trained} on random rows.`;
  const replaced = replacedStages(config, stages).map(({ stage, method }) => `stage ${stage} by ${method}`);
  const otherwise = replaced.length ? `, except that rows were selected for ${replaced.join(', ')} instead` : '';
  return (
    `${trained}: the first stage on random rows, each later one on ${chosenRows(
      config,
      stages.every(({ plan }) => !plan?.scored || usesAll(plan)),
    )}` +
    otherwise +
    (config.control === 'random' ? '. A control was trained as long on random rows of the same pools.' : '.')
  );
}

/**
 * The rows of a later stage, in words.
 *
 * @param all whether all of them were trained on, rather than as many as the steps take.
 */
function chosenRows({ selection, probe }: RunConfig, all: boolean): string {
  const share = `${all ? '' : 'rows of '}the ${format.plainPercent(selection.fraction)} of its candidate pool`;
  const influence = probe.method === 'exact' ? 'influence' : `influence by ${probe.method}`;
  const how: Record<Exclude<Method, 'random'>, string> = {
    influence: `${share} that an influence model, fitted to the current checkpoint, drew`,
    'hard-top-k': `${share} that an influence model, fitted to the current checkpoint, ranks highest`,
    'static-influence': `${share} that an influence model, fitted once to the first stage\u2019s checkpoint, drew`,
    oracle: `${share} drawn by the measured ${influence} of each row on the current checkpoint`,
    'color-filter': `${share} of the highest ${influence} on the first stage\u2019s checkpoint`,
    dsir: `${share} drawn by DSIR\u2019s importance weights`,
    classifier: `${share} that a linear classifier finds most like reference passages`,
    perplexity: `${share} that the current checkpoint predicts best`,
    'train-on-reference': `random rows, ${format.plainPercent(selection.referenceShare)} of each batch replaced by reference passages`,
  };
  const [, ...added] = weightedScores(methodTraits(selection.method).score, selection);
  const names: Partial<Record<ScoreKind, string>> = { dsir: 'DSIR', classifier: 'a quality classifier' };
  const beside = added.length ? `, with the score of ${added.map(([kind]) => names[kind]).join(' and of ')} added` : '';
  return how[selection.method as Exclude<Method, 'random'>] + beside;
}

function closingTable(data: ReportData): Html {
  const { config } = data.record;
  const trained = trainsOnReferences(config);
  const compared = config.control === 'random' && (trained || selects(config));
  const favours = trained
    ? 'the reference passages were trained on, so go by the held-out loss, where a negative difference favours training on them'
    : 'a negative difference favours selection';
  const row = (stage: StageReport) => {
    const main = stage.main.evaluation;
    const control = controlEvaluation(stage);
    const cells = (key: 'referenceLoss' | 'heldOutLoss' | 'mixedDomainLoss') =>
      !compared
        ? html`<td class="group">${optional(main?.[key], format.loss)}</td>`
        : isShared(stage)
          ? sharedLoss(main?.[key])
          : lossPair(main?.[key], control?.[key], !(trained && key === 'referenceLoss'));
    const { fit, plan } = stage;
    return html`<tr><th scope="row">${stage.stage}</th>${cells('referenceLoss')}${cells('heldOutLoss')}${cells('mixedDomainLoss')}
<td class="group">${fit ? html`${format.correlation(fit.spearman)} <span class="muted">${format.interval(fit.spearmanInterval)}</span>` : format.NOTHING}</td>
<td>${optional(fit?.freshSpearman, format.correlation)}</td><td>${optional(fit?.staleSpearman, format.correlation)}</td>
<td class="group">${plan ? [plan.consumedRows, plan.selectedRows, plan.poolRows].map(format.count).join(' / ') : format.NOTHING}</td>
<td>${optional(stage.seconds, format.duration)}</td></tr>
`;
  };
  const group = (name: string, span: number) => html`<th class="group" scope="colgroup" colspan="${span}">${name}</th>`;
  return html`<div class="scroll" tabindex="0"><table class="closing">
<thead><tr><th scope="col" rowspan="2">stage</th>${['reference loss', 'held-out loss', 'mixed-domain loss'].map((name) => group(name, compared ? 3 : 1))}${group('Spearman', 3)}<th class="group" scope="col" rowspan="2">rows used /<br>selected / of pool</th><th scope="col" rowspan="2">job<br>time</th></tr>
<tr>${[1, 2, 3].map(() =>
    compared
      ? html`<th class="group" scope="col">${armNames(config).column}</th><th scope="col">random</th><th scope="col">diff.</th>`
      : html`<th class="group" scope="col">main</th>`,
  )}<th class="group" scope="col">test [interval]</th><th scope="col">fresh</th><th scope="col">stale</th></tr></thead>
<tbody>${data.stages.map(row)}</tbody></table></div>
<p class="note">Losses in nats per token, on a learning-rate-decay branch of the stage\u2019s checkpoint${compared && `; ${favours}, and one below ${LEAST_DIFFERENCE} may as well be chance and is not coloured`}. Spearman on documents used for neither fitting nor early stopping; fresh and stale: this and the previous stage\u2019s model, on documents that neither was fitted to. Job time is the time in which any of the stage\u2019s jobs ran.</p>`;
}

const optional = (value: number | undefined, write: (value: number) => string) =>
  value === undefined ? format.NOTHING : write(value);

/** Both arms' losses and their difference, which is coloured if it measures what the run was for. */
function lossPair(main: number | undefined, control: number | undefined, isMeasure: boolean): Html {
  const difference = main === undefined || control === undefined ? undefined : shownDifference(main, control);
  return html`<td class="group">${optional(main, format.loss)}</td><td>${optional(control, format.loss)}</td><td class="${difference !== undefined && isMeasure && tone(difference)}">${optional(difference, format.lossDifference)}</td>`;
}

/** One loss, for a stage that was trained once for both arms. */
const sharedLoss = (loss: number | undefined) =>
  html`<td class="group shared" colspan="2">${optional(loss, format.loss)}</td><td>${format.NOTHING}</td>`;

function configuration({ record, corpus }: ReportData): Html {
  return html`<details class="part"><summary>Every field, defaults included</summary><pre>${JSON.stringify(record.config, null, 2)}</pre></details>
<details class="part"><summary>Versions and seed</summary>${facts([
    ['seed', record.config.seed],
    ...Object.entries(record.versions),
  ])}</details>
<details class="part"><summary>Corpus and input files</summary>${
    corpus
      ? html`${facts([
          ['rows', format.count(corpus.rows)],
          ['documents', format.count(corpus.documents)],
          ['tokens', format.count(corpus.tokens)],
          ['duplicates removed', format.count(corpus.duplicatesRemoved)],
          ...(corpus.nearDuplicatesRemoved === undefined
            ? []
            : [['near-duplicates removed', format.count(corpus.nearDuplicatesRemoved)] as [string, string]]),
          ['reference or held-out passages removed', format.count(corpus.excludedRemoved)],
          ['shards', format.count(corpus.shards.length)],
          ['vocabulary', format.count(corpus.tokenizer.vocabularySize)],
          ['tokenizer sha256', html`<code>${corpus.tokenizer.sha256}</code>`],
        ])}<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">input</th><th scope="col">bytes</th><th scope="col">documents</th><th class="text" scope="col">sha256</th></tr></thead>
<tbody>${corpus.inputs.map(
          (input) =>
            html`<tr><td>${input.uri}</td><td>${format.count(input.bytes)}</td><td>${format.count(input.documents)}</td><td class="text"><code>${input.sha256}</code></td></tr>`,
        )}</tbody></table></div>`
      : html`<p class="muted">The corpus does not exist yet, or its folder (${record.corpus}) cannot be read from here.</p>`
  }</details>`;
}

const facts = (rows: [string, Content][]) =>
  html`<div class="scroll" tabindex="0"><table><tbody>${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="text">${value}</td></tr>`)}</tbody></table></div>`;
