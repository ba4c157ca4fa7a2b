import { expect, test, vi } from 'vitest';
import { type Recording, countAt, fullest, placesAt } from './recording';

vi.mock('../../api', () => ({ client: {}, told: () => undefined }));

const nowhere = Number.NaN;

function recording(at: number[], left: number[] = at.map(() => nowhere)): Recording {
  const tracks = [{ client_id: 'a', kind: 'wifi', at: at.map((s) => s * 1000), x: at.map((_, i) => i * 10), y: at.map(() => 0), left: left.map((s) => s * 1000) }];
  return { from: 0, to: 3_600_000, tracks, visits: new Map(), cutAt: undefined };
}

const xAt = (told: Recording, second: number) => placesAt(told, 'floor', second * 1000).map((one) => one.x_m);

test('between two fixes a client is on its way', () => {
  const told = recording([100, 200]);
  expect(xAt(told, 99)).toEqual([]);
  expect(xAt(told, 100)).toEqual([0]);
  expect(xAt(told, 150)).toEqual([5]);
  expect(xAt(told, 200)).toEqual([10]);
});

test('fixes further apart than two minutes are not joined, and silence of five minutes ends it', () => {
  const told = recording([0, 121]);
  expect(xAt(told, 60)).toEqual([0]);
  expect(xAt(told, 421)).toEqual([10]);
  expect(xAt(told, 422)).toEqual([]);
});

test('who is located on another floor is gone from this, and does not glide back', () => {
  const told = recording([0, 100], [50, nowhere]);
  expect(xAt(told, 49)).toEqual([0]);
  expect(xAt(told, 50)).toEqual([]);
  expect(xAt(told, 99)).toEqual([]);
  expect(xAt(told, 100)).toEqual([10]);
});

test('a visit counts from its beginning up to, but not at, its end', () => {
  const visits = new Map([['zone/z', [{ from: 10, to: 20 }, { from: 20, to: Number.POSITIVE_INFINITY }, { from: 15, to: 30 }]]]);
  const told = { ...recording([]), visits };
  expect([9, 10, 15, 20, 30].map((at) => countAt(told, 'zone/z', at))).toEqual([0, 1, 2, 2, 1]);
  expect(countAt(told, 'zone/other', 15)).toBe(0);
  expect(fullest(told, ['zone/z'])).toBe(2);
});
