/** The kinds of jobs: the folders of `containers/` that are entry points, and the first word of each timing's job. */

/** Jobs of a stage. */
export const STAGE_TASKS = ['pretrain', 'evaluate', 'prepare-probe', 'probe', 'fit-influence', 'score'] as const;
export type StageTask = (typeof STAGE_TASKS)[number];

/** All jobs: a run's corpus is prepared once. */
export const TASKS = ['prepare', ...STAGE_TASKS] as const;
export type TaskName = (typeof TASKS)[number];
