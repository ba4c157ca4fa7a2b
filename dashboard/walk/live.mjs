// Live: dots move, counts change, layers come and go, a floor is chosen, a break is told and caught up with.

import assert from 'node:assert/strict';

export default async function walk({ page, base, api, isWhole }) {
  await page.goto(`${base}/`);
  const here = page.getByTestId('clients-here').locator('strong');
  await page.waitForFunction(() => Number(document.querySelector('[data-testid=clients-here] strong')?.textContent) > 5);
  await page.getByRole('status').getByText('Live').waitFor();
  if (!isWhole) return page.waitForTimeout(1500);
  // The table says what the server says.
  const { areas } = await api('GET', '/v1/occupancy?area_kind=zone');
  const rows = page.getByRole('row').filter({ has: page.getByRole('link') });
  assert.ok((await rows.count()) > 5);
  assert.ok(areas.length > 5);
  // Two pictures of the plan differ: dots move.
  const plan = page.locator('.plan .canvas');
  const before = await plan.screenshot();
  await page.waitForFunction(
    async (text) => {
      for (let i = 0; i < 100 && document.querySelector('table.zones')?.textContent === text; i++) await new Promise((done) => setTimeout(done, 200));
      return document.querySelector('table.zones')?.textContent !== text;
    },
    await page.locator('table.zones').textContent(),
    { timeout: 60_000 },
  );
  assert.notDeepEqual(await plan.screenshot(), before, 'the plan stands still');
  // Layers, kept in the address.
  await page.getByLabel('Trails').check();
  await page.getByLabel('Heat map, last hour').check();
  await page.getByLabel('Shade zones by').selectOption('share');
  assert.match(page.url(), /layers=zones%2Cclients%2Ctrails%2Cheat/);
  await page.waitForTimeout(1500);
  // Another floor has other zones.
  const zones = await page.locator('table.zones').textContent();
  await page.locator('header select').nth(1).selectOption({ index: 1 });
  await page.waitForFunction((text) => document.querySelector('table.zones')?.textContent !== text, zones);
  // Full screen, and back.
  await page.getByRole('button', { name: 'Full screen' }).click();
  await page.locator('.kiosk .big').waitFor();
  await page.getByRole('button', { name: 'Leave full screen' }).click();
  // A break is said, and caught up with.
  await page.context().setOffline(true);
  await page.evaluate(() => dispatchEvent(new Event('offline')));
  await page.context().setOffline(false);
  await page.getByRole('status').getByText('Live').waitFor({ timeout: 20_000 });
  await page.goto(`${base}/#/live?layers=zones,clients`);
  await page.reload();
  await page.waitForFunction(() => Number(document.querySelector('[data-testid=clients-here] strong')?.textContent) > 5);
  await page.waitForTimeout(2500);
  void here;
}
