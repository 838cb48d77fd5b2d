import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib/core';
import { buildApp } from './build-app.ts';
import { PROJECT_ROOT } from './project.ts';

/** A CloudFormation template. */
export interface Template {
  Resources: Record<string, { Type: string; Properties?: Record<string, unknown>; [more: string]: unknown }>;
  Outputs?: Record<string, { Value: unknown; Export?: { Name: string } }>;
  Parameters?: Record<string, unknown>;
}

export interface Synthesized {
  /** Template of the data stack. */
  dataTemplate: Template;
  /** Template of the pipeline stack: the machine, the functions and the job definitions. */
  template: Template;
}

/** Settings of a machine that nobody pays for by the hour: as good as no limits of time. */
export const NO_TIME_LIMITS = { jobTimeoutHours: 24 * 364, runTimeoutDays: 364 };

/** The context of cdk.json: feature flags and defaults, which otherwise only the CDK's command line reads. */
export function projectContext(): Record<string, unknown> {
  return JSON.parse(readFileSync(join(PROJECT_ROOT, 'cdk.json'), 'utf8')).context ?? {};
}

/**
 * Synthesizes the stacks in this process, without bundling, Docker, network or account, to run or inspect the machine
 * without deploying it.
 *
 * @param context settings by name, which override those of cdk.json; without an `image` the templates name a stand-in,
 *   because nothing will be built.
 * @throws ConfigError naming the context key, when a setting cannot be used.
 */
export function synthesizeMachine(context: Record<string, unknown> = {}): Synthesized {
  const outdir = mkdtempSync(join(tmpdir(), 'mates-synth-'));
  try {
    const app = new App({
      outdir,
      analyticsReporting: false,
      // It takes two of the three seconds; `cdk synth` and the tests do it.
      builtinCloudFormationValidation: false,
      postCliContext: { ...projectContext(), image: 'mates:local', 'aws:cdk:bundling-stacks': [], ...context },
    });
    const { data, pipeline } = buildApp(app);
    const assembly = app.synth();
    const template = (id: string) => assembly.getStackArtifact(id).template as Template;
    return { template: template(pipeline.artifactId), dataTemplate: template(data.artifactId) };
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}
