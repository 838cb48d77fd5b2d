/**
 * The job runner: AWS Batch and SageMaker control planes whose jobs are processes of this machine. The LocalStack
 * plugins send it the requests; `/_jobs` and `/_faults` are for the tests.
 *
 * `node --import tsx main.ts PORT SLOTS` with the emulator's AWS_* variables. Says `ready PORT` when it listens.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { resolve } from 'node:path';
import { Batch } from './batch.ts';
import { SageMaker } from './sagemaker.ts';
import { type Host, type Operation, Refused, Slots } from './service.ts';

const [port = '0', slots = '2'] = process.argv.slice(2);
/** A job gets no more of this process's environment than a container would find, and the way to the emulator. */
const PASSED = /^(PATH|HOME|TMPDIR|LANG|AWS_.*)$/;

const host: Host = {
  cwd: resolve(import.meta.dirname, '../../../..'),
  environment: Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => PASSED.test(entry[0]) && !!entry[1]),
  ),
  graceSeconds: 3, // Batch gives 30
  slots: new Slots(Number(slots)),
  processes: [],
  faults: [],
};
const batch = new Batch(host);
const sagemaker = new SageMaker(host);
const forTests: Record<string, Operation> = {
  '/_jobs': () => ({ processes: host.processes }),
  '/_faults': (order) => {
    host.faults.push(order);
    return {};
  },
};

function operation(request: IncomingMessage): Operation | undefined {
  const target = request.headers['x-amz-target'];
  if (typeof target === 'string') return sagemaker.operations[target.replace(/^SageMaker\./, '')];
  const path = (request.url ?? '').split('?')[0]!;
  return forTests[path] ?? batch.operations[path.replace(/^\/v1\//, '')];
}

const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  let status = 200;
  let body: object;
  try {
    const run = operation(request);
    if (!run) throw new Refused('ClientException', `${request.url} is not served by the job runner`);
    body = await run(text ? JSON.parse(text) : {});
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    const code = error instanceof Refused ? error.code : 'ServerException';
    status = error instanceof Refused ? 400 : 500;
    body = { __type: code, code, message: (error as Error).message };
    response.setHeader('x-amzn-errortype', code);
  }
  const version = request.headers['x-amz-target'] ? 'application/x-amz-json-1.1' : 'application/json';
  response.writeHead(status, { 'content-type': version });
  response.end(JSON.stringify(body));
});
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address();
  console.log(`ready ${typeof address === 'object' && address ? address.port : port}`);
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
process.once('disconnect', () => process.exit(0));
