/** The losses by which runs are compared, in nats per token. */
export const LOSSES = ['referenceLoss', 'heldOutLoss', 'mixedDomainLoss'] as const;
export type Losses = Record<(typeof LOSSES)[number], number>;
