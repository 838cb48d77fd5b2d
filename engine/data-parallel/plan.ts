/** How a training step is shared among workers. */

/**
 * The micro-batches of each worker, by round. After a round the workers' gradients are added to the step's sum, in the
 * order of the workers.
 *
 * With one micro-batch per worker and round, micro-batches are summed in their own order, whatever the number of
 * workers. With all of them in one round, each worker first sums its own, and its parameters and its gradient cross to
 * and from the GPU only once a step.
 *
 * @returns rounds, each with the micro-batches of the workers that take part, one after the other.
 */
export function rounds(microBatches: number, workers: number, inOneRound: boolean): number[][] {
  if (inOneRound) {
    const parts = Math.min(workers, microBatches);
    return [Array.from({ length: parts }, (_, worker) => share(microBatches, parts, worker).size)];
  }
  return Array.from({ length: Math.ceil(microBatches / workers) }, (_, round) =>
    new Array<number>(Math.min(workers, microBatches - round * workers)).fill(1),
  );
}

/** The part of `total` that a worker has: parts are contiguous, and differ by at most one. */
export function share(total: number, workers: number, worker: number): { begin: number; size: number } {
  const begin = Math.floor((total * worker) / workers);
  return { begin, size: Math.floor((total * (worker + 1)) / workers) - begin };
}
