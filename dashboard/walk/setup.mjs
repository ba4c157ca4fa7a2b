// Set-up: a server with data shows its health. An empty one ticks each step off as deliveries come: a ping, fixes, a plan, a
// client inside a zone.

import assert from 'node:assert/strict';
import { startEmpty } from './harness.mjs';

const SITE = '4ac1dcf4-9d8b-7211-65c4-057819f0862b';
const MAP = '845a23bf-bed9-e43c-4c86-6fa474be7ae5';

export default async function walk({ page, base, api, isWhole, program }) {
  if (isWhole) await firstRun(page, program);
  await page.goto(`${base}/#/setup`);
  await page.reload();
  await page.getByText('6 of 6 steps done').waitFor();
  const { sources } = await api('GET', '/v1/sources');
  const row = page.getByRole('table', { name: 'Sources of deliveries' }).getByRole('row').filter({ hasText: sources[0].path });
  for (const topic of sources[0].topics) await row.getByText(topic, { exact: true }).waitFor();
  if (isWhole) return;
  // What a step says is there still, for its picture and its contrasts.
  await page.getByRole('heading', { name: 'Create the webhook in Mist' }).click();
  await page.getByText('Topics to tick').waitFor();
}

async function firstRun(page, program) {
  const empty = await startEmpty(program);
  const send = async (path, body) => {
    const answer = await fetch(empty.base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
  };
  const deliver = (topic, ...events) => send('/v1/webhooks/mist', { topic, events });
  const now = () => Date.now() / 1000;
  const fix = (mac, x, y) => ({ site_id: SITE, map_id: MAP, mac, type: 'wifi', x, y, timestamp: now() });
  try {
    // The page itself comes here.
    await page.goto(`${empty.base}/`);
    await page.getByText('1 of 6 steps done').waitFor();
    assert.match(page.url(), /#\/setup/);
    const step = (title) => page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: title }) });
    const isDone = async (title) => (await step(title).getAttribute('data-done')) === 'true';
    assert.equal(await isDone('Name a source and its secret'), true);
    assert.equal(await isDone('Create the webhook in Mist'), false);
    // What is to be entered in Mist.
    await page.getByText(`${empty.base}/v1/webhooks/mist`, { exact: true }).waitFor();
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy: URL to enter' }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${empty.base}/v1/webhooks/mist`);
    await page.getByText('Copied').waitFor();
    // A ping.
    await deliver('ping', { site_id: SITE, id: '18ff1f91-a9e0-c3b7-74ea-2ce4ea372f72', name: 'my webhook', timestamp: now() });
    await page.getByText('3 of 6 steps done').waitFor();
    assert.equal(await isDone('Ping it'), true);
    // Fixes: the site appears, and what is to be imported.
    await deliver('location-client', fix('5684dae9ac8b', 13.5, 3.2), fix('5684dae9ac8c', 14.5, 3.2));
    await page.getByText('4 of 6 steps done').waitFor();
    await page.getByRole('row').filter({ hasText: MAP }).getByText('Map').waitFor();
    await page.getByText(/deliveries taken, of 1 site/).waitFor({ state: 'attached' });
    // The plan, and somebody inside its zone.
    const zone = { id: '0d1f5a52-0001-4c00-8000-000000000001', map_id: MAP, site_id: SITE, name: 'Lobby', vertices_m: [{ x: 10, y: 0 }, { x: 20, y: 0 }, { x: 20, y: 10 }, { x: 10, y: 10 }] };
    await send('/v1/maps/import', [{ id: MAP, site_id: SITE, name: 'Ground floor', type: 'image', ppm: 20, width: 800, height: 400, width_m: 40, height_m: 20 }, zone]);
    await page.locator('[data-done=true]').filter({ hasText: 'Import the floorplan' }).waitFor();
    await deliver('location-client', fix('5684dae9ac8b', 13.6, 3.3));
    await page.getByText('6 of 6 steps done').waitFor({ timeout: 60_000 });
    await page.getByText('All steps are done').waitFor();
    // The rest of the page has followed.
    await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: 'Live' }).click();
    await page.getByRole('link', { name: 'Lobby' }).waitFor();
    await page.goto('about:blank');
  } finally {
    await empty.stop();
  }
}
