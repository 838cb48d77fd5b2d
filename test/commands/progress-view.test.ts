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

  it('a step that is finished is written once, with its unit and nothing behind', () => {
    const done = { step: 'Read the documents', done: 1813, total: 1813, unit: 'kB' };
    const written = lines((view) => {
      for (let i = 0; i < 3; i++) view.update('prepare', done);
      view.update('another job', done);
    });
    expect(written).toEqual(['  Read the documents 1,813/1,813 kB', '  Read the documents 1,813/1,813 kB', '']);
  });

  it('has the note behind', () => {
    expect(lines((view) => view.update('job', { ...progress, done: 1813 }))[0]).toBe(
      '  Pretrain 1,813/1,813 steps loss 5.413',
    );
  });
});

describe('a bar', () => {
  const numbers = '18/1,813 steps 12.3 steps/s, 2:26 left loss 5.413';
  const line = (columns: number) =>
    stripVTControlCharacters(barLine(progress, '12.3 steps/s, 2:26 left', 0.5, columns));
  const bar = (columns: number) => line(columns).match(/[█░]/g)?.join('') ?? '';

  it.each([200, 100, 80, 64])('leaves count, pace and note their room in %i columns', (columns) => {
    expect(line(columns)).toMatch(/^ {2}Pretrain /);
    expect(line(columns).endsWith(numbers)).toBe(true);
    expect(line(columns).length).toBeLessThan(columns);
  });

  it('is as long as there is room, up to 24', () => {
    expect(bar(200)).toBe('█'.repeat(12) + '░'.repeat(12));
    expect(bar(90)).toHaveLength(90 - 1 - 28 - numbers.length);
    expect(bar(80)).toHaveLength(80 - 1 - 12 - numbers.length); // names are not aligned any more
    expect(bar(64)).toBe('');
  });
});
