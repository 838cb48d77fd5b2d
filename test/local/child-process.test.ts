import { describe, expect, it } from 'vitest';
import { type ChildOptions, runChild } from '../../local/child-process.ts';

/** Runs a script of Node, which is stopped when it writes `ready`. */
async function run(script: string, options: Partial<ChildOptions> = {}) {
  const stop = new AbortController();
  const lines: string[] = [];
  const end = await runChild({
    file: process.execPath,
    arguments: ['-e', script],
    environment: {},
    grace: 30,
    signal: stop.signal,
    onLine: (line) => {
      lines.push(line);
      if (line === 'ready') stop.abort();
    },
    ...options,
  });
  return { ...end, lines };
}

const WAITS = "setInterval(() => {}, 1000); console.log('ready');";
const IGNORES = "process.on('SIGTERM', () => console.log('told'));";

describe('a child process', () => {
  it('that ends by itself was not stopped', async () => {
    expect(await run('process.exit(3)')).toEqual({ exitCode: 3, stopped: false, timedOut: false, lines: [] });
  });

  it('has the exit code of a container when a signal ends it', async () => {
    for (const [signal, exitCode] of Object.entries({ SIGTERM: 143, SIGHUP: 129 }))
      expect(await run(`process.kill(process.pid, '${signal}')`)).toMatchObject({ exitCode, killedBy: signal });
  });

  it('gets SIGTERM alone, and SIGKILL with all that it has started', async () => {
    const child = `${IGNORES} setInterval(() => {}, 1000); console.log('child is there')`;
    const parent = `
      ${IGNORES}
      const child = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}]);
      child.stdout.on('data', (data) => { console.log('child: ' + data); ${WAITS} });`;
    const { lines, ...end } = await run(parent, { grace: 2 });
    expect(end).toEqual({ exitCode: 137, killedBy: 'SIGKILL', stopped: true, timedOut: true });
    expect(lines.filter((line) => line.includes('told'))).toEqual(['told']);
  });

  it('gets SIGKILL at once where it has no grace', async () => {
    const { lines, ...end } = await run(`${IGNORES} ${WAITS}`, { grace: 0 });
    expect(end).toEqual({ exitCode: 137, killedBy: 'SIGKILL', stopped: true, timedOut: false });
    expect(lines).toEqual(['ready']);
  });

  it('has a channel unless told otherwise', async () => {
    const script = "console.log(typeof process.send, process.env.NODE_CHANNEL_FD ?? '')";
    expect((await run(script)).lines[0]).toMatch(/^function/);
    expect((await run(script, { channel: false })).lines).toEqual(['undefined ']);
  });

  it('is not waited for by the pipes that it has left to a process of another group', async () => {
    const { exitCode, lines } = await run(`
      const options = { stdio: 'inherit', detached: true };
      const child = require('child_process').spawn('sleep', ['20'], options);
      console.log(child.pid);
      process.exit(0);`);
    process.kill(Number(lines[0]));
    expect(exitCode).toBe(0);
  }, 15_000);
});
