import { describe, expect, test } from 'vitest';
import { DAY, HOUR, dayStart, duration, instantOf, partsOf, rangeOf } from './time';

const at = (text: string) => Date.parse(text);

describe('instants of a zone', () => {
  test.each([
    ['Europe/Zurich', [2026, 7, 1, 8, 30], '2026-07-01T06:30:00Z'],
    ['America/New_York', [2026, 1, 1, 0, 0], '2026-01-01T05:00:00Z'],
    ['Asia/Kolkata', [2026, 1, 1, 0, 0], '2025-12-31T18:30:00Z'],
    // Skipped: as far behind the change as the clocks say.
    ['Europe/Zurich', [2026, 3, 29, 2, 30], '2026-03-29T01:30:00Z'],
    // Twice: the first.
    ['Europe/Zurich', [2026, 10, 25, 2, 30], '2026-10-25T00:30:00Z'],
    ['America/New_York', [2026, 11, 1, 1, 30], '2026-11-01T05:30:00Z'],
    // Half an hour.
    ['Australia/Lord_Howe', [2026, 10, 4, 12, 0], '2026-10-04T01:00:00Z'],
  ] as const)('%s %j', (zone, [year, month, day, hour, minute], expected) => {
    expect(new Date(instantOf(zone, year, month, day, hour, minute)).toISOString()).toBe(new Date(expected).toISOString());
  });

  test('clocks show what was asked for, at every hour of a year but those skipped', () => {
    for (const zone of ['Europe/Zurich', 'America/New_York', 'Australia/Lord_Howe', 'UTC']) {
      for (let day = 1; day <= 365; day += 3) {
        const wall = new Date(Date.UTC(2026, 0, day, (day * 7) % 24));
        const found = partsOf(instantOf(zone, 2026, wall.getUTCMonth() + 1, wall.getUTCDate(), wall.getUTCHours()), zone);
        expect([found.month, found.day, found.hour], `${zone} ${wall.toISOString()}`).toEqual([wall.getUTCMonth() + 1, wall.getUTCDate(), wall.getUTCHours()]);
      }
    }
  });
});

test('days begin at midnight, also those of 23 and 25 hours', () => {
  const zone = 'Europe/Zurich';
  expect(dayStart(at('2026-03-29T12:00:00Z'), zone)).toBe(at('2026-03-28T23:00:00Z'));
  expect(dayStart(at('2026-03-29T12:00:00Z'), zone, 1) - dayStart(at('2026-03-29T12:00:00Z'), zone)).toBe(23 * HOUR);
  expect(dayStart(at('2026-10-25T12:00:00Z'), zone, 1) - dayStart(at('2026-10-25T12:00:00Z'), zone)).toBe(25 * HOUR);
  expect(dayStart(at('2026-01-01T12:00:00Z'), zone, -1)).toBe(at('2025-12-30T23:00:00Z'));
});

test('ranges have names', () => {
  const now = at('2026-07-15T10:20:00Z');
  expect(rangeOf('24h', 'UTC', now)).toEqual({ from: now - DAY, to: now });
  expect(rangeOf('yesterday', 'Europe/Zurich', now)).toEqual({ from: at('2026-07-13T22:00:00Z'), to: at('2026-07-14T22:00:00Z') });
  expect(rangeOf('7d', 'UTC', now)).toEqual({ from: at('2026-07-09T00:00:00Z'), to: now });
  expect(rangeOf('custom', 'UTC', now, { from: 1, to: 2 })).toEqual({ from: 1, to: 2 });
});

test('lengths of time in words', () => {
  expect([0, 45, 89.6, 720, 5399, 5400, 12_000, 86_399, 187_200, 172_800].map(duration)).toEqual([
    '0 s', '45 s', '2 min', '12 min', '90 min', '1 h 30 min', '3 h 20 min', '24 h', '2 d 4 h', '2 d',
  ]);
});
