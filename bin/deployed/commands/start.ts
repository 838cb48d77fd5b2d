import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { parseConfig } from '../../../core/config/load.ts';
import { ConfigError } from '../../../core/errors.ts';
import { isObject } from '../../../core/objects.ts';
import { refuseLocalPaths } from '../../../core/run/check-inputs.ts';
import { MAX_INPUT_BYTES, MAX_RUN_ID, parseExecutionInput, runIdOf } from '../../../core/run/execution-input.ts';
import { consoleLinks } from '../../../functions/links.ts';
import { dollars } from '../../flags.ts';
import { applyChanges, type Changes, type RawConfig, readConfigFile } from '../../load-config.ts';
import { runningExecution } from '../execution.ts';
import { calling, findDeployment, type Target, unqualified } from '../machine.ts';
import { watchExecution } from './watch.ts';

interface Options extends Target, Changes {
  name?: string;
  runId?: string;
  resume?: string;
  trainer?: string;
  dryRun?: boolean;
  maxCostUsd?: string;
  watch?: boolean;
  json?: boolean;
}

/** `mates start [CONFIG]`: starts an execution of the deployed machine. */
export async function start(config: string | undefined, options: Options): Promise<void> {
  const input = await executionInput(config, options);
  const { machine, dashboard } = await findDeployment(options);
  const name = options.name ?? executionName(input, new Date());
  const run = runIdOf(parseExecutionInput(input), name);
  const sfn = new SFNClient({});
  if (options.runId !== undefined || options.resume !== undefined) await refuseBusyRun(sfn, machine, run);
  const { executionArn } = await calling('start the execution', async () => {
    try {
      return await sfn.send(
        new StartExecutionCommand({ stateMachineArn: machine, name, input: JSON.stringify(input) }),
      );
    } catch (error) {
      if ((error as Error).name !== 'ExecutionAlreadyExists') throw error;
      throw new ConfigError(`--name ${name}: an execution had this name within the last 90 days; choose another.`);
    }
  });
  const execution = executionArn!;
  if (options.watch || options.dryRun) {
    console.error(`Execution ${name} of run ${run}: mates stop ${name} ends it.`);
    return watchExecution(sfn, execution, { json: options.json, dashboard });
  }
  const links = consoleLinks({ execution, dashboard });
  console.log(
    options.json
      ? JSON.stringify({ execution, name, run, links })
      : `Started ${name}, run ${run}.\n${links.execution}\nmates watch ${name} shows it; mates stop ${name} ends it.`,
  );
}

/**
 * The execution's input. A configuration file of this machine is checked here and sent whole; one on S3 is read and
 * checked by the machine's first state.
 *
 * @throws ConfigError naming the field or flag, before anything is started.
 */
export async function executionInput(
  config: string | undefined,
  options: Partial<Options>,
): Promise<Record<string, unknown>> {
  const here = config !== undefined && !config.startsWith('s3://');
  const { fields, fromFlags } = here ? await readConfigFile(config, options) : changesAlone(options);
  const input = {
    config: here ? fields : config,
    overrides: here || Object.keys(fields).length === 0 ? undefined : fields,
    runId: options.runId,
    resumeFrom: options.resume,
    trainer: options.trainer,
    dryRun: options.dryRun,
    maxCostUsd: capOf(options.maxCostUsd),
  };
  parseExecutionInput(input);
  if (here) refuseLocalPaths(parseConfig(checkable(fields), config, fromFlags), config);
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const bytes = Buffer.byteLength(JSON.stringify(given));
  if (bytes > MAX_INPUT_BYTES)
    throw new ConfigError(
      `${config}: ${bytes} bytes, but an execution's input has at most ${MAX_INPUT_BYTES}; put it on S3.`,
    );
  return given;
}

/** Without what only the description of a model to go on from can tell: the machine's first state reads that. */
function checkable(fields: Record<string, unknown>): Record<string, unknown> {
  const { model } = fields;
  if (!isObject(model) || model.pretrained === undefined) return fields;
  return { ...fields, model: { pretrained: model.pretrained } };
}

function changesAlone(options: Changes): RawConfig {
  const fields = {};
  return { fields, fromFlags: applyChanges(fields, options) };
}

const capOf = (text: string | undefined) =>
  text === undefined ? undefined : text === 'none' ? null : dollars('--max-cost-usd')(text);

/** The machine's first state would refuse such a run too, but only as a failed execution. */
async function refuseBusyRun(sfn: SFNClient, machine: string, run: string): Promise<void> {
  const busy = await runningExecution(sfn, unqualified(machine), run);
  if (busy !== undefined)
    throw new ConfigError(
      `run ${run}: the execution ${busy} is working on it; watch it (mates watch ${busy}), or end it first (mates stop ${busy}).`,
    );
}

/** Contains the run and the time, because a name is taken for 90 days and a run may need several executions. */
function executionName(input: Record<string, unknown>, now: Date): string {
  const { runId, resumeFrom, config } = input as { runId?: string; resumeFrom?: string; config?: { name?: string } };
  const stamp = now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  const of = resumeFrom ?? runId ?? (config === undefined ? 'smoke' : (config.name ?? 'run'));
  // A run may be named after its execution, whose id is shorter: the time must be among them.
  return `${of.slice(0, MAX_RUN_ID - 1 - stamp.length)}-${stamp}`;
}
