/** The emulator's Python environment: made once for a machine, shared by every checkout with the same requirements. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');

/** LocalStack 4.9.2 is made for 3.11, on which the pinned requirements were tried; 3.12 was not. */
const PYTHONS = ['python3.11', 'python3.12', 'python3'];

/**
 * The interpreter of an environment that has LocalStack, installed first where it is missing (some three minutes, 500 MB).
 *
 * @throws Error saying what to install, when there is no fitting Python or no pip.
 */
export function emulatorPython(): string {
  const hash = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12);
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const folder = join(cache, 'mates', `localstack-${hash}`);
  const python = join(folder, 'bin/python');
  if (existsSync(python)) return python;
  const base = findPython();
  console.log(`Installing LocalStack into ${folder}: some minutes, once.`);
  // Made aside and renamed when whole: an interrupted installation leaves nothing that looks finished.
  const partial = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  try {
    step(base, ['-m', 'venv', partial], 'Python lacks venv or pip; on Debian and Ubuntu: apt install python3-venv.');
    const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--quiet', '--requirement', REQUIREMENTS];
    step(join(partial, 'bin/python'), pip, 'pip needs its package index, or a mirror of it (PIP_INDEX_URL).');
    if (!existsSync(folder)) renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return python;
}

function findPython(): string {
  for (const name of PYTHONS) {
    const asked = spawnSync(name, ['-c', 'import sys; print(sys.version_info[0] * 100 + sys.version_info[1])']);
    const version = Number(asked.stdout?.toString());
    if (asked.status === 0 && version >= 311 && version <= 312) return name;
  }
  throw new Error(
    'The integration tests need Python 3.11 or 3.12 with venv and pip to run LocalStack; on Debian and Ubuntu: ' +
      'apt install python3 python3-venv. Or set AWS_ENDPOINT_URL to a LocalStack that runs already.',
  );
}

function step(file: string, args: string[], remedy: string): void {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8' });
  if (status === 0) return;
  const said = (error?.message ?? `${stdout}${stderr}`).trim().split('\n').slice(-5).join('\n');
  throw new Error(`${file} ${args.join(' ')} failed:\n${said}\n${remedy}`);
}
