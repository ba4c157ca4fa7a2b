// Alerts: a rule is tried, made, and fires on the page; it is acknowledged, silenced and deleted. An endpoint is made, tested
// and looked after.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';

export default async function walk({ page, base, api, isWhole }) {
  await page.goto(`${base}/#/alerts`);
  await page.reload();
  await page.getByRole('heading', { name: 'Firing now' }).waitFor();
  await page.getByRole('table', { name: 'History' }).waitFor();
  if (!isWhole) return;
  await history(page, api);
  await rule(page, api);
  await offer(page, api);
  await endpoint(page, api);
  await page.goto(`${base}/#/alerts`);
  await page.getByRole('table', { name: 'History' }).waitFor();
}

async function history(page, api) {
  const { sites } = await api('GET', '/v1/sites');
  const found = await api('GET', `/v1/alerts?site=${sites[0].site_id}&severity=warning&limit=50`);
  await page.getByLabel('Severity').selectOption('warning');
  assert.match(page.url(), /severity=warning/);
  const rows = page.getByRole('table', { name: 'History' }).locator('tbody tr');
  await page.waitForFunction((n) => document.querySelectorAll('table tbody tr').length === n, found.alerts.length);
  assert.equal(await rows.count(), found.alerts.length);
  await page.getByLabel('Severity').selectOption('');
  await page.getByLabel('State').selectOption('resolved');
  assert.match(page.url(), /state=resolved/);
  await page.getByLabel('State').selectOption('');
}

