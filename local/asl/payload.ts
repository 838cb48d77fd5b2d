/** Payload templates: Parameters, ResultSelector, ItemSelector; https://states-language.net/spec.html#payload-template. */
import { evaluate, parseExpression } from './intrinsics.ts';
import { isObject, type Scope } from './paths.ts';
import { type Json, refuse, StatesError } from './types.ts';

/** Largest input, output or result of a state: 256 KiB of UTF-8 (Step Functions quotas). */
export const PAYLOAD_BYTES = 262_144;

/** Replaces every field whose name ends in `.$` with the value of its path or intrinsic. */
export function fill(template: Json, scope: Scope, where: string): Json {
  if (Array.isArray(template)) return template.map((item, i) => fill(item, scope, `${where}[${i}]`));
  if (!isObject(template)) return template;
  const filled: Json = {};
  for (const [name, value] of Object.entries(template)) {
    const field = `${where}.${name}`;
    if (name.endsWith('.$'))
      filled[name.slice(0, -2)] = evaluate(
        parseExpression(value as string, field),
        scope,
        field,
        'States.ParameterPathFailure',
      );
    else filled[name] = fill(value, scope, field);
  }
  return filled;
}

/** @throws UnsupportedDefinition when a template has a path or intrinsic that could not be evaluated. */
export function checkTemplate(template: Json, where: string): void {
  if (Array.isArray(template)) for (const [i, item] of template.entries()) checkTemplate(item, `${where}[${i}]`);
  if (!isObject(template)) return;
  for (const [name, value] of Object.entries(template)) {
    const field = `${where}.${name}`;
    if (!name.endsWith('.$')) {
      checkTemplate(value, field);
      continue;
    }
    if (typeof value !== 'string') refuse(field, 'expected a path or an intrinsic');
    if (name.slice(0, -2) in template) refuse(field, `there is also ${name.slice(0, -2)}; keep one of the two`);
    parseExpression(value, field);
  }
}

/** @throws StatesError States.DataLimitExceeded */
export function checkSize(payload: Json, what: string): Json {
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes <= PAYLOAD_BYTES) return payload;
  throw new StatesError(
    'States.DataLimitExceeded',
    `${what} has ${bytes} bytes, more than the ${PAYLOAD_BYTES} of the service.`,
  );
}
