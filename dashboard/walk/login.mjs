// Logging in: a server with a user shows nothing to strangers, tells what is wrong, lets in, and lets go.

import assert from 'node:assert/strict';
import { assertAccessible, startEmpty } from './harness.mjs';

const USER = { password: 'correct horse', scopes: ['admin'] };

export default async function walk({ page, program }) {
  const server = await startEmpty(program);
  const put = await fetch(`${server.base}/v1/users/ann`, { method: 'PUT', body: JSON.stringify(USER) });
  assert.equal(put.status, 200);
  try {
    await page.goto(`${server.base}/`);
    const form = page.getByRole('form', { name: 'Log in' });
    await form.waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'username');
    await assertAccessible(page, 'the login');
    await form.getByLabel('Name').fill('ann');
    await form.getByLabel('Password').fill('wrong horse');
    await page.keyboard.press('Enter');
    await form.getByText('the name or the password is wrong').waitFor();
    await form.getByLabel('Password').fill(USER.password);
    await form.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('1 of 6 steps done').waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await form.waitFor();
    // The cookie is gone, and would be worth nothing.
    assert.equal((await page.context().cookies()).length, 0);
    assert.equal(await page.evaluate(async () => (await fetch('/v1/sites')).status), 401);
  } finally {
    await server.stop();
  }
}
