import { MultiBar, Presets, type SingleBar } from 'cli-progress';
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

/** `12.3 steps/s, 0:41 left` from the progress since the job was first heard of. */
function pace(track: Track, { done, total, unit }: Progress): string {
  const seconds = (performance.now() - track.begin) / 1000;
  const rate = (done - track.first) / seconds;
  if (!(rate > 0)) return '';
  const left = done < total ? `, ${clock((total - done) / rate)} left` : ` in ${clock(seconds)}`;
  return `${rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3)} ${unit}/s${left}`;
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
      entry = { bar: this.multi.create(progress.total, progress.done, payload(progress, '')), track };
      this.bars.set(key, entry);
    }
    entry.bar.setTotal(progress.total);
    entry.bar.update(progress.done, payload(progress, pace(entry.track, progress)));
  }

  close(): void {
    this.multi?.update();
    this.multi?.stop();
    this.multi = undefined;
    this.bars.clear();
  }

  private newBars(): MultiBar {
    return new MultiBar(
      {
        stream: this.stream,
        format: `  {step} ${pc.cyan('{bar}')} {value}/{total} {pace} {note}`,
        barsize: 24,
        hideCursor: true,
        clearOnComplete: false,
        stopOnComplete: false,
        gracefulExit: false,
        linewrap: null,
      },
      Presets.shades_classic,
    );
  }
}

const payload = ({ step, note }: Progress, pace: string) => ({ step: step.padEnd(24), pace, note: note ?? '' });

class LineView implements ProgressView {
  private readonly stream: NodeJS.WriteStream;
  private readonly tracks = new Map<string, Track & { shown: number }>();

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
    if (!finished && now - track.shown < 5000) return; // a log wants a line now and then
    track.shown = now;
    const note = progress.note ? ` ${progress.note}` : '';
    this.stream.write(`  ${progress.step} ${progress.done}/${progress.total} ${pace(track, progress)}${note}\n`);
  }

  close(): void {}
}
