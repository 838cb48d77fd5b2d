/**
 * The pass over a definition before it runs: whatever this interpreter would not do exactly as the States Language says
 * is refused here, with the state and the field, instead of being ignored.
 */
import { checkRule } from './choice.ts';
import { parseExpression } from './intrinsics.ts';
import { isObject, parsePath } from './paths.ts';
import { checkTemplate } from './payload.ts';
import { type Catcher, type Json, type Machine, type Retrier, type State, UnsupportedDefinition } from './types.ts';

const MACHINE_FIELDS = ['Comment', 'StartAt', 'States', 'TimeoutSeconds', 'Version', 'QueryLanguage'];
const PROCESSOR_FIELDS = ['Comment', 'StartAt', 'States', 'ProcessorConfig', 'QueryLanguage'];
const ANY = ['Type', 'Comment', 'QueryLanguage'];
const FLOW = ['InputPath', 'OutputPath'];
const NEXT = ['Next', 'End'];
const RESULT = ['Parameters', 'ResultSelector', 'ResultPath', 'Retry', 'Catch'];

const STATE_FIELDS: Record<State['Type'], string[]> = {
  Pass: [...FLOW, ...NEXT, 'Parameters', 'Result', 'ResultPath'],
  Task: [...FLOW, ...NEXT, ...RESULT, 'Resource', 'TimeoutSeconds'],
  Choice: [...FLOW, 'Choices', 'Default'],
  Wait: [...FLOW, ...NEXT, 'Seconds', 'SecondsPath'],
  Succeed: FLOW,
  Fail: ['Error', 'ErrorPath', 'Cause', 'CausePath'],
  Parallel: [...FLOW, ...NEXT, ...RESULT, 'Branches'],
  Map: [
    ...FLOW,
    ...NEXT,
    ...RESULT.filter((name) => name !== 'Parameters'), // the old name of ItemSelector
    'ItemProcessor',
    'ItemsPath',
    'ItemSelector',
    'ItemReader',
    'MaxConcurrency',
    'ToleratedFailurePercentage',
    'ToleratedFailureCount',
    'Label',
  ],
};

const ITEM_READER = 'arn:aws:states:::s3:getObject';

/** @returns what is wrong with a Task's Resource or Parameters, or undefined when it can be run. */
export type TaskCheck = (resource: string, parameters: Json | undefined) => string | undefined;

/** @throws UnsupportedDefinition */
export function validate(definition: unknown, taskProblem: TaskCheck): Machine {
  new Validator(taskProblem).machine(definition, 'the machine', MACHINE_FIELDS);
  return definition as Machine;
}

class Validator {
  /** State names are unique in the whole machine, nested ones included. */
  private readonly names = new Set<string>();
  private readonly taskProblem: TaskCheck;

  constructor(taskProblem: TaskCheck) {
    this.taskProblem = taskProblem;
  }

  machine(value: unknown, where: string, fields: string[]): void {
    const machine = this.object(value, where);
    this.known(machine, fields, where);
    this.queryLanguage(machine, where);
    if ('Version' in machine && machine.Version !== '1.0') refuse(`${where}.Version`, 'the only version is "1.0"');
    if ('TimeoutSeconds' in machine) this.whole(machine.TimeoutSeconds, `${where}.TimeoutSeconds`, 1);
    const states = this.object(machine.States, `${where}.States`);
    const targets = new Set([this.target(machine.StartAt, states, `${where}.StartAt`)]);
    for (const [name, state] of Object.entries(states)) {
      if (this.names.has(name)) refuse(name, 'the name of another state of this machine');
      this.names.add(name);
      if ([...name].length > 80) refuse(name, 'a name of more than 80 characters');
      for (const next of this.state(state, name)) targets.add(this.target(next, states, `${name}.Next`));
    }
    const unreached = Object.keys(states).filter((name) => !targets.has(name));
    if (unreached.length > 0) refuse(where, `no state leads to ${unreached.join(', ')}`);
  }

