/**
 * Checks a definition before it runs: whatever this interpreter would not do exactly as the States Language says is
 * refused here, naming the state and the field, instead of being ignored.
 */
import { checkRule } from './choice.ts';
import { parseExpression } from './intrinsics.ts';
import { isObject, parsePath } from './paths.ts';
import { checkTemplate } from './payload.ts';
import {
  type Catcher,
  type ChoiceState,
  type FailState,
  type Json,
  type Machine,
  type MapState,
  type Retrier,
  refuse,
  type State,
  type TaskState,
} from './types.ts';

const MACHINE_FIELDS = ['StartAt', 'States', 'TimeoutSeconds'];
const PROCESSOR_FIELDS = ['StartAt', 'States', 'ProcessorConfig'];

/** The fields of each type besides Type; a Task and a Map also have Next or End. */
export const STATE_FIELDS: Record<State['Type'], string[]> = {
  Task: ['Resource', 'Parameters', 'TimeoutSeconds', 'ResultSelector', 'ResultPath', 'OutputPath', 'Retry', 'Catch'],
  Map: [
    'ItemProcessor',
    'ItemsPath',
    'ItemReader',
    'Label',
    'ItemSelector',
    'MaxConcurrency',
    'ResultPath',
    'Retry',
    'Catch',
  ],
  Choice: ['Choices', 'Default'],
  Succeed: [],
  Fail: ['Error', 'ErrorPath', 'CausePath'],
};

/** Where the items of a Map come from, by its mode; the other mode's fields are refused. */
const ITEM_FIELDS = { INLINE: ['ItemsPath'], DISTRIBUTED: ['ItemReader', 'Label'] };

const ITEM_READER = 'arn:aws:states:::s3:getObject';

/** A state whose fields have not been checked yet. */
type Unchecked = Pick<State, 'Type'> &
  Partial<Omit<TaskState, 'Type'> & Omit<MapState, 'Type'> & Omit<ChoiceState, 'Type'> & Omit<FailState, 'Type'>>;

/** @returns what is wrong with a Task's Resource or Parameters, or undefined when it can be run. */
export type TaskCheck = (resource: string, parameters: Json | undefined) => string | undefined;

/** @throws UnsupportedDefinition */
export function validate(definition: unknown, taskProblem: TaskCheck): Machine {
  new Validator(taskProblem).machine(definition, 'the machine', MACHINE_FIELDS);
  return definition as Machine;
}

class Validator {
  /** State names are unique in the whole machine, including nested machines. */
  private readonly names = new Set<string>();
  private readonly taskProblem: TaskCheck;

  constructor(taskProblem: TaskCheck) {
    this.taskProblem = taskProblem;
  }

  machine(value: unknown, where: string, fields: string[]): void {
    const machine = this.object(value, where);
    this.known(machine, fields, where);
    if ('TimeoutSeconds' in machine) this.whole(machine.TimeoutSeconds, `${where}.TimeoutSeconds`, 1);
    const states = this.object(machine.States, `${where}.States`);
    const targets = new Set([this.target(machine.StartAt, states, `${where}.StartAt`)]);
    for (const [name, state] of Object.entries(states)) {
      if (this.names.has(name)) refuse(name, 'another state of this machine has the same name');
      this.names.add(name);
      if ([...name].length > 80) refuse(name, 'a name of more than 80 characters');
      for (const next of this.state(state, name)) targets.add(this.target(next, states, `${name}.Next`));
    }
    const unreached = Object.keys(states).filter((name) => !targets.has(name));
    if (unreached.length > 0) refuse(where, `no state leads to ${unreached.join(', ')}`);
  }

