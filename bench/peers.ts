/** The Python programs that ours are measured against; `bench/peers/README.md` says how to install what they need. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Contender } from './contender.ts';

const CACHE = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');

/** The folder that `bench/peers/install.sh` makes. */
export const PEERS = join(CACHE, 'mates-peers');

const PYTHON = join(PEERS, 'venv', 'bin', 'python');
/** Makes Intel's library take its fast path on other makers' processors; see `bench/peers/unlock.c`. */
const UNLOCK = join(PEERS, 'unlock.so');

export const NO_PEERS = 'No Python peers are installed (bench/peers/install.sh makes them): only our side is measured.';

/** Whether the peers are installed. */
export function havePeers(): boolean {
  return existsSync(join(PEERS, 'READY')) && existsSync(PYTHON);
}

/**
 * A script of `bench/peers` with its arguments, as installed and, on processors of other makers than Intel, with the fast
 * path of Intel's library. Empty where the peers are not installed.
 */
export function python(name: string, script: string, ...rest: string[]): Contender[] {
  if (!havePeers()) return [];
  const command = [PYTHON, join(import.meta.dirname, 'peers', script), ...rest];
  const stock = { name, command, environment: ENVIRONMENT };
  if (!existsSync(UNLOCK)) return [stock];
  return [stock, { name: `${name}, unlocked`, command, environment: { ...ENVIRONMENT, LD_PRELOAD: UNLOCK } }];
}

const ENVIRONMENT = {
  // Where it is set, it holds NumPy and PyTorch back to the kernels of another processor.
  OPENBLAS_CORETYPE: undefined,
  PYTHONWARNINGS: 'ignore',
  PYTHONDONTWRITEBYTECODE: '1',
};

/** Our own side, in a process like the peers'. */
export function ours(script: string, ...rest: string[]): Contender {
  const path = join(import.meta.dirname, 'workers', script);
  return { name: 'ours', command: [process.execPath, '--import', 'tsx', path, ...rest] };
}
