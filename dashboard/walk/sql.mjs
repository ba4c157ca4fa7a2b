// SQL: a statement is typed and answered as the server answers, as a table, a chart and files; faults are told in words, a long
// one is stopped, and the address holds it all.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const BY_KIND = 'SELECT kind, count(*) AS visits FROM visits GROUP BY kind ORDER BY kind';

export default async function walk({ page, base, api, isWhole }) {
  const link = `${base}/#/sql?q=${encodeURIComponent(BY_KIND)}&show=chart`;
  await page.goto(link);
  await page.reload();
  const summary = page.getByTestId('sql-summary');
  await summary.waitFor();
  await page.locator('.result canvas').waitFor();
  if (!isWhole) return page.waitForTimeout(500);
  // The table says what the server says.
  await page.getByRole('button', { name: 'Table' }).click();
  const table = page.getByRole('table', { name: 'Result' });
  const kinds = async () => table.locator('tbody tr td:first-child').allTextContents();
  const { rows } = await api('POST', '/v1/sql', { sql: BY_KIND });
  assert.deepEqual(await kinds(), rows.map((row) => row.kind));
  assert.match(await summary.textContent(), new RegExp(`^${rows.length} rows · \\d`));
  // Typed, completed and run by keys alone.
  const editor = page.getByRole('textbox', { name: 'SQL statement' });
  const type = async (sql) => {
    await editor.click();
    await page.keyboard.press('Control+A');
    await page.keyboard.type(sql);
    await page.keyboard.press('Escape');
  };
  await type('SELECT 1 AS one, NULL AS nothing, TRUE AS sure');
  await page.keyboard.press('Control+Enter');
  await table.getByRole('columnheader', { name: 'one' }).waitFor();
  assert.deepEqual(await table.locator('tbody td').allTextContents(), ['1', 'null', 'true']);
  assert.match(page.url(), /q=SELECT\+1\+AS\+one/);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Run', 'Tab does not leave the editor');
  await type('SELECT * FROM quaran');
  await page.keyboard.press('Control+Space');
  await page.locator('.cm-tooltip-autocomplete').getByText('quarantine').waitFor();
  await page.keyboard.press('Escape');
  // What is wrong is said; on a page of its own, since the browser itself says on the console that it got a 422.
  const wrong = await page.context().newPage();
  await wrong.goto(`${base}/#/sql?q=SELEC+1`);
  await wrong.getByRole('alert').getByText('syntax error').waitFor();
  await wrong.close();
  // Many rows are said to be more than are shown, and more than were asked for.
  await type('SELECT range AS n FROM range(20000)');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('There are more rows than the 10,000').waitFor();
  await page.getByText('The first 500 are shown').waitFor();
  assert.equal(await table.locator('tbody tr').count(), 500);
  assert.equal(await page.getByRole('alert').count(), 0);
  // Files hold all.
  for (const [name, magic] of [['CSV', 'n'], ['Arrow', ''], ['Parquet', 'PAR1']]) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
    const bytes = readFileSync(await download.path());
    assert.equal(download.suggestedFilename(), `Footfall.${name.toLowerCase()}`);
    assert.ok(bytes.toString().replace('\ufeff', '').startsWith(magic), `${name} begins with ${bytes.subarray(0, 8)}`);
    if (name === 'CSV') assert.equal(bytes.toString().trim().split('\n').length, 20_001);
  }
  // A long one is stopped.
  await type('SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3');
  await page.keyboard.press('Control+Enter');
  await page.getByText(/Running for/).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped.').waitFor();
  // The schema: found, and written where the cursor is.
  await type('SELECT * FROM ');
  await page.getByLabel('Find a view or column').fill('dwell_s');
  const columns = page.locator('.schema details li');
  await columns.first().waitFor();
  assert.ok((await columns.allTextContents()).every((text) => text.includes('dwell')));
  await page.getByLabel('Find a view or column').fill('sites');
  await page.getByRole('button', { name: 'Insert sites' }).click();
  await page.keyboard.press('Control+Enter');
  const { sites } = await api('GET', '/v1/sites');
  await table.getByText(sites[0].site_id).waitFor();
  await page.getByLabel('Find a view or column').fill('');
  // Each example is answered.
  const examples = page.getByLabel('Examples');
  const names = (await examples.locator('option').allTextContents()).slice(1);
  assert.ok(names.length > 3);
  for (const name of names) {
    await examples.selectOption({ label: name });
    const before = page.waitForResponse((response) => response.url().includes('/v1/sql'));
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    assert.equal((await before).status(), 200, name);
    await page.getByRole('button', { name: 'Run', exact: true }).and(page.locator(':enabled')).waitFor();
  }
  // What was asked is kept, over a reload, and asked again.
  const asked = page.getByRole('listitem').filter({ hasText: 'range(20000)' }).getByRole('button');
  await asked.waitFor();
  await page.reload();
  await asked.click();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('There are more rows than the 10,000').waitFor();
  // Times make lines, by kind.
  await examples.selectOption({ label: 'Clients per hour and kind' });
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('button', { name: 'Chart' }).click();
  await page.getByRole('img', { name: 'clients by hour' }).waitFor();
  assert.equal(await page.getByLabel('A line each').inputValue(), 'kind');
  await page.getByLabel('Across').selectOption('kind');
  await page.getByRole('img', { name: 'clients by kind' }).waitFor();
  assert.match(page.url(), /x=kind/);
  await page.goto(link);
  await page.getByRole('img', { name: 'visits by kind' }).waitFor();
  await page.waitForTimeout(800);
}
