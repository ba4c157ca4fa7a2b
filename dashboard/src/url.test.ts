import { beforeAll, expect, test, vi } from 'vitest';

let url: typeof import('./url');

beforeAll(async () => {
  vi.stubGlobal('location', { hash: '' });
  vi.stubGlobal('addEventListener', () => undefined);
  url = await import('./url');
});

test('a view and its parameters come back from the address', () => {
  const place = { view: 'history', params: { site: 'a b', area: 'x&y=z', range: '7d' } };
  expect(url.read(url.write(place))).toEqual(place);
});

test('nothing is the live view, and empty parameters are left out', () => {
  expect(url.read('')).toEqual({ view: 'live', params: {} });
  expect(url.read('#/')).toEqual({ view: 'live', params: {} });
  expect(url.write({ view: 'sql', params: { site: '', q: 'SELECT 1' } })).toBe('#/sql?q=SELECT+1');
});
