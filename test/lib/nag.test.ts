import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib/core';
import { AwsSolutionsChecks } from 'cdk-nag';
import { expect, it } from 'vitest';
import { buildApp } from '../../lib/build-app.ts';
import { projectContext } from '../../lib/synthesize.ts';
import { temporaryFolder } from '../support.ts';

const outdir = await temporaryFolder();

// The second is as different from the first as the settings allow.
it.each([
  ['default', { image: 'mates:local' }],
  [
    'isolated',
    {
      image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/mates:1.0',
      network: 'endpoints',
      monthlyBudgetUsd: 100,
      inputBuckets: ['my-corpora'],
      retain: false,
    },
  ],
])('the %s settings have no finding that is not acknowledged', (name, settings) => {
  const app = new App({
    outdir: join(outdir, name),
    analyticsReporting: false,
    builtinCloudFormationValidation: false, // `cdk synth` does it
    postCliContext: { ...projectContext(), 'aws:cdk:bundling-stacks': [], ...settings },
  });
  buildApp(app);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
  const report = JSON.parse(readFileSync(join(outdir, name, 'validation-report.json'), 'utf8'));
  expect(report.pluginReports).toEqual([]);
});
