/** The Python programs that ours are measured against; `bench/peers/README.md` says how to install their packages. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Contender } from './contender.ts';

const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');

/** The folder that `bench/peers/install.sh` makes. */
const PEERS = join(CACHE, 'mates-peers');

export const PYTHON = join(PEERS, 'venv', 'bin', 'python');
/** Makes Intel's library take its fast path on other vendors' processors; see `bench/peers/unlock.c`. */
const UNLOCK = join(PEERS, 'unlock.so');

export const NO_PEERS =
  'The Python peers are not installed, or in other versions (bench/peers/install.sh installs them): only our side is measured.';

/** Whether the peers are installed, in the versions of `bench/peers/requirements.txt`. */
export function havePeers(): boolean {
  const installed = join(PEERS, 'READY');
  if (!existsSync(installed) || !existsSync(PYTHON)) return false;
  return (
    readFileSync(installed, 'utf8') === readFileSync(join(import.meta.dirname, 'peers', 'requirements.txt'), 'utf8')
  );
}

/**
 * A script of `bench/peers` with its arguments, as installed and, on processors that are not Intel's, also with the
 * fast path of Intel's library. Empty if the peers are not installed.
 */
export function python(name: string, script: string, ...rest: string[]): Contender[] {
  if (!havePeers()) return [];
  const command = [PYTHON, join(import.meta.dirname, 'peers', script), ...rest];
  const stock = { name, command, environment: ENVIRONMENT };
  if (!existsSync(UNLOCK)) return [stock];
  return [stock, { name: `${name}, unlocked`, command, environment: { ...ENVIRONMENT, LD_PRELOAD: UNLOCK } }];
}

const ENVIRONMENT = {
  // If this is set, it restricts NumPy and PyTorch to the kernels of another processor.
  OPENBLAS_CORETYPE: undefined,
  PYTHONWARNINGS: 'ignore',
  PYTHONDONTWRITEBYTECODE: '1',
};

/** Our own side, in a process like the peers'. */
export function ours(script: string, ...rest: string[]): Contender {
  const path = join(import.meta.dirname, 'workers', script);
  return { name: 'ours', command: [process.execPath, '--import', 'tsx', path, ...rest] };
}
