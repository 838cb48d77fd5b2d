import { MultiBar, type SingleBar } from 'cli-progress';
import pc from 'picocolors';
import type { Progress } from '../core/progress.ts';
import { count, truncate } from '../report/format.ts';

/** Shows how far each job has got: bars on a terminal, a plain line every few seconds elsewhere. */
export interface ProgressView {
  /** Names the stage that the following bars belong to. */
  heading(text: string): void;
  /** A line that stays. */
  notice(text: string): void;
  update(job: string, progress: Progress): void;
  close(): void;
}

export function createProgressView(stream: NodeJS.WriteStream = process.stderr): ProgressView {
  return stream.isTTY ? new BarView(stream) : new LineView(stream);
}

interface Track {
  begin: number;
  first: number;
}

/** `1,813/1,813 kB`. */
const counted = ({ done, total, unit }: Progress) => `${count(done)}/${count(total)} ${unit}`;

/** `12.3/s, 0:41 left`, from the progress since the job's first report. */
function pace(track: Track, { done, total }: Progress): string {
  const seconds = (performance.now() - track.begin) / 1000;
  const rate = (done - track.first) / seconds;
  if (!(rate > 0)) return '';
  const left = done < total ? `, ${clock((total - done) / rate)} left` : ` in ${clock(seconds)}`;
  return `${rate >= 100 ? count(rate) : rate.toPrecision(3)}/s${left}`;
}

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const tail = `${String(minutes % 60).padStart(minutes >= 60 ? 2 : 1, '0')}:${String(whole % 60).padStart(2, '0')}`;
  return minutes >= 60 ? `${Math.floor(minutes / 60)}:${tail}` : tail;
}

class BarView implements ProgressView {
  private readonly stream: NodeJS.WriteStream;
  private multi: MultiBar | undefined;
  private readonly bars = new Map<string, { bar: SingleBar; track: Track; needed: number }>();

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream;
  }

  heading(text: string): void {
    this.line(pc.bold(text));
  }

  notice(text: string): void {
    this.line(pc.yellow(text));
  }

  /** Finished bars stay on the screen; later ones are drawn below the line. */
  private line(text: string): void {
    this.close();
    this.stream.write(`${text}\n`);
  }

  update(job: string, progress: Progress): void {
    const key = `${job} ${progress.step}`;
    let entry = this.bars.get(key);
    if (!entry) {
      this.multi ??= this.newBars();
      const track = { begin: performance.now(), first: progress.done };
      const needed = numbersOf({ ...progress, done: progress.total }, '99.9/s, 0:00 left').length;
      const bar = this.multi.create(progress.total, progress.done, { progress, pace: '', needed });
      entry = { bar, track, needed };
      this.bars.set(key, entry);
    }
    entry.bar.setTotal(progress.total);
    const text = pace(entry.track, progress);
    entry.needed = Math.max(entry.needed, numbersOf(progress, text).length);
    entry.bar.update(progress.done, { progress, pace: text, needed: entry.needed } satisfies BarState);
  }

  close(): void {
    this.multi?.update();
    this.multi?.stop();
    this.multi = undefined;
    this.bars.clear();
  }

  private newBars(): MultiBar {
    return new MultiBar({
      stream: this.stream,
      format: (_options, { maxWidth }, state: BarState) => barLine(state, maxWidth),
      hideCursor: true,
      clearOnComplete: false,
      stopOnComplete: false,
      gracefulExit: false,
      linewrap: null,
    });
  }
}

/** Characters of a bar, and of the step's name in front of it, if the terminal has room. */
const BAR = 24;
const STEP = 24;
/** A bar with fewer characters says little. */
const LEAST_BAR = 8;

interface BarState {
  progress: Progress;
  pace: string;
  /** Characters that the numbers have needed so far; the bar leaves them room, so that its length does not flicker. */
  needed: number;
}

/** A bar and its numbers on one line. On a narrow terminal the bar is shorter and the names are not aligned. */
export function barLine({ progress, pace, needed }: BarState, columns: number): string {
  const { step, done, total } = progress;
  const numbers = numbersOf(progress, pace);
  // The last column stays free: some terminals wrap as soon as it is written.
  const room = (name: string) => columns - 1 - `  ${name}  `.length - Math.max(needed, numbers.length);
  const name = room(step.padEnd(STEP)) < LEAST_BAR ? step : step.padEnd(STEP);
  if (room(name) < LEAST_BAR) {
    const short = truncate(step, Math.max(LEAST_BAR, columns - 1 - `   ${numbers}`.length));
    return truncate(`  ${short} ${numbers}`, columns - 1); // a wrapped line could not be drawn over
  }
  const bar = Math.min(BAR, room(name));
  const full = total > 0 ? Math.round(Math.min(1, done / total) * bar) : bar;
  return `  ${name} ${pc.cyan('\u2588'.repeat(full) + '\u2591'.repeat(bar - full))} ${numbers}`;
}

/** `18/1,813 steps, 12.3/s, 2:26 left, loss 5.413`. */
const numbersOf = (progress: Progress, pace: string) =>
  [counted(progress), pace, progress.note].filter(Boolean).join(', ');

class LineView implements ProgressView {
  private readonly stream: NodeJS.WriteStream;
  private readonly tracks = new Map<string, Track & { shown: number; ended?: true }>();

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream;
  }

  heading(text: string): void {
    this.stream.write(`${text}\n`);
  }

  notice(text: string): void {
    this.stream.write(`${text}\n`);
  }

  update(job: string, progress: Progress): void {
    const key = `${job} ${progress.step}`;
    const now = performance.now();
    const finished = progress.done >= progress.total;
    let track = this.tracks.get(key);
    if (!track) {
      track = { begin: now, first: progress.done, shown: now };
      this.tracks.set(key, track);
      if (!finished) return;
    }
    if (track.ended) return;
    if (finished) track.ended = true;
    else if (now - track.shown < 5000) return; // a log needs a line only now and then
    track.shown = now;
    this.stream.write(`  ${progress.step} ${numbersOf(progress, pace(track, progress))}\n`);
  }

  close(): void {}
}