  /** @returns the names of the states that may follow. */
  private state(value: unknown, name: string): unknown[] {
    const state = this.object(value, name) as unknown as Unchecked;
    if (!Object.hasOwn(STATE_FIELDS, state.Type)) refuse(`${name}.Type`, `"${state.Type}" is not supported`);
    const goesOn = state.Type === 'Task' || state.Type === 'Map';
    this.known(state, ['Type', ...(goesOn ? ['Next', 'End'] : []), ...STATE_FIELDS[state.Type]], name);
    if (goesOn && (state.Next === undefined) === (state.End !== true))
      refuse(name, 'expected either Next or "End": true');
    for (const field of ['Parameters', 'ResultSelector', 'ItemSelector'] as const)
      if (state[field] !== undefined) checkTemplate(state[field], `${name}.${field}`);
    if (state.ResultPath !== null) this.resultPath(state.ResultPath, `${name}.ResultPath`);
    if (state.OutputPath !== undefined) parsePath(state.OutputPath, `${name}.OutputPath`);
    state.Retry?.forEach((retrier, i, all) => {
      this.retrier(retrier, i === all.length - 1, `${name}.Retry[${i}]`);
    });
    state.Catch?.forEach((catcher, i, all) => {
      this.catcher(catcher, i === all.length - 1, `${name}.Catch[${i}]`);
    });
    switch (state.Type) {
      case 'Task':
        this.task(state, name);
        break;
      case 'Map':
        this.map(state, name);
        break;
      case 'Choice':
        return this.choice(state, name);
      case 'Fail':
        if ((state.Error === undefined) === (state.ErrorPath === undefined))
          refuse(name, 'expected either Error or ErrorPath');
        for (const field of ['ErrorPath', 'CausePath'] as const)
          if (state[field] !== undefined) parseExpression(state[field], `${name}.${field}`);
    }
    const caught = state.Catch?.map(({ Next }) => Next) ?? [];
    return state.Next === undefined ? caught : [state.Next, ...caught];
  }

  private choice({ Choices, Default }: Unchecked, name: string): unknown[] {
    if (!Array.isArray(Choices) || Choices.length === 0) refuse(`${name}.Choices`, 'expected a non-empty array');
    Choices.forEach((rule, i) => {
      checkRule(rule, `${name}.Choices[${i}]`);
    });
    if (Default === undefined) refuse(`${name}.Default`, 'a Choice without it is not supported');
    return [...Choices.map(({ Next }) => Next), Default];
  }

  private task({ Resource, Parameters, TimeoutSeconds }: Unchecked, name: string): void {
    if (typeof Resource !== 'string') refuse(`${name}.Resource`, 'expected a string');
    const problem = this.taskProblem(Resource, Parameters);
    if (problem) refuse(name, problem);
    if (TimeoutSeconds !== undefined) this.whole(TimeoutSeconds, `${name}.TimeoutSeconds`, 1);
  }

  private map(state: Unchecked, name: string): void {
    const where = `${name}.ItemProcessor`;
    this.machine(state.ItemProcessor, where, PROCESSOR_FIELDS);
    const config = this.object(state.ItemProcessor!.ProcessorConfig, `${where}.ProcessorConfig`);
    const { Mode, ExecutionType } = config;
    if (Mode !== 'INLINE' && Mode !== 'DISTRIBUTED')
      refuse(`${where}.ProcessorConfig.Mode`, 'expected INLINE or DISTRIBUTED');
    this.known(config, Mode === 'INLINE' ? ['Mode'] : ['Mode', 'ExecutionType'], `${where}.ProcessorConfig`);
    if (Mode === 'DISTRIBUTED' && ExecutionType !== 'STANDARD')
      refuse(`${where}.ProcessorConfig.ExecutionType`, 'only STANDARD is supported');
    for (const [mode, fields] of Object.entries(ITEM_FIELDS))
      for (const field of fields)
        if (Object.hasOwn(state, field) !== (mode === Mode))
          refuse(`${name}.${field}`, `each ${mode} map needs it, and no other may have it`);
    this.whole(state.MaxConcurrency, `${name}.MaxConcurrency`, 1);
    if (Mode === 'INLINE') parsePath(state.ItemsPath!, `${name}.ItemsPath`);
    else this.itemReader(state.ItemReader, `${name}.ItemReader`);
  }

