/** What the two services share: refusals, the record of every process, and the slots that jobs wait for. */
import type { Fault } from './process.ts';

/** An error that the service's API documents; the SDK throws it under this name. */
export class Refused extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export type Operation = (parameters: Parameters) => object | Promise<object>;
/** The body of a request, which LocalStack has validated against the service's model. */
// biome-ignore lint/suspicious/noExplicitAny: a hundred shapes of two services, of which few fields are read
export type Parameters = any;

/** One process that has run, for tests to check. */
export interface ProcessRecord {
  service: 'batch' | 'sagemaker';
  job: string;
  name: string;
  task: string;
  attempt: number;
  pid?: number;
  exitCode?: number;
  statusReason?: string;
  startedAt: number;
  stoppedAt?: number;
  /** The variables that the job's definition and submission gave it. */
  environment: Record<string, string>;
  /** Its last lines. */
  log: string[];
}

/** A fault for coming attempts of a task; `run` is the end of the run's URI. */
export interface FaultOrder {
  run: string;
  task: string;
  faults: Fault[];
}

export interface Host {
  /** The repository's root. */
  cwd: string;
  /** What every job gets beside its own variables: the emulator's endpoint and the tests' credentials. */
  environment: Record<string, string>;
  graceSeconds: number;
  slots: Slots;
  processes: ProcessRecord[];
  faults: FaultOrder[];
}

/** The next fault that is ordered for such a job. */
export function nextFault(host: Host, task: string, environment: Record<string, string>): Fault | undefined {
  const order = host.faults.find(
    (order) => order.faults.length > 0 && order.task === task && environment.MATES_RUN_URI?.endsWith(`/${order.run}`),
  );
  return order?.faults.shift();
}

/** The program that stands for a container's command: `mates-job` is what the image calls `containers/main.ts`. */
export function program([name = '', ...rest]: string[]): string[] {
  return name === 'mates-job' ? [process.execPath, '--import', 'tsx', 'containers/main.ts', ...rest] : [name, ...rest];
}

/** So many jobs at once; the others wait in order, as they do for instances. */
export class Slots {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(count: number) {
    this.free = count;
  }

  async acquire(): Promise<void> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((enter) => this.waiting.push(enter));
  }

  release(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}
