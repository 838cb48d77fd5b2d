import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { logFiles } from '../../local/log-files.ts';
import { temporaryFolder } from '../support.ts';

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
});

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