  /** @returns the names of the states that may follow. */
  private state(value: unknown, name: string): unknown[] {
    const state = this.object(value, name) as unknown as State;
    const fields = STATE_FIELDS[state.Type] ?? refuse(`${name}.Type`, `"${state.Type}" is not a supported state type`);
    this.known(state, [...ANY, ...fields], name);
    this.queryLanguage(state, name);
    for (const field of ['InputPath', 'OutputPath', 'ResultPath'] as const) this.path(state[field], `${name}.${field}`);
    for (const field of ['Parameters', 'ResultSelector', 'ItemSelector'] as const)
      if (state[field] !== undefined) checkTemplate(state[field], `${name}.${field}`);
    if (state.ResultPath?.startsWith('$$')) refuse(`${name}.ResultPath`, 'the context object cannot be written');
    const next: unknown[] = [];
    if (fields.includes('Next')) {
      if ((state.Next === undefined) === (state.End !== true)) refuse(name, 'expected either Next or "End": true');
      if (state.Next !== undefined) next.push(state.Next);
    }
    state.Retry?.forEach((retrier, i, all) => {
      this.retrier(retrier, i === all.length - 1, `${name}.Retry[${i}]`);
    });
    state.Catch?.forEach((catcher, i, all) => {
      this.catcher(catcher, i === all.length - 1, `${name}.Catch[${i}]`);
      next.push(catcher.Next);
    });
    switch (state.Type) {
      case 'Task':
        this.task(state, name);
        if (state.TimeoutSeconds !== undefined) this.whole(state.TimeoutSeconds, `${name}.TimeoutSeconds`, 1);
        break;
      case 'Choice':
        if (!Array.isArray(state.Choices) || state.Choices.length === 0)
          return refuse(`${name}.Choices`, 'expected a non-empty array');
        state.Choices.forEach((rule, i) => {
          checkRule(rule, `${name}.Choices[${i}]`);
          next.push(rule.Next);
        });
        if (state.Default !== undefined) next.push(state.Default);
        break;
      case 'Wait':
        this.oneOf(state, ['Seconds', 'SecondsPath'], name, true);
        if (state.Seconds !== undefined) this.whole(state.Seconds, `${name}.Seconds`, 0);
        this.path(state.SecondsPath, `${name}.SecondsPath`);
        break;
      case 'Fail':
        this.oneOf(state, ['Error', 'ErrorPath'], name);
        this.oneOf(state, ['Cause', 'CausePath'], name);
        for (const field of ['ErrorPath', 'CausePath'] as const)
          if (state[field] !== undefined) parseExpression(state[field], `${name}.${field}`);
        break;
      case 'Parallel':
        if (!Array.isArray(state.Branches)) return refuse(`${name}.Branches`, 'expected an array');
        state.Branches.forEach((branch, i) => {
          this.machine(branch, `${name}.Branches[${i}]`, ['Comment', 'StartAt', 'States']);
        });
        break;
      case 'Map':
        this.map(state, name);
    }
    return next;
  }

  private task({ Resource, Parameters }: State, name: string): void {
    if (typeof Resource !== 'string') refuse(`${name}.Resource`, 'expected a string');
    const problem = this.taskProblem(Resource!, Parameters);
    if (problem) refuse(name, problem);
  }

