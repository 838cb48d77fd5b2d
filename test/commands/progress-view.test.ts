import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { barLine, createProgressView } from '../../bin/progress-view.ts';

const progress = { step: 'Pretrain', done: 18, total: 1813, unit: 'steps', note: 'loss 5.413' };

describe('in a pipe', () => {
  function lines(show: (view: ReturnType<typeof createProgressView>) => void): string[] {
    const stream = new PassThrough();
    show(createProgressView(stream as unknown as NodeJS.WriteStream));
    return String(stream.read() ?? '').split('\n');
  }

  it('a finished step is written once for each job, with its unit and nothing after it', () => {
    const done = { step: 'Read the documents', done: 1813, total: 1813, unit: 'kB' };
    const written = lines((view) => {
      for (let i = 0; i < 3; i++) view.update('prepare', done);
      view.update('another job', done);
    });
    expect(written).toEqual(['  Read the documents 1,813/1,813 kB', '  Read the documents 1,813/1,813 kB', '']);
  });

  it('the note comes last', () => {
    expect(lines((view) => view.update('job', { ...progress, done: 1813 }))[0]).toBe(
      '  Pretrain 1,813/1,813 steps, loss 5.413',
    );
  });
});

describe('a bar', () => {
  const pace = '12.3/s, 2:26 left';
  const numbers = '18/1,813 steps, 12.3/s, 2:26 left, loss 5.413';
  const half = { ...progress, done: 18, total: 36 };
  const line = (columns: number, of = progress, needed = 0) =>
    stripVTControlCharacters(barLine({ progress: of, pace, needed }, columns));
  const bar = (...of: Parameters<typeof line>) =>
    line(...of)
      .match(/[█░]/g)
      ?.join('') ?? '';

  it.each([200, 100, 80, 60])('leaves room for count, pace and note in %i columns', (columns) => {
    expect(line(columns)).toMatch(/^ {2}Pretrain /);
    expect(line(columns).endsWith(numbers)).toBe(true);
    expect(line(columns).length).toBeLessThan(columns);
  });

  it('is as long as there is room, up to 24, and leaves the room that its numbers have needed so far', () => {
    expect(bar(200, half)).toBe('█'.repeat(12) + '░'.repeat(12));
    expect(bar(90)).toHaveLength(90 - 1 - 28 - numbers.length);
    expect(bar(90, progress, numbers.length + 3)).toHaveLength(90 - 1 - 28 - numbers.length - 3);
    expect(bar(80)).toHaveLength(80 - 1 - 12 - numbers.length); // names are not aligned any more
    expect(bar(60)).toBe('');
  });

  it('is a line that a terminal does not break', () => {
    expect(line(40).length).toBeLessThan(40);
    const long = { ...progress, step: 'Pretrain (control) of a stage' };
    expect(line(64, long)).toBe(`  Pretrain (cont\u2026 ${numbers}`);
  });
});
