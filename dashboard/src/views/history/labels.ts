// Words of charts: numbers, instants in the site's zone, axes of time.

import { zone } from '../../state';
import { strings } from '../../strings';
import { clock, dateAndTime, duration, partsOf } from '../../time';

const words = strings.history;

/// A figure; none where the server withholds it.
export type Figure = number | null | undefined;

const told = (n: Figure, write: (n: number) => string) => (n == null ? '–' : write(n));

export const whole = (n: Figure) => told(n, (n) => Math.round(n).toLocaleString('en'));
/// One decimal where that says more.
export const rounded = (n: Figure) => told(n, (n) => n.toLocaleString('en', { maximumFractionDigits: n < 100 ? 1 : 0 }));
export const percent = (share: Figure) => told(share, (share) => `${(share * 100).toLocaleString('en', { maximumFractionDigits: Math.abs(share) < 0.1 ? 1 : 0 })} %`);
/// For tables: no more digits than mean something.
export const tenth = (n: Figure) => (n == null ? '–' : Math.round(n * 10) / 10);
/// A part of a whole.
export const share = (part: Figure, whole: Figure) => (part == null || !whole ? undefined : part / whole);

/// A length of time, to the second where that is not much of it.
export function length(seconds: Figure): string {
  if (seconds == null) return '–';
  const s = Math.round(seconds);
  if (s < 60 || s >= 600) return duration(s);
  return s % 60 === 0 ? `${s / 60} min` : `${Math.floor(s / 60)} min ${s % 60} s`;
}

export const moment = (at: string | number) => dateAndTime(typeof at === 'number' ? at : Date.parse(at), zone.value);

const days = new Map<string, Intl.DateTimeFormat>();

/// Mon 23 Nov
export function dayName(at: number): string {
  let found = days.get(zone.value);
  if (!found) days.set(zone.value, (found = new Intl.DateTimeFormat('en-GB', { timeZone: zone.value, weekday: 'short', day: 'numeric', month: 'short' })));
  return found.format(at).replace(',', '');
}

/// A stretch: its day, and its hours where it is shorter than one.
export function stretch(from: number, to: number): string {
  if (to - from > 20 * 3_600_000) return dayName(from);
  return `${dayName(from)}, ${clock(from, zone.value)} – ${clock(to, zone.value)}`;
}

/// Minutes between labels, on round times of the clock.
const STEPS_MIN = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 40_320];
const LABELS_MAX = 12;

/// Labels of an axis whose places are buckets that begin at these instants; empty where there is none.
export function axisLabels(starts: number[], end: number): string[] {
  const first = starts[0];
  if (first === undefined) return [];
  const step = STEPS_MIN.find((one) => (end - first) / 60_000 / one <= LABELS_MAX) ?? 40_320;
  let day = -1;
  return starts.map((at) => {
    const { hour, minute } = partsOf(at, zone.value);
    const minutes = hour * 60 + minute;
    if (step >= 1440) {
      if (minutes !== 0) return '';
      day += 1;
      return day % (step / 1440) === 0 ? dayName(at) : '';
    }
    if (minutes % step !== 0) return '';
    return minutes === 0 ? dayName(at) : clock(at, zone.value);
  });
}

/// What hangs over a chart: a title, and lines of names and values. Elements, so that names are text whatever is in them.
export function tip(title: string, lines: [name: string, value: string][]): HTMLElement {
  const box = document.createElement('div');
  box.className = 'tip';
  const head = document.createElement('strong');
  head.textContent = title;
  box.append(head);
  for (const [name, value] of lines) {
    const line = document.createElement('div');
    const [left, right] = [document.createElement('span'), document.createElement('span')];
    left.textContent = name;
    right.textContent = value;
    line.append(left, right);
    box.append(line);
  }
  return box;
}

/// A change against before, in words.
export function change(now: Figure, before: Figure, shown: (n: number) => string): string | undefined {
  if (now == null || before == null) return undefined;
  if (before === 0) return now === 0 ? words.same(shown(before)) : words.changeFromNone(shown(before));
  const share = (now - before) / before;
  if (Math.abs(share) < 0.0005) return words.same(shown(before));
  return words.change(`${share > 0 ? '+' : '−'}${percent(Math.abs(share))}`, shown(before));
}
