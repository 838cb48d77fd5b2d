import { readFileSync } from 'node:fs';

/** What the stub of CUDA has counted since the file was made; see stub-runtime.c. */
export interface Counters {
  /** Bytes copied from the host to the device, and back. */
  toDevice: number;
  toHost: number;
  kernels: number;
  products: number;
  /** Bytes of device memory now, and at most. */
  allocated: number;
  peak: number;
  /** A bit for each device that was chosen. */
  devices: number;
}

export function readCounters(path: string): Counters {
  const file = readFileSync(path);
  const [toDevice, toHost, kernels, products, allocated, peak, devices] = Array.from({ length: 7 }, (_, i) =>
    Number(file.readBigInt64LE(8 * i)),
  ) as [number, number, number, number, number, number, number];
  return { toDevice, toHost, kernels, products, allocated, peak, devices };
}
