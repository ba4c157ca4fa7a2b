// Walks through the page in a real browser, against the real server with its demo crowd. Each view has a file beside this one;
// what it asserts, that nothing is said on the console, and that axe finds nothing, is the test. Pictures of each view, light
// and dark, go to dashboard/pictures.
//
//     node walk/walk.mjs PATH_TO_FOOTFALL [VIEW ...]

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiOf, assertAccessible, launch, newPage, startDemo } from './harness.mjs';

const VIEWS = ['live', 'history', 'zones', 'alerts', 'sql', 'setup', 'login'];
const pictures = join(dirname(fileURLToPath(import.meta.url)), '..', 'pictures');

/// A walk that is stuck fails, whatever it waits for.
const WALK_TIMEOUT_MS = 240_000;

function inTime(walk) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${WALK_TIMEOUT_MS / 1000} s`)), WALK_TIMEOUT_MS);
  });
  return Promise.race([walk, late]).finally(() => clearTimeout(timer));
}

async function main() {
  const [program, ...wanted] = process.argv.slice(2);
  assert.ok(program, 'node walk/walk.mjs PATH_TO_FOOTFALL [VIEW ...]');
  const views = wanted.length ? wanted : VIEWS;
  mkdirSync(pictures, { recursive: true });
  const demo = await startDemo(program);
  const browser = await launch();
  let failed = 0;
  for (const view of views) {
    const { default: walk } = await import(`./${view}.mjs`);
    for (const colorScheme of ['light', 'dark']) {
      const { page, faults, context } = await newPage(browser, { colorScheme });
      const since = Date.now();
      try {
        // The whole walk in the light; in the dark only the view, for its picture and its contrasts.
        await inTime(walk({ page, base: demo.base, api: apiOf(demo.base), isWhole: colorScheme === 'light', browser, program }));
        await assertAccessible(page, `${view}, ${colorScheme}`);
        assert.deepEqual(faults, [], `${view}, ${colorScheme}: the console`);
        await page.screenshot({ path: join(pictures, `${view}-${colorScheme}.png`) });
        console.log(`ok   ${view}, ${colorScheme} (${((Date.now() - since) / 1000).toFixed(1)} s)`);
      } catch (error) {
        failed += 1;
        console.log(`FAIL ${view}, ${colorScheme}: ${error.stack ?? error}\nconsole: ${faults.join('\n')}`);
        await page.screenshot({ path: join(pictures, `${view}-${colorScheme}-failed.png`) }).catch(() => undefined);
      }
      await context.close();
    }
  }
  await browser.close();
  await demo.stop();
  console.log(`${views.length * 2 - failed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

await main();
