// SQL: a statement is run, drawn, saved, and one that is wrong is told so.

import assert from 'node:assert/strict';

export default async function walk({ page, base, isWhole }) {
  await page.goto(`${base}/#/sql?q=${encodeURIComponent('SELECT area_name, count(*) AS visits FROM visits GROUP BY area_name ORDER BY visits DESC')}`);
  const editor = page.getByRole('textbox', { name: 'Statement' });
  await editor.waitFor();
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByRole('cell').first().waitFor();
  assert.match(await page.locator('.result p').first().textContent(), /rows in \d+ ms/);
  if (!isWhole) return;
  await page.getByRole('button', { name: 'Chart', exact: true }).click();
  await page.locator('figure.chart canvas').waitFor();
  await page.getByRole('button', { name: 'Chart', exact: true }).click();
  // The schema is beside it, and inserts.
  await page.getByPlaceholder('Find a view or column').fill('dwell_s');
  await page.getByRole('button', { name: 'dwell_s' }).first().waitFor();
  await page.getByPlaceholder('Find a view or column').fill('');
  // A file.
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'CSV' }).click();
  assert.equal((await saving).suggestedFilename(), 'footfall.csv');
  // By keyboard: what is wrong is told in the server's words, and the answer stands in the address.
  await editor.click();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('DELETE FROM visits');
  await page.evaluate(() => performance.clearResourceTimings());
  const refused = page.waitForResponse((answer) => answer.url().endsWith('/v1/sql') && answer.status() === 422);
  await page.keyboard.press('Control+Enter');
  await refused;
  await page.getByRole('alert').getByText('only statements that read').waitFor();
  await page.getByLabel('Start from …').selectOption({ label: 'Who is where now' });
  await page.getByRole('columnheader', { name: 'occupancy_limit' }).waitFor();
  assert.match(page.url(), /q=FROM\+occupancy/);
}
