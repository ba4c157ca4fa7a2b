// How smoothly 5,000 clients move: posts them to the real server, a fix each a second, and counts the frames that the page
// draws meanwhile. In headless Chromium with software rendering, unless CHROMIUM says otherwise.
//
//     node walk/frames.mjs PATH_TO_FOOTFALL [CLIENTS] [SECONDS]

import { createHmac } from 'node:crypto';
import { launch, newPage, startDemo } from './harness.mjs';

const [program, clients = '5000', seconds = '20'] = process.argv.slice(2);
const demo = await startDemo(program, 0);
const maps = await (await fetch(`${demo.base}/v1/maps`)).json();
const { map_id, site_id, width_m, height_m } = maps.maps[0];

const people = Array.from({ length: Number(clients) }, (_, n) => ({
  mac: (0x020000000000 + n).toString(16).padStart(12, '0'),
  x: Math.random() * width_m,
  y: Math.random() * height_m,
  way: Math.random() * 7,
}));

async function post() {
  const timestamp = Date.now() / 1000;
  const events = people.map((one) => {
    one.x = Math.min(width_m, Math.max(0, one.x + Math.cos(one.way)));
    one.y = Math.min(height_m, Math.max(0, one.y + Math.sin(one.way)));
    one.way += Math.random() - 0.5;
    return { map_id, site_id, mac: one.mac, type: 'wifi', x: one.x, y: one.y, timestamp };
  });
  const body = JSON.stringify({ topic: 'location', events });
  // The demo's own secret.
  const signature = createHmac('sha256', 'footfall-demo').update(body).digest('hex');
  const answer = await fetch(`${demo.base}/v1/webhooks/mist`, { method: 'POST', body, headers: { 'X-Mist-Signature-v2': signature } });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

const browser = await launch();
const { page } = await newPage(browser);
await page.goto(`${demo.base}/#/live?map=${map_id}`);
const timer = setInterval(() => void post().catch((error) => console.error(error)), 1000);
await page.waitForFunction((n) => Number(document.querySelector('[data-testid=clients-here] strong')?.textContent) >= n, Number(clients), { timeout: 60_000 });
await page.waitForTimeout(3000);
const drawn = await page.evaluate(async (seconds) => {
  const gaps = [];
  const end = performance.now() + seconds * 1000;
  for (let last = performance.now(); last < end; ) {
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  gaps.sort((a, b) => a - b);
  return { frames: gaps.length, median_ms: gaps[Math.floor(gaps.length / 2)], p95_ms: gaps[Math.floor(gaps.length * 0.95)] };
}, Number(seconds));
clearInterval(timer);
console.log(`${clients} clients, each moving once a second: ${(drawn.frames / Number(seconds)).toFixed(1)} frames/s; between frames ${drawn.median_ms.toFixed(1)} ms median, ${drawn.p95_ms.toFixed(1)} ms in 95 of 100`);
await page.screenshot({ path: 'pictures/frames.png' });
await browser.close();
await demo.stop();
