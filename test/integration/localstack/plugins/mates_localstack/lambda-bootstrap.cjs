/**
 * The Lambda runtime's loop: an invocation is a line of JSON on stdin, its answer a line on the pipe MATES_ANSWER_FD.
 * It ends when stdin does, so it never outlives LocalStack.
 */
const { existsSync, writeSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');
const { pathToFileURL } = require('node:url');

const { AWS_LAMBDA_FUNCTION_NAME, AWS_LAMBDA_FUNCTION_TIMEOUT, LAMBDA_TASK_ROOT, MATES_ANSWER_FD, _HANDLER } =
  process.env;

function answer(value) {
  writeSync(Number(MATES_ANSWER_FD), `${JSON.stringify(value)}\n`);
}

async function loadHandler() {
  const [file, name] = _HANDLER.split('.');
  const path = ['.js', '.mjs', '.cjs'].map((end) => join(LAMBDA_TASK_ROOT, file + end)).find(existsSync);
  const handler = (await import(pathToFileURL(path).href))[name];
  if (typeof handler !== 'function') throw new Error(`${_HANDLER} is undefined or not exported`);
  return handler;
}

function failure(error) {
  console.error(error);
  const trace = String(error?.stack ?? error).split('\n');
  return { error: { errorType: error?.name ?? 'Error', errorMessage: error?.message ?? String(error), trace } };
}

async function main() {
  const loading = loadHandler();
  loading.catch(() => {}); // reported with the first invocation, as Lambda does
  await loading.catch(() => {});
  answer({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const invocation = JSON.parse(line);
    const deadline = Date.now() + 1000 * Number(AWS_LAMBDA_FUNCTION_TIMEOUT);
    const context = {
      awsRequestId: invocation['invoke-id'],
      functionName: AWS_LAMBDA_FUNCTION_NAME,
      invokedFunctionArn: invocation['invoked-function-arn'],
      getRemainingTimeInMillis: () => deadline - Date.now(),
    };
    try {
      const handler = await loading;
      answer({ result: (await handler(JSON.parse(invocation.payload || 'null'), context)) ?? null });
    } catch (error) {
      answer(failure(error));
    }
  }
  process.exit(0);
}

main();