  private itemReader(value: unknown, where: string): void {
    const reader = this.object(value, where);
    this.known(reader, ['Resource', 'ReaderConfig', 'Parameters'], where);
    if (reader.Resource !== ITEM_READER) refuse(`${where}.Resource`, `only ${ITEM_READER} is supported`);
    const config = this.object(reader.ReaderConfig, `${where}.ReaderConfig`);
    this.known(config, ['InputType'], `${where}.ReaderConfig`);
    if (config.InputType !== 'JSON') refuse(`${where}.ReaderConfig.InputType`, 'only JSON is supported');
    const parameters = this.object(reader.Parameters, `${where}.Parameters`);
    this.known(parameters, ['Bucket.$', 'Key.$'], `${where}.Parameters`);
    checkTemplate(parameters, `${where}.Parameters`);
  }

  private retrier(retrier: Retrier, last: boolean, where: string): void {
    const known = ['IntervalSeconds', 'MaxAttempts', 'BackoffRate', 'MaxDelaySeconds', 'JitterStrategy'];
    this.known(retrier, ['ErrorEquals', ...known], where);
    this.errorEquals(retrier.ErrorEquals, last, where);
    if (retrier.IntervalSeconds !== undefined) this.whole(retrier.IntervalSeconds, `${where}.IntervalSeconds`, 1);
    if (retrier.MaxAttempts !== undefined) this.whole(retrier.MaxAttempts, `${where}.MaxAttempts`, 0);
    if (retrier.MaxDelaySeconds !== undefined) this.whole(retrier.MaxDelaySeconds, `${where}.MaxDelaySeconds`, 1);
    const { BackoffRate = 2, JitterStrategy = 'FULL' } = retrier;
    if (typeof BackoffRate !== 'number' || BackoffRate < 1) refuse(`${where}.BackoffRate`, 'expected 1.0 or more');
    if (JitterStrategy !== 'FULL') refuse(`${where}.JitterStrategy`, 'only FULL is supported');
  }

  private catcher(catcher: Catcher, last: boolean, where: string): void {
    this.known(catcher, ['ErrorEquals', 'Next', 'ResultPath'], where);
    this.errorEquals(catcher.ErrorEquals, last, where);
    this.resultPath(catcher.ResultPath, `${where}.ResultPath`);
  }

  private errorEquals(names: unknown, last: boolean, where: string): void {
    if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== 'string'))
      refuse(`${where}.ErrorEquals`, 'expected a non-empty array of names');
    if (names.includes('States.ALL') && (names.length > 1 || !last))
      refuse(`${where}.ErrorEquals`, 'States.ALL stands alone, and in the last entry');
    // It stands for every error except a timeout, not only for errors of that name.
    if (names.includes('States.TaskFailed')) refuse(`${where}.ErrorEquals`, 'States.TaskFailed is not supported');
  }

  private target(name: unknown, states: Record<string, Json>, where: string): string {
    if (typeof name !== 'string' || !Object.hasOwn(states, name)) return refuse(where, `there is no state "${name}"`);
    return name;
  }

  private known(holder: object, fields: string[], where: string): void {
    const unknown = Object.keys(holder).find((name) => !fields.includes(name));
    if (unknown) refuse(`${where}.${unknown}`, 'this field is not supported here');
  }

  private resultPath(path: string | undefined, where: string): void {
    if (path !== undefined && parsePath(path, where).root === 'context')
      refuse(where, 'the context object cannot be written');
  }

  private whole(value: unknown, where: string, least: number): void {
    if (!Number.isInteger(value) || (value as number) < least) refuse(where, `expected a whole number from ${least}`);
  }

  private object(value: unknown, where: string): Record<string, Json> {
    return isObject(value) ? value : refuse(where, 'expected an object');
  }
}
