// What the walks share: the real server on a file of its own, a browser, a page that keeps what its console said. Apart from
// walk.mjs, which awaits the walks that import this: a module that waits for its importer waits for ever.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const CHROMIUM_ARGS = [
  '--no-sandbox', '--disable-gpu', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/// What software rendering says about itself, and browsers of answers that refuse: no faults of the page.
const NOISE = [/GPU stall due to ReadPixels/, /willReadFrequently/, /status of 422/, /status of 401/, /WebGL.*software/i];

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/// Starts the program, and resolves once it has said that it is ready.
async function start(program, args, env, readiness) {
  const dir = mkdtempSync(join(tmpdir(), 'footfall-walk-'));
  const [port, postgres] = [await freePort(), await freePort()];
  const [listen, store] = [`127.0.0.1:${port}`, join(dir, 'walk.duckdb')];
  const server = spawn(program, args({ listen, postgres: `127.0.0.1:${postgres}`, store }), { env: { ...process.env, ...env({ listen, store }) } });
  let said = '';
  await new Promise((resolve, reject) => {
    const hear = (data) => {
      said += data;
      if (said.includes(readiness)) resolve();
    };
    server.stdout.on('data', hear);
    server.stderr.on('data', hear);
    server.on('exit', () => reject(new Error(`the server ended:\n${said}`)));
  });
  return {
    base: `http://${listen}`,
    stop: async () => {
      const ended = new Promise((resolve) => server.on('exit', resolve));
      server.kill('SIGTERM');
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/// The demo on a file of its own, once its crowd is live.
export const startDemo = (program, historyDays = 1) =>
  start(
    program,
    ({ listen, postgres, store }) => ['demo', '--history-days', String(historyDays), '--store', store, '--listen', listen, '--postgres-listen', postgres],
    () => ({}),
    'The crowd is live',
  );

/// A server that knows nothing, and takes deliveries without a signature.
export const startEmpty = (program) =>
  start(
    program,
    () => ['serve'],
    ({ listen, store }) => ({ FOOTFALL_SERVER__LISTEN: listen, FOOTFALL_STORE__PATH: store, FOOTFALL_SOURCES__DEFAULT__UNSIGNED: 'true', FOOTFALL_LOG: 'info' }),
    'listening',
  );

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: CHROMIUM_ARGS });

/// A page that keeps what its console said.
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: 'light', ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => {
    const text = message.text();
    if (['error', 'warning'].includes(message.type()) && !NOISE.some((noise) => noise.test(text))) faults.push(`${message.type()}: ${text} (${message.location().url})`);
  });
  page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`));
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith('http') && hostname !== '127.0.0.1') faults.push(`asked ${request.url()}`);
  });
  return { page, faults, context };
}

export async function assertAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n    ${nodes.slice(0, 5).map((node) => `${node.target} ${node.failureSummary?.split('\n').slice(1).join(' ')}`).join('\n    ')}`);
  assert.deepEqual(told, [], `axe on ${what}`);
}

/// Asks the server itself.
export function apiOf(base) {
  return async (method, path, body) => {
    const answer = await fetch(base + path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
}
