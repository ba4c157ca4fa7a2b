// The picker of a time range, kept in the address: `range`, and `from` and `to` when it is a custom one.

import { computed } from '@preact/signals';
import { zone } from '../state';
import { strings } from '../strings';
import { type Range, instantOf, partsOf, rangeOf, rfc3339 } from '../time';
import { param, setParams } from '../url';

/// The name of the chosen range.
export const rangeName = computed(() => param('range', '24h'));

/// What it means now. Named ranges move on: ask when the answer is used.
export function chosenRange(now = Date.now()): Range {
  const [from, to] = [Date.parse(param('from')), Date.parse(param('to'))];
  const custom = Number.isFinite(from) && Number.isFinite(to) && from < to ? { from, to } : undefined;
  return rangeOf(rangeName.value, zone.value, now, custom);
}

const pad = (n: number) => String(n).padStart(2, '0');

/// As an input of type datetime-local takes it.
export function local(at: number): string {
  const p = partsOf(at, zone.value);
  return `${p.year}-${pad(p.month)}-${pad(p.day)}T${pad(p.hour)}:${pad(p.minute)}`;
}

/// What such an input holds, as an instant; `undefined` where it holds none.
export function instant(text: string): number | undefined {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(text)?.slice(1).map(Number);
  if (!found) return undefined;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0] = found;
  return instantOf(zone.value, year, month, day, hour, minute);
}

export function RangePicker() {
  const { from, to } = chosenRange();
  const choose = (name: string) =>
    setParams(name === 'custom' ? { range: name, from: rfc3339(from), to: rfc3339(to) } : { range: name, from: '', to: '' }, true);
  const set = (which: 'from' | 'to') => (event: Event) => {
    const at = instant((event.target as HTMLInputElement).value);
    if (at !== undefined) setParams({ [which]: rfc3339(at) });
  };
  return (
    <fieldset class="range">
      <legend class="hidden">{strings.time.range}</legend>
      <label>
        <span>{strings.time.range}</span>
        <select value={rangeName.value} onChange={(event) => choose(event.currentTarget.value)}>
          {Object.entries(strings.time.ranges).map(([name, words]) => (
            <option value={name}>{words}</option>
          ))}
        </select>
      </label>
      {rangeName.value === 'custom' && (
        <>
          <label>
            <span>{strings.time.from}</span>
            <input type="datetime-local" value={local(from)} onChange={set('from')} />
          </label>
          <label>
            <span>{strings.time.to}</span>
            <input type="datetime-local" value={local(to)} onChange={set('to')} />
          </label>
        </>
      )}
      <span class="quiet">{strings.time.zone(zone.value)}</span>
    </fieldset>
  );
}
