/** What the roles of functions and jobs may change in the lake, by the template. */
import { describe, expect, it } from 'vitest';
import { armLayout, checkpointMark, stageLayout } from '../../core/layout.ts';
import { covers, type Grant } from '../policies/evaluate.ts';
import { grantsOn, list, statements, synthesize } from './templates.ts';

const all = statements(synthesize().template);

const LAKE = 'arn:aws:s3:::lake';

function grants(role: string): Grant[] {
  const own = all.filter(({ policy }) => policy.startsWith(`${role}DefaultPolicy`));
  expect(own, role).not.toEqual([]);
  return own
    .filter(({ statement }) => list(statement.Action).some((action) => action.startsWith('s3:')))
    .flatMap(({ statement }) => grantsOn(LAKE, statement));
}

const may = (role: string, action: 'Put' | 'Delete', key: string) =>
  grants(role).some((grant) => covers(grant, { action: `s3:${action}Object`, resource: `${LAKE}/${key}` }));

const stage = stageLayout(11);
const arms = [armLayout(11, 'main'), armLayout(11, 'control')];
const keys = (...ofRun: string[]) => ofRun.map((key) => `runs/a/${key}`);
const TRAINERS = ['PretrainJobRole', 'JobRolesTraining'];

describe.each(TRAINERS)('a trainer (%s)', (role) => {
  it.each(arms)(
    'writes its checkpoints, metrics and timings in $root',
    ({ checkpoint, metrics, partialCheckpoints }) => {
      const written = keys(
        `${checkpoint}/model.safetensors`,
        checkpointMark(checkpoint),
        metrics,
        `${partialCheckpoints}000000012/optimizer.safetensors`,
        stage.timing('pretrain-control'),
        stage.interrupted('pretrain-main'),
      );
      for (const key of written) expect(may(role, 'Put', key), key).toBe(true);
      const deleted = keys(
        checkpointMark(checkpoint),
        `${partialCheckpoints}000000012/training.json`,
        partialCheckpoints.slice(0, -1), // as s3fs does when it deletes the folder
      );
      for (const key of deleted) expect(may(role, 'Delete', key), key).toBe(true);
    },
  );

  it('changes nothing by which the run is planned, measured, selected or priced', () => {
    const others = keys(
      'run.json',
      'manifest.json',
      'executions/00000.json',
      'corpus/corpus.json',
      'corpus/shards/00000.tokens.bin',
      stage.plan,
      stage.probeItems,
      stage.scoreItems,
      stage.scorer,
      stage.fit,
      stage.dsir,
      stage.classifier,
      stage.probe(0),
      `${stage.score(0)}.keys.bin`,
      stage.timing('evaluate-main'),
      stage.timing('probe-0'),
      ...arms.flatMap(({ evaluation, selection, selectionSummary }) => [evaluation, selection, selectionSummary]),
    );
    for (const key of others)
      for (const action of ['Put', 'Delete'] as const) expect(may(role, action, key), `${action} ${key}`).toBe(false);
    for (const { checkpoint, metrics } of arms)
      for (const key of keys(metrics, `${checkpoint}/model.safetensors`, stage.timing('pretrain-main')))
        expect(may(role, 'Delete', key), key).toBe(false);
  });
});

it("SageMaker's own folder is written by its role alone", () => {
  const key = 'runs/a/stages/11/sagemaker-control/pretrain-1/output/model.tar.gz';
  expect(TRAINERS.map((role) => may(role, 'Put', key))).toEqual([false, true]);
});

describe('the files of a run that others rely on', () => {
  const jobs = ['Prepare', 'PrepareProbe', 'Probe', 'FitInfluence', 'Score', 'Pretrain', 'Evaluate'];
  const functions = ['ValidateRun', 'PlanStage', 'MergeTopK', 'FinishRun'];
  const roles = [
    ...jobs.map((name) => `${name}JobRole`),
    'JobRolesTraining',
    ...functions.map((name) => `${name}Role`),
  ];
  const writers = (key: string) => roles.filter((role) => may(role, 'Put', `runs/a/${key}`));

  it.each([
    ['run.json', 'ValidateRunRole'],
    ['executions/00001.json', 'ValidateRunRole'],
    ['manifest.json', 'FinishRunRole'],
    ['corpus/corpus.json', 'PrepareJobRole'],
    [stage.plan, 'PlanStageRole'],
    [stage.probeItems, 'PlanStageRole'],
    [stage.scoreItems, 'PlanStageRole'],
    [`${stage.probeModel}/probe.json`, 'PrepareProbeJobRole'],
    [stage.probe(3), 'ProbeJobRole'],
    [stage.fit, 'FitInfluenceJobRole'],
    [stage.scorer, 'FitInfluenceJobRole'],
    [`${stage.score(3)}.keys.bin`, 'ScoreJobRole'],
    [stage.timing('score-3'), 'ScoreJobRole'],
    ...arms.flatMap(({ selection, evaluation }) => [
      [selection, 'MergeTopKRole'],
      [evaluation, 'EvaluateJobRole'],
    ]),
  ])('%s is written by %s alone', (key, writer) => {
    expect(writers(key!)).toEqual([writer]);
  });
});
