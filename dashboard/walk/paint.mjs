// How soon the page is painted, and how much script that takes: opens it anew in a browser with nothing kept, against the real
// server with the demo, and prints the medians.
//
//     node walk/paint.mjs PATH_TO_FOOTFALL [TIMES]

import { launch, startDemo } from './harness.mjs';

const [program, times = '7'] = process.argv.slice(2);
const demo = await startDemo(program, 0);
const browser = await launch();
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

const paints = [];
const scripts = [];
for (let n = 0; n < Number(times); n++) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  const page = await context.newPage();
  await page.goto(demo.base);
  await page.locator('.plan canvas').first().waitFor();
  const found = await page.evaluate(() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    bytes: performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js')).reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
  }));
  paints.push(found.paint);
  scripts.push(found.bytes);
  await context.close();
}
console.log(`first contentful paint: median ${Math.round(median(paints))} ms, worst ${Math.round(Math.max(...paints))} ms of ${times}`);
console.log(`script before charts: ${Math.round(median(scripts) / 1000)} kB as sent`);
await browser.close();
await demo.stop();
