import { MultiBar, type SingleBar } from 'cli-progress';
import pc from 'picocolors';
import type { Progress } from '../core/progress.ts';

/** Shows how far each job is: bars on a terminal, a plain line every few seconds elsewhere. */
export interface ProgressView {
  /** Names the stage that the bars which follow belong to. */
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
const counted = ({ done, total, unit }: Progress) => `${formatWhole(done)}/${formatWhole(total)} ${unit}`;

const formatWhole = (value: number) => value.toLocaleString('en-US');

/** `12.3 steps/s, 0:41 left` from the progress since the job was first heard of. */
function pace(track: Track, { done, total, unit }: Progress): string {
  const seconds = (performance.now() - track.begin) / 1000;
  const rate = (done - track.first) / seconds;
  if (!(rate > 0)) return '';
  const left = done < total ? `, ${clock((total - done) / rate)} left` : ` in ${clock(seconds)}`;
  return `${rate >= 100 ? formatWhole(Math.round(rate)) : rate.toPrecision(3)} ${unit}/s${left}`;
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
  private readonly bars = new Map<string, { bar: SingleBar; track: Track }>();

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream;
  }

  heading(text: string): void {
    this.line(pc.bold(text));
  }

  notice(text: string): void {
    this.line(pc.yellow(text));
  }

  /** What is finished stays on the screen; the bars that follow stand below the line. */
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
      entry = { bar: this.multi.create(progress.total, progress.done, { progress }), track };
      this.bars.set(key, entry);
    }
    entry.bar.setTotal(progress.total);
    entry.bar.update(progress.done, { progress, pace: pace(entry.track, progress) });
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
      format: (_options, { progress: share, maxWidth }, { progress, pace }) => barLine(progress, pace, share, maxWidth),
      hideCursor: true,
      clearOnComplete: false,
      stopOnComplete: false,
      gracefulExit: false,
      linewrap: null,
    });
  }
}

/** Characters of a bar, and of the steps' names in front of it, where the terminal has the room. */
const BAR = 24;
const STEP = 24;
/** A bar of fewer says little. */
const LEAST_BAR = 8;

/** A bar with its numbers in a terminal's line: where that is short, the bar is, and the names are not aligned. */
export function barLine(progress: Progress, pace = '', share: number, columns: number): string {
  const numbers = said(counted(progress), pace, progress.note);
  // The last column stays free: some terminals go to the next line once it is written.
  const room = (step: string) => columns - 1 - `  ${step}  ${numbers}`.length;
  const aligned = progress.step.padEnd(STEP);
  const step = room(aligned) < LEAST_BAR ? progress.step : aligned;
  if (room(step) < LEAST_BAR) return `  ${progress.step} ${numbers}`;
  const bar = Math.min(BAR, room(step));
  const full = Math.round(share * bar);
  return `  ${step} ${pc.cyan('\u2588'.repeat(full) + '\u2591'.repeat(bar - full))} ${numbers}`;
}

/** What of a line there is to say. */
const said = (...parts: (string | undefined)[]) => parts.filter(Boolean).join(' ');

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
    else if (now - track.shown < 5000) return; // a log wants a line now and then
    track.shown = now;
    this.stream.write(`  ${said(progress.step, counted(progress), pace(track, progress), progress.note)}\n`);
  }

  close(): void {}
}
