// History: figures are the server's, filters are in the address, charts have tables and files, and an hour plays back.

import assert from 'node:assert/strict';

const shown = (n) => n.toLocaleString('en');

export default async function walk({ page, base, api, isWhole }) {
  await page.goto(`${base}/#/history?compare=1`);
  const tile = (name) => page.locator('.tile', { has: page.getByText(name, { exact: true }) }).locator('strong');
  await tile('Visits').waitFor();
  await page.locator('figure.chart canvas').nth(6).waitFor();
  if (!isWhole) return page.waitForTimeout(1500);

  // Yesterday does not change any more: each figure is what the server says.
  await page.getByRole('combobox', { name: 'Time', exact: true }).selectOption('yesterday');
  await page.waitForURL(/range=yesterday/);
  const csv = page.getByRole('link', { name: 'Occupancy: CSV' });
  const server = async () => {
    const query = new URL(await csv.evaluate((link) => link.href)).searchParams;
    query.delete('format');
    return api('GET', `/v1/occupancy/series?${query}`);
  };
  // When an answer takes the place of another, its files go with it.
  const settled = async () => {
    await page.waitForTimeout(300);
    await page.waitForFunction(() => !document.querySelector('.history .answer[aria-busy=true]'));
  };
  await settled();
  const told = await server();
  assert.equal(await tile('Visits').textContent(), shown(told.total.entries));
  assert.equal(await tile('Unique clients').textContent(), shown(told.total.unique_clients));
  assert.equal(await tile('Peak occupancy').textContent(), shown(told.total.max));
  assert.ok(told.total.entries > 100);
  const before = told.comparison.total.entries;
  assert.ok((await page.locator('.tile .change').first().textContent()).includes(`from ${shown(before)}`));
  assert.equal(Date.parse(told.from) - Date.parse(told.comparison.from), 86_400_000, 'compared with the day before');

  // The file is there, with the day before, and the table says the same as it.
  const file = await page.evaluate(async (href) => (await fetch(href)).text(), await csv.getAttribute('href'));
  assert.equal(file.trim().split(/\r?\n/).length, told.buckets.length + told.comparison.buckets.length + 1);
  await page.getByRole('button', { name: 'Occupancy: Table' }).click();
  const rows = page.getByRole('region', { name: 'Occupancy: Table' }).getByRole('row');
  assert.equal(await rows.count(), told.buckets.length + 1);
  const middle = told.buckets[Math.floor(told.buckets.length / 2)];
  assert.ok((await rows.nth(Math.floor(told.buckets.length / 2) + 1).textContent()).includes(shown(middle.max)));
  await page.getByRole('button', { name: 'Occupancy: Table' }).click();
  const [png] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Occupancy: PNG' }).click()]);
  assert.equal(png.suggestedFilename(), 'Occupancy.png');
  const [bands] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Dwell bands: CSV' }).click()]);
  assert.equal(bands.suggestedFilename(), 'Dwell bands.csv');

  // One zone, one kind, no short visits: in the address, and asked of the server.
  const { areas } = await api('GET', '/v1/areas?kind=zone');
  const zone = areas.find((area) => area.name === 'Café');
  await page.getByRole('combobox', { name: 'Where' }).selectOption(`zone/${zone.area_id}`);
  await page.getByRole('combobox', { name: 'Clients', exact: true }).selectOption('wifi');
  await page.getByRole('combobox', { name: 'Random addresses' }).selectOption('without');
  await page.getByRole('combobox', { name: 'Visits of at least' }).selectOption('5m');
  await page.getByRole('combobox', { name: 'Step' }).selectOption('1h');
  await settled();
  for (const part of [`area=${zone.area_id}`, 'kind=wifi', 'random=without', 'min_dwell=5m', 'bucket=1h']) assert.ok(page.url().includes(part), part);
  const filtered = await server();
  assert.equal(await tile('Visits').textContent(), shown(filtered.total.entries));
  assert.equal(filtered.buckets.length, 24);
  assert.ok(filtered.total.entries < told.total.entries);
  // Whoever gets the address sees the same.
  await page.reload();
  await tile('Visits').waitFor();
  assert.equal(await tile('Visits').textContent(), shown(filtered.total.entries));
  assert.equal(await page.getByRole('combobox', { name: 'Where' }).inputValue(), `zone/${zone.area_id}`);

  // A time before everything has words.
  await page.goto(`${base}/#/history?range=custom&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z`);
  await page.getByText('Nobody was seen here in this time.').waitFor();
  await page.goto(`${base}/#/history?range=custom&from=2020-01-03T00:00:00Z&to=2020-01-02T00:00:00Z`);
  await page.getByText('The start must be before the end').waitFor();

  // An hour plays back: from a peak, faster, its instant told, its zones counted as the visits have them.
  const ground = areas.find((area) => area.name === 'Reception').map_id;
  await page.goto(`${base}/#/history?range=yesterday&map=${ground}`);
  await page.getByRole('button', { name: /^Play back / }).first().click();
  await page.waitForURL(/play=/);
  const here = page.locator('.zones-then .big strong');
  await page.waitForFunction(() => Number(document.querySelector('.zones-then .big strong')?.textContent) > 5);
  const instant = new URLSearchParams(page.url().split('?')[1]).get('at');
  const sql = `SELECT count(*) AS n FROM visits WHERE area_id = ? AND source = 'computed' AND entered_at <= ?::TIMESTAMPTZ AND (exited_at IS NULL OR exited_at > ?::TIMESTAMPTZ)`;
  const reception = areas.find((area) => area.name === 'Reception').area_id;
  const { rows: [{ n }] } = await api('POST', '/v1/sql', { sql, params: [reception, instant, instant] });
  const row = page.locator('.zones-then tr', { has: page.getByRole('rowheader', { name: 'Reception', exact: true }) });
  assert.equal(await row.locator('td').first().evaluate((cell) => cell.firstChild.textContent), String(n));
  const stage = page.locator('.playback .plan .canvas');
  await stage.scrollIntoViewIfNeeded();
  const still = await stage.screenshot();
  await page.getByRole('combobox', { name: 'Speed' }).selectOption('300');
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForTimeout(1500);
  await page.getByRole('button', { name: 'Pause' }).click();
  assert.notDeepEqual(await stage.screenshot(), still, 'the hour stands still');
  const slider = page.getByRole('slider', { name: 'Instant' });
  assert.ok(Number(await slider.inputValue()) > Date.parse(instant));
  await slider.focus();
  await page.keyboard.press('End');
  assert.ok(Number(await here.textContent()) >= 0);
  await page.locator('main').evaluate((main) => main.scrollTo(0, 0));
}
