import { type App, Tags } from 'aws-cdk-lib/core';
import { DataStack } from './data-stack.ts';
import { COST_TAG } from './operations/cost-guard.ts';
import { PipelineStack } from './pipeline-stack.ts';
import { readSettings } from './settings.ts';

/** The stacks of the app, with the settings of its context. */
export interface Stacks {
  data: DataStack;
  pipeline: PipelineStack;
}

/**
 * Adds the two stacks to an app: `MatesData`, which is kept, and `MatesPipeline`, which may come and go.
 *
 * @throws ConfigError naming the context key, when a setting cannot be used.
 */
export function buildApp(app: App): Stacks {
  const settings = readSettings(app.node);
  const env = settings.account ? { account: settings.account, region: settings.region } : undefined;
  const data = new DataStack(app, 'MatesData', { env, settings, description: 'MATES: data lake' });
  const pipeline = new PipelineStack(app, 'MatesPipeline', {
    env,
    settings,
    lake: data.lake,
    description: 'MATES: model-aware pretraining-data selection',
  });
  Tags.of(app).add(COST_TAG.key, COST_TAG.value);
  return { data, pipeline };
}
