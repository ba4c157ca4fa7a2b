// First run: an empty server says what to do, and ticks each step off as it happens.

import assert from 'node:assert/strict';
import { startEmpty } from './harness.mjs';

export default async function walk({ page, base, isWhole, program }) {
  await page.goto(`${base}/#/setup`);
  await page.getByRole('img', { name: 'Done' }).nth(4).waitFor();
  if (!isWhole) return;
  const empty = await startEmpty(program);
  try {
    const post = async (delivery) => {
      const answer = await fetch(`${empty.base}/v1/webhooks/mist`, { method: 'POST', body: JSON.stringify(delivery) });
      assert.equal(answer.status, 200, await answer.text());
    };
    const done = (n) => page.waitForFunction((n) => document.querySelectorAll('.setup li.is-done').length === n, n, { timeout: 15_000 });
    await page.goto(`${empty.base}/`);
    // Where nothing is to be seen, it begins here, with a source that is configured.
    await page.getByRole('heading', { name: 'Create the webhook in Mist' }).waitFor();
    assert.match(page.url(), /#\/setup/);
    await done(1);
    await page.getByText(`${empty.base}/v1/webhooks/mist`, { exact: true }).waitFor();
    await post({ topic: 'ping', events: [{ id: 'walk', name: 'walk', site_id: 'a0000000-0000-4000-8000-000000000001', timestamp: Math.round(Date.now() / 1000) }] });
    await page.getByText(/The last ping came/).waitFor({ timeout: 15_000 });
    // A position of an unknown floor, then the floor, then the client in its zone.
    const [site_id, map_id] = ['a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002'];
    const fix = () => ({ topic: 'location', events: [{ site_id, map_id, mac: '3c0000000001', type: 'wifi', x: 5, y: 5, timestamp: Date.now() / 1000 }] });
    await post(fix());
    await done(4);
    await page.getByText('Events name 1 floor that nobody uploaded yet.').waitFor();
    const zones = [{ id: 'a0000000-0000-4000-8000-000000000003', name: 'Hall', vertices_m: [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 10 }, { x: 0, y: 10 }] }];
    const put = await fetch(`${empty.base}/v1/maps/${map_id}`, { method: 'PUT', body: JSON.stringify({ site_id, name: 'Ground', width_m: 20, height_m: 20, zones }) });
    assert.ok(put.ok, await put.text());
    await done(5);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await post(fix());
    await done(6);
    await page.getByText('1 client is in a zone now.').waitFor();
  } finally {
    await empty.stop();
  }
  await page.goto(`${base}/#/setup`);
  await page.getByRole('img', { name: 'Done' }).nth(4).waitFor();
}
