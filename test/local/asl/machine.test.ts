import { expect, it } from 'vitest';
import { synthesizeMachine } from '../../../lib/synthesize.ts';
import { COMPARISONS } from '../../../local/asl/choice.ts';
import { INTRINSICS } from '../../../local/asl/intrinsics.ts';
import { CONTEXT } from '../../../local/asl/paths.ts';
import type { Machine, MapState } from '../../../local/asl/types.ts';
import { STATE_FIELDS, validate } from '../../../local/asl/validate.ts';
import { taskProblem } from '../../../local/tasks.ts';
import { readTemplate } from '../../../local/template.ts';

const ECR = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
/** Each choice that is made at deployment, the other way. */
const OTHERWISE = {
  accelerator: 'cpu',
  network: 'endpoints', // which leads to images in ECR alone
  image: `${ECR}/mates:1`,
  trainerImage: `${ECR}/trainer:1`,
  trainerCommand: 'python,train.py',
  spot: 'false',
  publishVersion: 'false',
};

/** The types of state, their fields, comparisons, intrinsics and context paths of a definition. */
function used({ States }: Machine): string[] {
  return Object.values(States).flatMap((state) => {
    const { Type, Next: _, End: __, ItemProcessor, ...fields } = state as Partial<MapState> & { Type: string };
    const rules = state.Type === 'Choice' ? state.Choices : [];
    const text = JSON.stringify(fields);
    const context = (text.match(/\$\$\.[\w.]+/g) ?? []).map(
      (path) => CONTEXT.find((known) => path.startsWith(`$$.${known}`)) ?? path,
    );
    return [
      Type,
      ...Object.keys(fields).map((field) => `${Type}.${field}`),
      ...rules.flatMap(({ Variable: _, Next: __, ...comparison }) => Object.keys(comparison)),
      ...(text.match(/States\.\w+(?=\()/g) ?? []),
      ...context,
      ...(ItemProcessor ? [`${Type}.ItemProcessor`, ...used(ItemProcessor)] : []),
    ];
  });
}

const supported = [
  ...Object.entries(STATE_FIELDS).flatMap(([type, fields]) => [type, ...fields.map((field) => `${type}.${field}`)]),
  ...Object.keys(COMPARISONS),
  ...Object.keys(INTRINSICS),
  ...CONTEXT,
];

it.each([
  ['as it is by default', {}],
  ['with every choice made otherwise', OTHERWISE],
])('the machine %s uses all that the interpreter supports, and nothing else', (_, context) => {
  const { template, dataTemplate } = synthesizeMachine(context);
  const machine = validate(readTemplate(template, dataTemplate).definition, taskProblem);
  expect([...new Set(used(machine))].toSorted()).toEqual(supported.toSorted());
});
