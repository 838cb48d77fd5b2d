export async function handler({ run, stage, stages }: { run: object; stage: number; stages: number }) {
  return { run, stage: stage + 1, stages, more: stage + 1 < stages };
}
