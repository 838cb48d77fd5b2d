/**
 * Tells whether a process that left a mark is still at work. A pid alone does not say: another process may have it now,
 * or it may be from another machine.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessMark {
  pid: number;
  host: string;
  /** Only on Linux: the id of the machine's boot, the namespace of the container, and when the process started. */
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

/**
 * Undefined when it cannot be told: the process belongs to another machine or container, or the system has no boot id.
 */
export function isAtWork({ pid, host, boot, namespace, started }: ProcessMark): boolean | undefined {
  const self = thisProcess();
  // Without a boot id, a pid that nobody has means that the process is gone; one in use may by now be another
  // process's.
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

/**
 * When a process started, in clock ticks since boot: field 22 of stat in proc(5), whose field 2, a name, may have
 * spaces.
 */
const startOf = (pid: number) =>
  ifThere(() => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[19]!);

function ifThere(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