async function rule(page, api) {
  const tabs = page.getByRole('navigation', { name: 'Parts of alerts' });
  await tabs.getByRole('link', { name: 'Rules' }).click();
  // A zone that has somebody in it.
  const { areas } = await api('GET', '/v1/occupancy?area_kind=zone');
  const { sites } = await api('GET', '/v1/sites');
  const zone = areas.filter((one) => one.site_id === sites[0].site_id).sort((a, b) => b.current - a.current)[0];
  assert.ok(zone.current > 0, 'nobody is in a zone');
  await page.getByRole('button', { name: 'New rule' }).click();
  const dialog = page.getByRole('dialog', { name: 'New rule' });
  await dialog.getByLabel('Name', { exact: true }).fill('Walked into');
  await dialog.getByRole('combobox', { name: 'Area', exact: true }).selectOption(`zone/${zone.area_id}`);
  await dialog.getByRole('spinbutton', { name: 'Clients' }).fill('0');
  await dialog.getByLabel('For at least (seconds)').fill('0');
  await dialog.getByRole('combobox', { name: 'Severity' }).selectOption('critical');
  await dialog.getByLabel('What to tell people').fill('Somebody is there');
  await dialog.getByLabel('Only at set times of the week').check();
  await dialog.getByRole('button', { name: 'Add times' }).click();
  await dialog.getByRole('group', { name: 'Times 2' }).getByLabel('To').fill('25:00');
  await dialog.getByRole('button', { name: 'Save' }).click();
  assert.equal(await dialog.isVisible(), true, 'there is no 25:00');
  await dialog.getByLabel('Only at set times of the week').uncheck();
  // Silence is noticed of whole floors and sites only.
  await dialog.getByRole('combobox', { name: 'Fires when' }).selectOption('no_data');
  assert.deepEqual(await dialog.getByRole('combobox', { name: 'Watches' }).locator('option').allTextContents(), ['a whole floor', 'the whole site']);
  await dialog.getByRole('combobox', { name: 'Fires when' }).selectOption('above');
  await dialog.getByRole('combobox', { name: 'Watches' }).selectOption('area');
  // What it would have done.
  await dialog.getByRole('button', { name: 'Try on the last 7 days' }).click();
  await dialog.getByText(/It would have fired (once|[\d,]+ times)/).waitFor({ timeout: 60_000 });
  await dialog.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('row').filter({ hasText: 'Walked into' });
  await row.getByText('more than 0 clients').waitFor();
  const { alert_rules } = await api('GET', '/v1/alert-rules');
  const made = alert_rules.find((one) => one.name === 'Walked into');
  assert.deepEqual([made.area_id, made.condition, made.limit_clients, made.severity], [zone.area_id, 'above', 0, 'critical']);
  // It fires, and the page says so by itself.
  await tabs.getByRole('link', { name: 'Now and history' }).click();
  const firing = page.locator('.firing > li').filter({ hasText: 'Walked into' });
  await firing.waitFor({ timeout: 60_000 });
  await firing.getByText('Somebody is there').waitFor();
  await firing.getByRole('button', { name: 'Acknowledge: Walked into' }).click();
  const acknowledging = page.getByRole('dialog', { name: 'Acknowledge: Walked into' });
  await acknowledging.getByLabel('Your name').fill('Night shift');
  await acknowledging.getByLabel('Note').fill('On my way');
  await acknowledging.getByRole('button', { name: 'Acknowledge' }).click();
  await firing.getByText(/Acknowledged by Night shift.*On my way/).waitFor();
  const { alerts } = await api('GET', `/v1/alerts?rule=${made.rule_id}&limit=10`);
  assert.ok(alerts.some((one) => one.acknowledged_by === 'Night shift' && one.acknowledged_note === 'On my way'));
  await firing.getByRole('button', { name: 'Silence: Walked into' }).click();
  const silencing = page.getByRole('dialog', { name: 'Silence: Walked into' });
  await silencing.getByLabel('For how long').selectOption('28800');
  await silencing.getByLabel('Reason').fill('Fire drill');
  await silencing.getByRole('button', { name: 'Silence' }).click();
  await firing.getByText('Silenced').waitFor();
  const { silences } = await api('GET', '/v1/silences');
  assert.ok(silences.some((one) => one.reason === 'Fire drill' && one.rule_id === made.rule_id && one.by === 'Night shift'));
  // The silence is ended, the rule switched off, and deleted.
  await tabs.getByRole('link', { name: 'Silences' }).click();
  await page.getByRole('button', { name: /End now: rule “Walked into”/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End now' }).click();
  await page.getByText('Nothing is silenced at this site.').waitFor();
  await tabs.getByRole('link', { name: 'Rules' }).click();
  await page.getByRole('button', { name: 'Disable: Walked into' }).click();
  await page.getByRole('button', { name: 'Enable: Walked into' }).waitFor();
  await page.getByRole('button', { name: 'Delete: Walked into' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await row.waitFor({ state: 'detached' });
  const after = await api('GET', '/v1/alert-rules');
  assert.ok(!after.alert_rules.some((one) => one.name === 'Walked into'));
}

/// A limit that came with the plan offers its rule again, once that is gone.
async function offer(page, api) {
  const { alert_rules } = await api('GET', '/v1/alert-rules');
  const rule = alert_rules.find((one) => one.name === 'More than 12 in Break room');
  await api('DELETE', `/v1/alert-rules/${rule.rule_id}`);
  await page.reload();
  await page.getByRole('button', { name: `Make this rule: ${rule.name}` }).click();
  await page.getByRole('row').filter({ hasText: rule.name }).waitFor();
  const after = await api('GET', '/v1/alert-rules');
  assert.ok(after.alert_rules.some((one) => one.area_id === rule.area_id && one.limit_clients === 12));
  assert.deepEqual(after.offers, []);
}

async function endpoint(page, api) {
  // A receiver of our own; it takes what comes.
  const heard = [];
  const receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => (body += data));
    request.on('end', () => {
      heard.push({ headers: request.headers, body: JSON.parse(body) });
      response.end('thanks');
    });
  });
  await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  try {
    await page.getByRole('navigation', { name: 'Parts of alerts' }).getByRole('link', { name: 'Endpoints' }).click();
    await page.getByRole('button', { name: 'New endpoint' }).click();
    const form = page.getByRole('dialog', { name: 'New endpoint' });
    await form.getByLabel('Name', { exact: true }).fill('Walk');
    await form.getByLabel('URL').fill(`http://127.0.0.1:${receiver.address().port}/hook`);
    await form.getByRole('button', { name: 'Add a header' }).click();
    await form.getByLabel('Header 1: name').fill('X-Walk');
    await form.getByLabel('Header 1: value').fill('yes');
    await form.getByText('Which alerts it is told of').click();
    await form.getByLabel('Critical').check();
    await form.getByRole('button', { name: 'Save' }).click();
    // The secret is shown once.
    const told = page.getByRole('dialog', { name: 'The secret of this endpoint' });
    assert.match(await told.locator('code').textContent(), /^whsec_/);
    await told.getByRole('button', { name: 'Close' }).click();
    const made = (await api('GET', '/v1/callbacks')).callbacks.find((one) => one.name === 'Walk');
    assert.deepEqual([made.format, made.header_names.map((name) => name.toLowerCase()), made.filter.severities], ['footfall', ['x-walk'], ['critical']]);
    // It hears a test.
    await page.getByRole('button', { name: 'Test: Walk' }).click();
    await page.getByText(/The test arrived: answered 200/).waitFor();
    // The demo's own critical alerts may come between.
    const tests = heard.filter((one) => one.body.type === 'test');
    assert.equal(tests.length, 1);
    assert.equal(tests[0].headers['x-walk'], 'yes');
    await page.getByRole('button', { name: 'Deliveries: Walk' }).click();
    const deliveries = page.getByRole('dialog', { name: 'Deliveries to Walk' });
    await deliveries.getByRole('row').filter({ hasText: 'Test' }).getByText('Delivered').waitFor();
    await deliveries.getByRole('button', { name: /Attempts of delivery/ }).click();
    await deliveries.getByText('thanks').waitFor();
    await deliveries.getByRole('button', { name: 'Close' }).click();
    // It hears of an alert, and once more when asked to.
    const { areas } = await api('GET', '/v1/occupancy?area_kind=zone');
    const zone = areas.sort((a, b) => b.current - a.current)[0];
    const { rule_id } = await api('POST', '/v1/alert-rules', { name: 'Walked into', area_id: zone.area_id, area_kind: 'zone', condition: 'above', limit_clients: 0, severity: 'critical' });
    await page.getByRole('button', { name: 'Deliveries: Walk' }).click();
    await deliveries.getByRole('row').filter({ hasText: 'Alert fires' }).getByText('Delivered').first().waitFor({ timeout: 60_000 });
    assert.ok(heard.some((one) => one.body.type === 'alert.firing'));
    const before = heard.length;
    await deliveries.getByRole('button', { name: /Send again: delivery/ }).first().click();
    await deliveries.getByText('1 is sent again.').waitFor();
    for (let tries = 0; heard.length <= before && tries < 100; tries++) await page.waitForTimeout(100);
    assert.ok(heard.length > before, 'it was not sent again');
    await api('DELETE', `/v1/alert-rules/${rule_id}`);
    await deliveries.getByRole('button', { name: 'Close' }).click();
    // One that nobody answers is said to be down.
    receiver.closeAllConnections();
    await new Promise((resolve) => receiver.close(resolve));
    await page.getByRole('button', { name: 'Test: Walk' }).click();
    await page.getByText(/The test did not arrive/).waitFor();
    await page.getByRole('button', { name: 'Delete: Walk' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('Test: Walk').waitFor({ state: 'detached' });
    await page.getByRole('listitem', { name: 'Walk' }).waitFor({ state: 'detached' });
    assert.ok(!(await api('GET', '/v1/callbacks')).callbacks.some((one) => one.name === 'Walk'));
  } finally {
    receiver.close();
  }
}
