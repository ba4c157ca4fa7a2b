// Weekly times at which a rule is watched.

import type { Schemas } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { Field } from '../../ui/form';

const words = strings.alerts.rule;

type Times = Schemas['ScheduleTimes'];

/// Not an input of type time: that has no 24:00.
const TIME = '([01]\\d|2[0-3]):[0-5]\\d|24:00';

const weekdays = (): Times => ({ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '18:00' });

/// Without `times` it is always watched.
export function Schedule({ times, onChange }: { times?: Times[]; onChange: (times: Times[] | undefined) => void }) {
  const change = (at: number, changes: Partial<Times>) => onChange(times?.map((one, i) => (i === at ? { ...one, ...changes } : one)));
  return (
    <fieldset class="schedule">
      <legend class="hidden">{words.schedule}</legend>
      <div class="checks">
        <label>
          <input type="checkbox" checked={times !== undefined} onChange={() => onChange(times ? undefined : [weekdays()])} /> {words.schedule}
        </label>
      </div>
      {times && <p class="quiet hint">{words.scheduleZone(zone.value)}</p>}
      {times?.map((one, at) => (
        <TimesRow number={at + 1} times={one} onChange={(changes) => change(at, changes)} onRemove={times.length > 1 ? () => onChange(times.filter((_, i) => i !== at)) : undefined} />
      ))}
      {times && (
        <button type="button" onClick={() => onChange([...times, weekdays()])}>
          {words.addTimes}
        </button>
      )}
    </fieldset>
  );
}

function TimesRow({ number, times, onChange, onRemove }: { number: number; times: Times; onChange: (changes: Partial<Times>) => void; onRemove?: () => void }) {
  const toggle = (day: string) => onChange({ days: Object.keys(words.days).filter((one) => (one === day ? !times.days.includes(one) : times.days.includes(one))) });
  const input = (name: 'from' | 'to') => (
    <Field label={words[name]}>
      <input class="time" required pattern={TIME} title={words.timeFormat} size={6} inputMode="numeric" value={times[name]} onInput={(event) => onChange({ [name]: event.currentTarget.value })} />
    </Field>
  );
  return (
    <fieldset class="times">
      <legend class="hidden">{words.times(number)}</legend>
      <div class="days">
        {Object.entries(words.days).map(([day, label]) => (
          <button type="button" aria-pressed={times.days.includes(day)} onClick={() => toggle(day)}>
            {label}
          </button>
        ))}
      </div>
      {input('from')}
      {input('to')}
      {onRemove && (
        <button type="button" onClick={onRemove} aria-label={words.removeTimes(number)}>
          {strings.remove}
        </button>
      )}
    </fieldset>
  );
}
