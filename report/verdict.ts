/** What the run shows, in plain words, and what it does not show. */
import { weaknessOf } from '../core/diagnostics/weakness.ts';
import type { Evaluation, InfluenceFit } from '../core/formats.ts';
import { armNames, replacedStages, selects, trainsOnReferences } from './arms.ts';
import { controlEvaluation, isShared, type ReportData } from './data.ts';
import { LEAST_DIFFERENCE, shownDifference, tone } from './difference.ts';
import { interval, loss, lossDifference } from './format.ts';

export interface Verdict {
  tone: 'good' | 'warn' | 'open';
  /** One sentence: the result. */
  sentence: string;
  /** The figures it rests on. */
  figures: { name: string; value: string }[];
  /** What a careful reader should know before believing it. */
  cautions: string[];
}

/** The run's figures at the last stage that has both arms' evaluations, and the remarks that apply to any of them. */
interface Seen {
  data: ReportData;
  stage: number;
  main: Evaluation;
  /** Absent if there is no control arm, and at a stage that both arms share. */
  control?: Evaluation;
  progress: string[];
  /** Doubts about the influence model, the passages and the selections. */
  doubts: string[];
}

/** Compares the two arms at the last stage that has both evaluations. */
export function verdict(data: ReportData): Verdict {
  const { record, stages } = data;
  const last = stages.findLast((stage) => stage.main.evaluation && (isShared(stage) || stage.control.evaluation));
  const fits = stages.flatMap(({ stage, fit }) => (fit ? [{ stage, fit }] : []));
  const doubts = [...doubtsOf(fits), ...replacements(data), ...oddities(data)];
  if (!last) return { tone: 'open', sentence: 'No stage has been evaluated yet.', figures: [], cautions: doubts };
  const progress =
    last.stage < stages.length - 1
      ? [
          `The run is not finished: these are the figures of stage ${last.stage}, and the last stage is ${stages.length - 1}.`,
        ]
      : [];
  const control = isShared(last) ? undefined : controlEvaluation(last);
  const seen: Seen = { data, stage: last.stage, main: last.main.evaluation!, control, progress, doubts };
  if (trainsOnReferences(record.config)) return ofReferences(seen);
  if (!selects(record.config)) return ofRandomRows(seen);
  return control ? ofSelection(seen, control) : ofOneArm(seen);
}

/** Selection is for the reference passages; only others, which nothing was selected for, show that a gain goes beyond them. */
function ofSelection({ data, stage, main, progress, doubts }: Seen, control: Evaluation): Verdict {
  const names = armNames(data.record.config);
  const reference = shownDifference(main.referenceLoss, control.referenceLoss);
  const heldOut = shownDifference(main.heldOutLoss, control.heldOutLoss);
  const [aimedAt, carried] = [tone(reference), tone(heldOut)];
  const unseen = aimedAt === undefined && carried === undefined;
  return {
    tone: unseen ? 'open' : carried === 'better' && aimedAt !== 'worse' && isTrusted(data) ? 'good' : 'warn',
    sentence:
      `After stage ${stage} the model trained on selected data has a held-out loss of ${loss(main.heldOutLoss)} nats per token, ` +
      besideControl(heldOut, control.heldOutLoss) +
      (carried === 'worse' ? ': in this run selection did not help.' : '.'),
    figures: [
      { name: names.main, value: loss(main.heldOutLoss) },
      { name: names.control, value: loss(control.heldOutLoss) },
      { name: 'Difference', value: lossDifference(heldOut) },
      { name: 'On the reference passages', value: lossDifference(reference) },
    ],
    cautions: [
      ...progress,
      ...doubts,
      ...(aimedAt === 'better' && carried !== 'better'
        ? [
            `The gain on the reference passages (${lossDifference(reference)}) does not carry over to the held-out ones (${lossDifference(heldOut)}): it may be specific to the reference set.`,
          ]
        : []),
      ...breadth(main, control, 'selection'),
      oneSeed(data),
    ],
  };
}

/** A stage that both arms share, or any stage of a run without a control. */
function ofOneArm({ data, stage, main, progress, doubts }: Seen): Verdict {
  return {
    tone: 'open',
    sentence: `After stage ${stage} the reference loss is ${loss(main.referenceLoss)} nats per token.`,
    figures: [
      { name: 'Reference loss', value: loss(main.referenceLoss) },
      { name: 'Mixed-domain loss', value: loss(main.mixedDomainLoss) },
    ],
    cautions: [...progress, withoutControl(data, 'selection helped'), ...doubts],
  };
}

function ofRandomRows({ data, stage, main, progress, doubts }: Seen): Verdict {
  return {
    tone: 'open',
    sentence:
      'Nothing was selected in this run: it trained on random rows. ' +
      `After stage ${stage} its reference loss is ${loss(main.referenceLoss)} nats per token.`,
    figures: [
      { name: 'Reference loss', value: loss(main.referenceLoss) },
      { name: 'Held-out loss', value: loss(main.heldOutLoss) },
      { name: 'Mixed-domain loss', value: loss(main.mixedDomainLoss) },
    ],
    cautions: [
      ...progress,
      ...(data.record.config.selection.method === 'random'
        ? ['mates compare compares it with runs of the same seed that select.']
        : ['The first stage always trains on random rows: selection begins with the second (pretrain.stages).']),
      ...doubts,
    ],
  };
}

