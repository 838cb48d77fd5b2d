/** Tells whether a process that has left something is still at work: its id alone may be another process's now, or elsewhere. */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessMark {
  pid: number;
  host: string;
  /** On Linux alone: of the machine's start, of the container, and when the process started. */
  boot?: string;
  namespace?: string;
  started?: string;
}

export function thisProcess(): ProcessMark {
  return {
    pid: process.pid,
    host: hostname(),
    boot: ifThere(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: ifThere(() => readlinkSync('/proc/self/ns/pid')),
    started: startOf(process.pid),
  };
}

/** Undefined where its id says nothing here: it is of another machine or container, or the system does not tell. */
export function isAtWork({ pid, host, boot, namespace, started }: ProcessMark): boolean | undefined {
  const self = thisProcess();
  // Where the system does not tell, an id that nobody has is known to be free, and one that somebody has may be another's.
  if (host === self.host && boot === undefined && self.boot === undefined) return isAlive(pid) ? undefined : false;
  if (boot === undefined || namespace === undefined || started === undefined) return undefined;
  if (host !== self.host || boot !== self.boot || namespace !== self.namespace) return undefined;
  return isAlive(pid) && (startOf(pid) ?? started) === started;
}

export function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Clock ticks from the boot to the start: field 22 of proc(5)'s stat, whose second is a name that may have spaces. */
const startOf = (pid: number) =>
  ifThere(() => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[19]!);

function ifThere(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
