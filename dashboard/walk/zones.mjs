// Zones: one is drawn with the pointer, snaps, gets a hole, is undone and done again, asked "what if", saved, its past rebuilt
// and read, changed by keyboard, deleted. A file is imported after a look; a floor gets its image and its scale.

import assert from 'node:assert/strict';

/// Pixels of the page at which a point of the floor is shown, while the whole floor is.
async function pixels(page, floor) {
  const box = await page.locator('.plan .canvas').boundingBox();
  const resolution = Math.max(floor.width_m / (box.width - 32), floor.height_m / (box.height - 32));
  return (x_m, y_m) => [box.x + box.width / 2 + (x_m - floor.width_m / 2) / resolution, box.y + box.height / 2 + (y_m - floor.height_m / 2) / resolution];
}

export default async function walk({ page, base, api, isWhole }) {
  const { maps } = await api('GET', '/v1/maps');
  const floor = maps.find((one) => one.name === 'Ground floor');
  await page.goto(`${base}/#/zones?map=${floor.map_id}`);
  await page.reload();
  const list = page.getByRole('table', { name: 'Zones' });
  await list.waitFor();
  if (!isWhole) {
    // The form, for its picture and its contrasts.
    await list.getByRole('button').first().click();
    await page.getByText(/^Corners/).click();
    return page.waitForTimeout(500);
  }
  const zones = async () => (await api('GET', `/v1/areas?map=${floor.map_id}&kind=zone`)).areas.filter((area) => area.is_mapped);
  const before = await zones();
  assert.equal(await list.locator('tbody tr').count(), before.length);
  const at = await pixels(page, floor);
  const click = async (...corner) => page.mouse.click(...at(...corner));

  // Drawn: four corners, the first of them near a corner of another zone, to which it snaps.
  const [near] = before.map((area) => area.shape.rings[0]).flat().filter(([x, y]) => x > 4 && y > 4 && x < floor.width_m - 12 && y < floor.height_m - 12);
  const [x, y] = near;
  await page.getByRole('button', { name: 'New zone' }).click();
  await page.getByText('Click each corner').waitFor();
  await click(x + 0.15, y - 0.1);
  for (const corner of [[x + 8.3, y + 0.4], [x + 8.3, y + 8.6], [x + 0.4, y + 8.6], [x + 0.02, y + 0.02]]) {
    await page.waitForTimeout(300); // A second click soon after the first would be a double one.
    await click(...corner);
  }
  await page.getByText('It has').waitFor();
  await page.getByText('Corners (4)').click();
  const corner = (n, axis, ring = 'Outline') => page.getByLabel(`${ring}, corner ${n}: metres ${axis}`, { exact: true });
  assert.deepEqual([Number(await corner(1, 'to the right').inputValue()), Number(await corner(1, 'down').inputValue())], [x, y], 'it did not snap');

  // A hole, undone and done again.
  await page.waitForTimeout(300);
  await page.getByRole('button', { name: 'Cut a hole' }).click();
  await page.getByText('Click the corners of the hole').waitFor();
  await page.waitForTimeout(300);
  for (const [dx, dy] of [[3, 3], [5, 3], [5, 5]]) {
    await click(x + dx, y + dy);
    await page.waitForTimeout(300);
  }
  await click(x + 3, y + 3);
  await page.getByText('Corners (7)').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByText('Corners (4)').waitFor();
  await page.getByRole('button', { name: 'Redo' }).click();
  await page.getByText('Corners (7)').waitFor();

  // A corner is dragged, and that taken back by the keys.
  await page.mouse.move(...at(x + 8.3, y + 8.6));
  await page.mouse.down();
  await page.mouse.move(...at(x + 9, y + 9), { steps: 4 });
  await page.mouse.move(...at(x + 9.6, y + 9.4), { steps: 4 });
  await page.mouse.up();
  const third = async () => Number(await corner(3, 'to the right').inputValue());
  await page.waitForFunction((old) => Number(document.querySelectorAll('.corners tbody tr')[2].querySelector('input').value) > old, x + 9);
  await page.locator('.plan .canvas').focus();
  await page.keyboard.press('Control+z');
  await page.waitForFunction((old) => Number(document.querySelectorAll('.corners tbody tr')[2].querySelector('input').value) < old, x + 9);
  assert.ok(Math.abs((await third()) - (x + 8.3)) < 0.3);

  // What would it have counted?
  await page.getByRole('button', { name: 'What if …' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Count' }).click();
  await page.getByRole('img', { name: /^Clients in it\. At most/ }).waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();

  // Saved, with what the server then has.
  await page.getByLabel('Name', { exact: true }).fill('Walked zone');
  await page.getByLabel('Tags').fill('walked, test');
  await page.getByLabel('Limit').fill('7');
  await page.getByRole('button', { name: 'Save' }).click();
  const offer = page.getByRole('region', { name: 'Rebuild the past' });
  await offer.waitFor();
  const stored = async () => (await zones()).find((area) => area.name === 'Walked zone');
  const saved = await stored();
  assert.deepEqual([saved.tags, saved.occupancy_limit, saved.shape.rings.length], [['walked', 'test'], 7, 2]);
  assert.deepEqual(saved.shape.rings[0][0], [x, y]);

  // Its past, rebuilt, is read.
  const visits = async () => (await api('GET', `/v1/dwell?area=${saved.area_id}&from=-24h`)).count;
  assert.ok((await visits()) < 5);
  await offer.getByRole('button', { name: 'Rebuild' }).click();
  await offer.getByText(/^Done: /).waitFor({ timeout: 60_000 });
  assert.ok((await visits()) > 20, 'the past was not counted');
  await offer.getByRole('link', { name: 'See its past' }).click();
  await page.getByRole('img', { name: /Occupancy\./ }).first().waitFor();
  assert.match(page.url(), new RegExp(`#/history.*area=${saved.area_id}`));

  // Chosen on the plan, and changed by keyboard alone.
  await page.goto(`${base}/#/zones?map=${floor.map_id}`);
  await list.waitFor();
  await page.waitForTimeout(500);
  await click(x + 6.8, y + 6.8);
  await page.getByRole('heading', { name: 'Edit Walked zone' }).waitFor();
  await page.getByText('Corners (7)').click();
  await corner(3, 'down').fill(String(y + 9.5));
  await corner(3, 'down').press('Tab');
  await page.getByRole('button', { name: 'Outline: add a corner after 3' }).press('Enter');
  await page.getByRole('button', { name: 'Delete hole 1' }).press('Enter');
  await page.getByText('Corners (5)').waitFor();
  // An outline that crosses itself is refused in words; nothing is lost.
  await corner(5, 'down').fill(String(y - 4));
  await corner(5, 'to the right').fill(String(x + 9));
  await corner(5, 'to the right').press('Tab');
  await page.getByRole('button', { name: 'Save' }).press('Enter');
  await page.getByRole('alert').getByText('the polygon is not valid').waitFor();
  await page.getByRole('button', { name: 'Undo' }).press('Enter');
  await page.getByRole('button', { name: 'Undo' }).press('Enter');
  await page.getByRole('button', { name: 'Save' }).press('Enter');
  await offer.getByRole('button', { name: 'Not now' }).click();
  const changed = await stored();
  assert.deepEqual([changed.shape.rings.length, changed.shape.rings[0].length, changed.version], [1, 6, saved.version + 1], 'five corners, the first again');
  assert.equal(changed.shape.rings[0][2][1], y + 9.5);

  // What is not saved is asked about.
  await page.getByRole('button', { name: 'Edit Walked zone' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Nothing');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Discard' }).click();
  await page.getByRole('button', { name: 'Edit Walked zone' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await list.waitFor();
  assert.equal(await stored(), undefined);

  // A file: first what is wrong, then what it would change, then the change.
  const feature = (id, coordinates) => ({ type: 'Feature', id, properties: { name: 'Imported nook' }, geometry: { type: 'Polygon', coordinates } });
  const file = (coordinates) => ({
    name: 'zones.geojson',
    mimeType: 'application/geo+json',
    buffer: Buffer.from(JSON.stringify({ type: 'FeatureCollection', units: 'metres', map_id: floor.map_id, features: [feature('a0000000-0000-4000-8000-00000000a001', coordinates)] })),
  });
  await page.getByRole('button', { name: 'Import …' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('File', { exact: true }).setInputFiles(file([[[1, 1], [3, 1], [1, 3], [3, 3], [1, 1]]]));
  await dialog.getByRole('button', { name: 'Show what it would change' }).click();
  await dialog.getByRole('alert').getByText('Imported nook').waitFor();
  await dialog.getByLabel('File', { exact: true }).setInputFiles(file([[[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]]));
  await dialog.getByRole('button', { name: 'Show what it would change' }).click();
  await dialog.getByText('1 new,').waitFor();
  await dialog.getByRole('button', { name: /^Import \d change/ }).click();
  await page.getByRole('button', { name: 'Edit Imported nook' }).waitFor();
  await api('DELETE', '/v1/areas/a0000000-0000-4000-8000-00000000a001');

  // A floor of its own: image, then scale by two points.
  const png = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [400, 200];
    const context = canvas.getContext('2d');
    context.strokeRect(20, 20, 360, 160);
    return canvas.toDataURL('image/png').split(',')[1];
  });
  const image = { name: 'annexe.png', mimeType: 'image/png', buffer: Buffer.from(png, 'base64') };
  await page.getByRole('button', { name: 'Add a floor …' }).click();
  await dialog.getByLabel('Name').fill('Walked annexe');
  await dialog.getByLabel('Image', { exact: true }).setInputFiles(image);
  await dialog.getByLabel('Width of the image, m').fill('20');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await page.getByText('No zones on this floor yet').waitFor();
  const annexe = async () => (await api('GET', '/v1/maps')).maps.find((one) => one.name === 'Walked annexe');
  assert.deepEqual(await annexe().then((one) => [one.width_m, one.height_m, one.ppm]), [20, 10, 20]);
  await page.getByRole('button', { name: 'Set the scale …' }).click();
  await page.waitForTimeout(500);
  const here = await pixels(page, { width_m: 20, height_m: 10 });
  await page.mouse.click(...here(1, 1));
  await page.waitForTimeout(300);
  await page.mouse.click(...here(19, 1));
  await page.getByText(/^1[78](\.\d+)? m as the scale is now/).waitFor();
  await page.getByLabel('First point, right m').fill('1');
  await page.getByLabel('Second point, right m').fill('19');
  await page.getByLabel('Second point, down m').fill('1');
  await page.getByLabel('First point, down m').fill('1');
  await page.getByLabel('Distance between them, m').fill('36');
  await page.getByRole('button', { name: 'Set the scale', exact: true }).click();
  await page.getByText('No zones on this floor yet').waitFor();
  assert.deepEqual(await annexe().then((one) => [one.width_m, one.height_m, Math.round(one.ppm * 1000) / 1000]), [40, 20, 10]);
  await api('DELETE', `/v1/maps/${(await annexe()).map_id}`);
  await page.goto(`${base}/#/zones?map=${floor.map_id}`);
  await page.reload();
  await list.waitFor();
  await page.waitForTimeout(500);
}