  private map(state: State, name: string): void {
    const where = `${name}.ItemProcessor`;
    this.machine(state.ItemProcessor, where, PROCESSOR_FIELDS);
    const config = state.ItemProcessor?.ProcessorConfig ?? {};
    this.known(config, ['Mode', 'ExecutionType'], `${where}.ProcessorConfig`);
    const mode = config.Mode ?? 'INLINE';
    if (mode !== 'INLINE' && mode !== 'DISTRIBUTED') refuse(`${where}.ProcessorConfig.Mode`, `"${mode}" is not a mode`);
    if (mode === 'DISTRIBUTED' && config.ExecutionType !== 'STANDARD')
      refuse(`${where}.ProcessorConfig.ExecutionType`, 'only STANDARD is supported');
    if (mode === 'INLINE')
      for (const field of ['ItemReader', 'ToleratedFailurePercentage', 'ToleratedFailureCount', 'Label'] as const)
        if (state[field] !== undefined) refuse(`${name}.${field}`, 'only a DISTRIBUTED map may have it');
    if (state.MaxConcurrency !== undefined) this.whole(state.MaxConcurrency, `${name}.MaxConcurrency`, 0);
    if (state.ToleratedFailureCount !== undefined)
      this.whole(state.ToleratedFailureCount, `${name}.ToleratedFailureCount`, 0);
    const percentage = state.ToleratedFailurePercentage ?? 0;
    if (typeof percentage !== 'number' || percentage < 0 || percentage > 100)
      refuse(`${name}.ToleratedFailurePercentage`, 'expected a number from 0 to 100');
    if (state.Label !== undefined && !/^[^\s?*<>{}[\]:;,\\|^~$#%&`"]{1,40}$/.test(state.Label))
      refuse(`${name}.Label`, 'expected at most 40 characters, without spaces, wildcards or brackets');
    this.path(state.ItemsPath, `${name}.ItemsPath`);
    if (state.ItemReader) {
      this.oneOf(state, ['ItemReader', 'ItemsPath'], name);
      this.itemReader(state.ItemReader, `${name}.ItemReader`);
    }
  }

  private itemReader(reader: NonNullable<State['ItemReader']>, where: string): void {
    this.known(reader, ['Resource', 'ReaderConfig', 'Parameters'], where);
    if (reader.Resource !== ITEM_READER) refuse(`${where}.Resource`, `only ${ITEM_READER} is supported`);
    const config = reader.ReaderConfig ?? {};
    this.known(config, ['InputType', 'MaxItems'], `${where}.ReaderConfig`);
    if (config.InputType !== 'JSON') refuse(`${where}.ReaderConfig.InputType`, 'only JSON is supported');
    if (config.MaxItems !== undefined) this.whole(config.MaxItems, `${where}.ReaderConfig.MaxItems`, 1);
    this.known(
      this.object(reader.Parameters, `${where}.Parameters`),
      ['Bucket', 'Bucket.$', 'Key', 'Key.$'],
      `${where}.Parameters`,
    );
    checkTemplate(reader.Parameters, `${where}.Parameters`);
  }

  private retrier(retrier: Retrier, last: boolean, where: string): void {
    const known = ['IntervalSeconds', 'MaxAttempts', 'BackoffRate', 'MaxDelaySeconds', 'JitterStrategy'];
    this.known(retrier, ['Comment', 'ErrorEquals', ...known], where);
    this.errorEquals(retrier.ErrorEquals, last, where);
    if (retrier.IntervalSeconds !== undefined) this.whole(retrier.IntervalSeconds, `${where}.IntervalSeconds`, 1);
    if (retrier.MaxAttempts !== undefined) this.whole(retrier.MaxAttempts, `${where}.MaxAttempts`, 0);
    if (retrier.MaxDelaySeconds !== undefined) this.whole(retrier.MaxDelaySeconds, `${where}.MaxDelaySeconds`, 1);
    const { BackoffRate = 2, JitterStrategy = 'NONE' } = retrier;
    if (typeof BackoffRate !== 'number' || BackoffRate < 1) refuse(`${where}.BackoffRate`, 'expected 1.0 or more');
    if (!['FULL', 'NONE'].includes(JitterStrategy)) refuse(`${where}.JitterStrategy`, 'expected FULL or NONE');
  }

  private catcher(catcher: Catcher, last: boolean, where: string): void {
    this.known(catcher, ['Comment', 'ErrorEquals', 'Next', 'ResultPath'], where);
    this.errorEquals(catcher.ErrorEquals, last, where);
    this.path(catcher.ResultPath, `${where}.ResultPath`);
  }

  private errorEquals(names: unknown, last: boolean, where: string): void {
    if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== 'string'))
      refuse(`${where}.ErrorEquals`, 'expected a non-empty array of names');
    if (names.includes('States.ALL') && (names.length > 1 || !last))
      refuse(`${where}.ErrorEquals`, 'States.ALL stands alone, and in the last entry');
  }

  private queryLanguage(holder: object, where: string): void {
    const language = (holder as { QueryLanguage?: string }).QueryLanguage ?? 'JSONPath';
    if (language !== 'JSONPath') refuse(`${where}.QueryLanguage`, `"${language}" is not supported, only JSONPath`);
  }

  private target(name: unknown, states: Record<string, Json>, where: string): string {
    if (typeof name !== 'string' || !Object.hasOwn(states, name)) return refuse(where, `there is no state "${name}"`);
    return name;
  }

  private known(holder: object, fields: string[], where: string): void {
    const unknown = Object.keys(holder).find((name) => !fields.includes(name));
    if (unknown) refuse(`${where}.${unknown}`, 'this field is not supported here');
  }

  private oneOf(holder: object, fields: string[], where: string, required = false): void {
    const present = fields.filter((field) => field in holder);
    if (present.length > 1 || (required && present.length === 0)) refuse(where, `expected one of ${fields.join(', ')}`);
  }

  private path(value: string | null | undefined, where: string): void {
    if (value === null && where.endsWith('Path')) return;
    if (value === undefined) return;
    if (typeof value !== 'string') refuse(where, 'expected a path');
    parsePath(value!, where);
  }

  private whole(value: unknown, where: string, least: number): void {
    if (!Number.isInteger(value) || (value as number) < least) refuse(where, `expected a whole number from ${least}`);
  }

  private object(value: unknown, where: string): Record<string, Json> {
    return isObject(value) ? value : refuse(where, 'expected an object');
  }
}

function refuse(where: string, message: string): never {
  throw new UnsupportedDefinition(`State machine: ${where}: ${message}.`);
}