/** Neither a selection nor its control: the loss on passages that were trained on does not measure generalisation. */
function ofReferences({ data, stage, main, control, progress, doubts }: Seen): Verdict {
  const names = armNames(data.record.config);
  const heldOut = control ? shownDifference(main.heldOutLoss, control.heldOutLoss) : 0;
  return {
    tone: 'open',
    sentence:
      'Nothing was selected in this run: after the first stage, the reference passages themselves were trained on, among random rows. ' +
      `After stage ${stage} its held-out loss is ${loss(main.heldOutLoss)} nats per token${control ? `, ${besideControl(heldOut, control.heldOutLoss)}` : ''}.`,
    figures: [
      { name: 'Held-out loss', value: loss(main.heldOutLoss) },
      ...(control
        ? [
            { name: names.control, value: loss(control.heldOutLoss) },
            { name: 'Difference', value: lossDifference(heldOut) },
            {
              name: 'On what was trained on',
              value: lossDifference(shownDifference(main.referenceLoss, control.referenceLoss)),
            },
          ]
        : []),
    ],
    cautions: [
      ...progress,
      ...(stage > 0
        ? ['The loss on the reference passages says how well they were learned, and nothing about other texts.']
        : []),
      ...(control
        ? [...breadth(main, control, 'training on the reference'), oneSeed(data)]
        : [withoutControl(data, 'the reference passages helped')]),
      ...doubts,
    ],
  };
}

const withoutControl = ({ record }: ReportData, what: string) =>
  record.config.control === 'none'
    ? `There is no random control to compare with, so nothing here says whether ${what}.`
    : 'Both arms still share this stage; the comparison begins with the next.';

/** `0.180 lower than the random control\u2019s 5.413`, and a remark if that may be chance. */
function besideControl(difference: number, control: number): string {
  if (difference === 0) return 'the same as the random control\u2019s';
  const than = `${difference < 0 ? 'lower' : 'higher'} than the random control\u2019s ${loss(control)}`;
  const small = tone(difference) ? '' : `: less than ${LEAST_DIFFERENCE}, which may as well be chance`;
  return `${loss(Math.abs(difference))} ${than}${small}`;
}

/**
 * Stages whose influence model is weak or not shown to rank better than chance; one sentence for each kind of doubt.
 */
function doubtsOf(fits: { stage: number; fit: InfluenceFit }[]): string[] {
  const uncertain = fits.filter(
    ({
      fit: {
        spearmanInterval: [low, high],
      },
    }) => low <= 0 && high >= 0,
  );
  const reversed = fits.filter(({ fit }) => fit.spearmanInterval[1] < 0);
  const of = (list: typeof fits) =>
    list.map(({ stage, fit }) => `stage ${stage} ${interval(fit.spearmanInterval)}`).join(', ');
  // What is wrong with an interval is said below.
  const weak = fits.filter(({ fit }) => fit.weakLabels || fit.testedOnSeen || fit.spearmanInterval[0] > 0);
  return [
    ...weak.flatMap(({ stage, fit }) => (fit.weak === undefined ? [] : [`Stage ${stage}: ${weaknessOf(fit)}.`])),
    ...(uncertain.length
      ? [
          `The influence model\u2019s Spearman interval includes zero (${of(uncertain)}), so its ranking may be no better than chance. More probes (probe.documents) narrow the interval.`,
        ]
      : []),
    ...(reversed.length
      ? [
          `The influence model ranks documents the wrong way round: its Spearman interval lies below zero (${of(reversed)}).`,
        ]
      : []),
  ];
}

/** Whether every stage selected by a model or probe that is shown to rank better than chance. */
const isTrusted = ({ record, stages }: ReportData) =>
  replacedStages(record.config, stages).length === 0 &&
  stages.every(
    ({ fit, weakProbe }) => weakProbe === undefined && !(fit && (fit.weakLabels || fit.spearmanInterval[0] <= 0)),
  );

/** What was selected by another method than the configured one. */
const replacements = ({ record: { config }, stages }: ReportData) =>
  replacedStages(config, stages).map(
    ({ stage, method }) => `Stage ${stage}: rows were selected by ${method} instead of ${config.selection.method}.`,
  );

/** Warnings about the probes, the passages and the selections. */
function oddities({ passages, stages }: ReportData): string[] {
  const probes = stages.flatMap(({ stage, weakProbe }) =>
    weakProbe === undefined ? [] : [`Stage ${stage}: the probe is weak: ${weakProbe}.`],
  );
  const ofSelections = stages.flatMap(({ stage, main }) =>
    (main.evaluation?.selection?.warnings ?? []).map((warning) => `Stage ${stage}: ${warning}`),
  );
  return [...probes, ...(passages?.warnings ?? []), ...ofSelections];
}

/** A gain on the reference can cost loss elsewhere, which should not have to be read off the table. */
function breadth(main: Evaluation, control: Evaluation, what: string): string[] {
  const mixed = shownDifference(main.mixedDomainLoss, control.mixedDomainLoss);
  if (tone(mixed) !== 'worse') return [];
  const traded = tone(shownDifference(main.referenceLoss, control.referenceLoss)) === 'better';
  return [
    `The loss over all the corpus\u2019s domains is higher than the control\u2019s${traded ? '' : ', too'} (${lossDifference(mixed)})${traded ? `: ${what} trades breadth for the reference` : ''}.`,
  ];
}

const oneSeed = ({ record }: ReportData) =>
  `This is one run with one seed (${record.config.seed}); it takes several seeds to say how much of the difference is chance.`;
