/** The rules of docs/trainer-contract.md, each tried on a tiny run. */

import { modelShape } from '../../containers/model.ts';
import { shapeDifference } from '../../containers/run-checkpoint.ts';
import { JOB_VARIABLE } from '../../core/deployed-names.ts';
import { INTERRUPTED, InputError } from '../../core/errors.ts';
import type { Arm, TrainingMetrics } from '../../core/formats.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { mean } from '../../core/metrics/index.ts';
import { counted, plural } from '../../core/plural.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { getJsonIfPresent, type Store, type StoreOpener, uriOf } from '../../core/storage/index.ts';
import { hasCheckpoint, loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { GRACE_SECONDS, type Interruption, runTrainer, type TrainerRun } from './command.ts';
import { ONE_STEP, stepDifference } from './one-step.ts';
import { copyScene, fingerprint, OTHER_KIND, prepareScene, type Scene, withModel } from './scene.ts';

export interface RuleResult {
  rule: string;
  /** `advice`: not kept, but only recommended; `skipped`: could not be tried. */
  status: 'pass' | 'fail' | 'advice' | 'skipped';
  detail?: string;
}

export interface CheckOptions {
  command: string[];
  open: StoreOpener;
  /** Where the runs are made. */
  lake: string;
  /** Seconds for one run of the command. */
  timeout: number;
  environment: NodeJS.ProcessEnv;
  /** When aborted, ends the running trainer, and then the check with an InterruptedError. */
  signal?: AbortSignal;
  onResult(result: RuleResult): void;
}

/** How much the losses of an interrupted and an uninterrupted training may differ: GPUs do not add in a fixed order. */
const LOSS_TOLERANCE = 0.01;
/** The same of learning rates, which a trainer may hold in float32. */
const RATE_TOLERANCE = 1e-4;
/** How often an interruption is tried if it comes too late. */
const TRIES = 3;

/** Wording that is used in more than one place. */
const REFUSAL = 'without its input it fails, with words on stderr and neither 0 nor 75';
const SAVES = `SIGTERM: it saves and exits with 75 within ${GRACE_SECONDS} s`;
const GOES_ON = 'SIGTERM: run again, it goes on to the same losses';
const STARTS_AGAIN = 'SIGKILL: run again, it ends with the same losses';
const TOO_EARLY = 'it ended before it could be interrupted';

/** Tries every rule; rules that build on a failed one are skipped. */
export async function checkTrainer(options: CheckOptions): Promise<RuleResult[]> {
  const checks = new Checks(options);
  await checks.run();
  return checks.results;
}

export const countOf = (results: readonly RuleResult[], status: RuleResult['status']): number =>
  results.filter((result) => result.status === status).length;

/**
 * Why it is not certain that the contract is kept; undefined if it is. A rule that was not tried may be broken as well.
 */
export function shortcomings(results: readonly RuleResult[]): string | undefined {
  const [broken, skipped] = [countOf(results, 'fail'), countOf(results, 'skipped')];
  if (broken + skipped === 0) return undefined;
  const untried = skipped ? `, and ${skipped} could not be tried` : '';
  return `${broken} of ${results.length} rules ${plural(broken, 'is', 'are')} broken${untried}; see docs/trainer-contract.md.`;
}

class Checks {
  readonly results: RuleResult[] = [];
  private readonly options: CheckOptions;
  private base!: Scene;

  constructor(options: CheckOptions) {
    this.options = options;
  }

  async run(): Promise<void> {
    const { open, lake } = this.options;
    this.base = await prepareScene(open, `${lake}/base`);
    const whole = await this.scene('whole');
    const first = await this.train(whole, 0, 'main');
    const trained = await this.rule('a first stage ends with exit code 0', () => expectExit(first, 0));
    if (trained) await this.finished(whole, first);
    else this.skip('the rules on outputs, repetition, later stages and interruptions', 'the first stage has failed');
    // If it fails even with its input, failing without it shows nothing.
    if (trained) await this.refusal();
    else this.skip(REFUSAL, 'it fails with its input too');
  }

  /** The rules that need a finished first stage. */
  private async finished(whole: Scene, first: TrainerRun): Promise<void> {
    const loads = await this.rule('the checkpoint is whole and loads', () => this.checkpoint(whole, 0, 'main'));
    const measured = await this.rule('metrics.json has a finite loss for each step', () =>
      this.metrics(whole, 0, 'main'),
    );
    const complete = loads && measured;
    const later = (rule: string, check: () => Promise<void>) =>
      this.ruleIf(complete, 'it needs the checkpoint and metrics.json', rule, check);
    await this.ruleIf(measured, 'it needs metrics.json', 'the loss falls', () => this.lossFalls(whole));
    await this.rule('it changes nothing but its own files', () => this.ownFiles(whole));
    await later('run again, it ends with 0 and changes nothing', () => this.repetition(whole));
    await later('the next stage goes on from the checkpoint', () => this.nextStage(whole, 'main'));
    await later('the control arm has files of its own', () => this.nextStage(whole, 'control'));
    await later('a step is the one that AdamW takes on the selected rows', () => this.oneStep());
    this.advise('it reports its progress on stdout', first.toldProgress ? undefined : 'then mates run can show it');
    await this.otherKind();
    await this.termination(whole, first, complete);
    if (complete) await this.kill(whole, first.seconds);
    else this.skip(STARTS_AGAIN, 'it needs the checkpoint and metrics.json');
  }

  private async checkpoint({ store, config, corpus }: Scene, stage: number, arm: Arm): Promise<void> {
    const { stepsPerStage, batchRows } = config.pretrain;
    const { checkpoint } = armLayout(stage, arm);
    const { shape, parameters, optimizer, state } = await loadCheckpoint(store, checkpoint);
    const difference = shapeDifference(shape, modelShape(config, corpus));
    if (difference !== undefined) fail(`${checkpoint}/config.json: ${difference}`);
    if (!parameters.flat.every(Number.isFinite)) fail(`${checkpoint}/model.safetensors has values that are not finite`);
    const steps = (stage + 1) * stepsPerStage;
    expectEqual(`${checkpoint}/training.json: state.step`, state.step, steps);
    expectEqual(`${checkpoint}/training.json: optimizer.step`, optimizer.step, steps);
    for (const name of ['beta1', 'beta2', 'epsilon', 'weightDecay'] as const)
      expectEqual(`${checkpoint}/training.json: optimizer.${name}`, optimizer.options[name], config.pretrain[name]);
    expectEqual(`${checkpoint}/training.json: state.tokens`, state.tokens, steps * batchRows * corpus.sequenceLength);
    const { m, v } = optimizer;
    const moments = `${checkpoint}/optimizer.safetensors`;
    if (!m.some((value) => value !== 0)) fail(`${moments}: all moments are zero`);
    if (!m.every(Number.isFinite)) fail(`${moments}: exp_avg has values that are not finite`);
    if (!v.every((value) => Number.isFinite(value) && value >= 0))
      fail(`${moments}: exp_avg_sq has values that are no mean of squares`);
  }

  private async metrics({ store, config }: Scene, stage: number, arm: Arm): Promise<void> {
    const { metrics: key } = armLayout(stage, arm);
    const metrics = await getJsonIfPresent<TrainingMetrics>(store, key);
    if (!metrics) fail(`${key} is not there`);
    const { stepsPerStage } = config.pretrain;
    expectEqual(`${key}: format`, metrics.format, 'mates-training/1');
    expectEqual(`${key}: firstStep`, metrics.firstStep, stage * stepsPerStage);
    for (const name of ['loss', 'gradientNorm', 'learningRate'] as const) {
      const values = metrics[name];
      if (!Array.isArray(values)) fail(`${key}: ${name} is not a list`);
      expectEqual(`${key}: entries of ${name}`, values.length, stepsPerStage);
      if (!values.every(Number.isFinite)) fail(`${key}: ${name} has entries that are not finite numbers`);
    }
    for (const [i, rate] of metrics.learningRate.entries()) {
      const step = stage * stepsPerStage + i;
      const wanted = trunkLearningRate(config.pretrain, step);
      if (!(Math.abs(rate - wanted) <= RATE_TOLERANCE * wanted))
        fail(`${key}: the learning rate of step ${step + 1} is ${rate} but should be ${wanted}`);
    }
  }

  private async lossFalls({ store }: Scene): Promise<void> {
    const loss = await losses(store, 0, 'main');
    const end = mean(loss.slice(-5));
    if (!(end < 0.95 * loss[0]!)) fail(`it was ${loss[0]} at first and is ${end} at the end`);
  }

  private async ownFiles(scene: Scene): Promise<void> {
    const before = await fingerprint(this.base);
    const after = await fingerprint(scene);
    for (const [key, hash] of before) if (after.get(key) !== hash) fail(`${key} was changed or removed`);
    const { checkpoint, partialCheckpoints, metrics } = armLayout(0, 'main');
    const own = [`${checkpoint}/`, partialCheckpoints, metrics, stageLayout(0).timings];
    for (const key of after.keys())
      if (!before.has(key) && !own.some((prefix) => key.startsWith(prefix)))
        fail(`${key} is not a file of the contract`);
    const left = [...after.keys()].filter((key) => key.startsWith(partialCheckpoints));
    // A trainer that has trained nothing has no partial checkpoints either.
    if (await hasCheckpoint(scene.store, checkpoint))
      this.advise(
        'it removes its partial checkpoints at the end',
        left.length === 0 ? undefined : `${counted(left.length, 'file is', 'files are')} left`,
      );
  }

  private async repetition(scene: Scene): Promise<void> {
    const before = await fingerprint(scene);
    expectExit(await this.train(scene, 0, 'main'), 0);
    const after = await fingerprint(scene);
    for (const key of new Set([...before.keys(), ...after.keys()]))
      if (before.get(key) !== after.get(key) && !key.includes('/timings/')) fail(`${key} has changed`);
  }

  private async nextStage(scene: Scene, arm: Arm): Promise<void> {
    expectExit(await this.train(scene, 1, arm), 0);
    await this.checkpoint(scene, 1, arm);
    await this.metrics(scene, 1, arm);
    // If it had started from new weights, its first loss would be that of the first stage.
    const [fresh] = await losses(scene.store, 0, 'main');
    const [gone] = await losses(scene.store, 1, arm);
    if (!(gone! < 0.97 * fresh!)) fail(`its first loss is ${gone}, and a new model's is ${fresh}`);
  }

  /** The rows and the step cannot be seen in a whole stage, whose rows may come in any order. */
  private async oneStep(): Promise<void> {
    const { open, lake } = this.options;
    const scene = await prepareScene(open, `${lake}/one-step`, ONE_STEP);
    for (const stage of [0, 1]) {
      expectExit(await this.train(scene, stage, 'main'), 0);
      await this.checkpoint(scene, stage, 'main');
      await this.metrics(scene, stage, 'main');
    }
    const difference = await stepDifference(open, scene);
    if (difference !== undefined) fail(difference);
  }

  /** Only advice: a trainer may be made for the runs of one model. */
  private async otherKind(): Promise<void> {
    const scene = await withModel(await this.scene('other-kind'), OTHER_KIND);
    const run = await this.train(scene, 0, 'main');
    const why = await shortcoming(async () => {
      expectExit(run, 0);
      await this.checkpoint(scene, 0, 'main');
    });
    this.advise('it trains models of other kinds, as run.json describes them', why);
  }

  /** @param complete whether there are a checkpoint and losses to compare with. */
  private async termination(whole: Scene, { toldProgress, seconds }: TrainerRun, complete: boolean): Promise<void> {
    const { checkpoint, partialCheckpoints } = armLayout(0, 'main');
    const skipBoth = (why: string) => {
      for (const rule of [SAVES, GOES_ON]) this.skip(rule, why);
    };
    if (!(await hasCheckpoint(whole.store, checkpoint))) return skipBoth('it leaves no checkpoint');
    const begun = await this.interrupted('terminated', {
      signal: 'SIGTERM',
      // A trainer that reports progress has begun at its first report, however long the start takes on a busy machine.
      after: toldProgress ? this.options.timeout : seconds / 2,
      when: (progress) => progress !== undefined,
    });
    if (!begun) return skipBoth(TOO_EARLY);
    const { scene, run } = begun;
    const saved = await this.rule(SAVES, async () => {
      if (run.overdue) fail(`it was still there after ${GRACE_SECONDS} s`);
      expectExit(run, INTERRUPTED);
      if ((await scene.store.list(partialCheckpoints)).length === 0)
        fail(`nothing was saved under ${partialCheckpoints}`);
      if (await hasCheckpoint(scene.store, checkpoint)) fail('the stage is marked as finished');
    });
    const why = saved ? 'it needs the checkpoint and metrics.json' : 'it needs what it saves on SIGTERM';
    await this.ruleIf(saved && complete, why, GOES_ON, () => this.resumption(whole, scene));
  }

  private async kill(whole: Scene, seconds: number): Promise<void> {
    const { partialCheckpoints } = armLayout(0, 'main');
    const begun = await this.interrupted('killed', (scene) => ({
      signal: 'SIGKILL',
      after: 0.6 * seconds,
      when: async () => (await scene.store.list(partialCheckpoints)).length > 0,
    }));
    if (!begun) return this.skip(STARTS_AGAIN, TOO_EARLY);
    const resumed = await this.rule(STARTS_AGAIN, () => this.resumption(whole, begun.scene));
    if (resumed) await this.sameBytes(whole, begun.scene);
  }

  private async resumption(whole: Scene, scene: Scene): Promise<void> {
    expectExit(await this.train(scene, 0, 'main'), 0);
    await this.checkpoint(scene, 0, 'main');
    await this.metrics(scene, 0, 'main');
    const expected = await losses(whole.store, 0, 'main');
    const found = await losses(scene.store, 0, 'main');
    for (const [step, value] of expected.entries())
      if (!(Math.abs(found[step]! - value) <= LOSS_TOLERANCE * Math.abs(value)))
        fail(`the loss of step ${step + 1} is ${found[step]}, but ${value} if it is not interrupted`);
  }

  private async sameBytes(whole: Scene, scene: Scene): Promise<void> {
    const prefix = `${armLayout(0, 'main').checkpoint}/`;
    const [expected, found] = [await fingerprint(whole), await fingerprint(scene)];
    const differs = [...expected].filter(([key, hash]) => key.startsWith(prefix) && found.get(key) !== hash);
    const why = differs.length === 0 ? undefined : 'then the runs cannot be told apart';
    this.advise('an interruption leaves the same bytes', why);
  }

  private async refusal(): Promise<void> {
    const scene = await this.scene('refused');
    await scene.store.delete(armLayout(0, 'main').selection);
    const run = await this.train(scene, 0, 'main');
    await this.rule(REFUSAL, async () => {
      if (run.overdue) fail('it did not end');
      if (run.exitCode === 0 || run.exitCode === INTERRUPTED)
        fail(`it ended with ${run.exitCode}, which means something else`);
      if (run.lastWords === '') fail('it wrote nothing to stderr');
      if (await hasCheckpoint(scene.store, armLayout(0, 'main').checkpoint)) fail('it left a finished checkpoint');
    });
  }

  /** A fresh run whose first stage is interrupted; undefined when it always ended first. */
  private async interrupted(
    name: string,
    how: Interruption | ((scene: Scene) => Interruption),
  ): Promise<{ scene: Scene; run: TrainerRun } | undefined> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const scene = await this.scene(`${name}-${attempt}`);
      const interruption = typeof how === 'function' ? how(scene) : how;
      const after = interruption.after / 2 ** attempt;
      const run = await this.train(scene, 0, 'main', { ...interruption, after });
      if (run.interrupted && run.exitCode !== 0) return { scene, run };
    }
    return undefined;
  }

  private scene(name: string): Promise<Scene> {
    return copyScene(this.base, this.options.open(`${this.options.lake}/${name}`));
  }

  private train({ store }: Scene, stage: number, arm: Arm, interruption?: Interruption): Promise<TrainerRun> {
    const { command, environment, timeout, signal } = this.options;
    const own = {
      [JOB_VARIABLE.task]: 'pretrain',
      [JOB_VARIABLE.runUri]: uriOf(store),
      [JOB_VARIABLE.stage]: String(stage),
      [JOB_VARIABLE.arm]: arm,
    };
    return runTrainer(command, { ...environment, ...own }, timeout, interruption, signal);
  }

  private async rule(rule: string, check: () => void | Promise<void>): Promise<boolean> {
    const detail = await shortcoming(check);
    this.add(detail === undefined ? { rule, status: 'pass' } : { rule, status: 'fail', detail });
    return detail === undefined;
  }

  /** @param why the reason to give if the rule is not ready to be tried. */
  private async ruleIf(ready: boolean, why: string, rule: string, check: () => Promise<void>): Promise<void> {
    if (ready) await this.rule(rule, check);
    else this.skip(rule, why);
  }

  /** @param why the rule is not kept; undefined if it is. */
  private advise(rule: string, why: string | undefined): void {
    this.add(why === undefined ? { rule, status: 'pass' } : { rule, status: 'advice', detail: why });
  }

  private skip(rule: string, why: string): void {
    this.add({ rule, status: 'skipped', detail: why });
  }

  private add(result: RuleResult): void {
    this.results.push(result);
    this.options.onResult(result);
  }
}

/** Thrown when a rule is not kept. */
class Broken extends Error {}

/** Why a check is not passed; undefined if it is. */
async function shortcoming(check: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    if (!(error instanceof Broken) && !(error instanceof InputError)) throw error;
    return error.message;
  }
}

function fail(why: string): never {
  throw new Broken(why);
}

function expectEqual(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) fail(`${what} is ${JSON.stringify(found)} but should be ${JSON.stringify(wanted)}`);
}

function expectExit({ exitCode, overdue, lastWords }: TrainerRun, wanted: number): void {
  if (overdue) fail('it did not end in time and was killed');
  if (exitCode !== wanted) fail(`it ended with ${exitCode}${lastWords ? `; its last words: ${lastWords}` : ''}`);
}

async function losses(store: Store, stage: number, arm: Arm): Promise<number[]> {
  return (await getJsonIfPresent<TrainingMetrics>(store, armLayout(stage, arm).metrics))?.loss ?? [];
}
