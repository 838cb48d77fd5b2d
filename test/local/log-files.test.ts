import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { logFiles } from '../../local/log-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mates-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('has a file of lines for each job, which goes on after an earlier run', () => {
  const directory = join(folder, 'runs', 'logs');
  const log = logFiles(directory);
  log('probe', 'first');
  log('score', 'other');
  logFiles(directory)('probe', 'second');
  expect(readdirSync(directory)).toEqual(['probe.log', 'score.log']);
  expect(readFileSync(join(directory, 'probe.log'), 'utf8')).toBe('first\nsecond\n');
});

it('makes no folder before there is a line, and lets a run go on without its logs', () => {
  const path = join(folder, 'logs');
  const log = logFiles(path);
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(path, 'a file in its place');
  log('probe', 'lost');
  expect(readFileSync(path, 'utf8')).toBe('a file in its place');
});
