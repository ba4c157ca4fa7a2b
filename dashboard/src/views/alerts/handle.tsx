// Taking an alert on, and silencing one.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { firing } from '../../live';
import { zone } from '../../state';
import { strings } from '../../strings';
import { HOUR } from '../../time';
import { Fault } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';
import { instant, local } from '../../ui/range';
import { Ends, Field, useAct } from '../../ui/form';
import { keepName, lastName } from './parts';

const words = strings.alerts;

type Alert = Schemas['Alert'];

/// Takes the place of an alert that is listed as firing.
function replace(alert: Alert): void {
  firing.value = firing.value.map((one) => (one.alert_id === alert.alert_id ? alert : one));
}

export function Acknowledge({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const act = useAct();
  const [by, setBy] = useState(lastName());
  const [note, setNote] = useState('');
  const acknowledge = async () => {
    keepName(by);
    const body = { by: by || null, note: note || null };
    replace(await told(client.POST('/v1/alerts/{id}/acknowledge', { params: { path: { id: alert.alert_id } }, body })));
  };
  return (
    <Dialog title={words.acknowledgeNamed(alert.rule_name)} onClose={onClose}>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(acknowledge).then((isDone) => isDone && onClose()))}>
        <p class="quiet">{words.acknowledgeExplained}</p>
        <Field label={words.name}>
          <input value={by} onInput={(event) => setBy(event.currentTarget.value)} autocomplete="name" />
        </Field>
        <Field label={words.note}>
          <input value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        </Field>
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={words.acknowledge} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  );
}

export function SilenceAlert({ alert, onClose, onDone }: { alert: Alert; onClose: () => void; onDone: () => void }) {
  const act = useAct();
  const [asked, setAsked] = useState<SilenceAsked>(newSilence);
  const silence = async () => {
    const body = silenceBody(asked);
    await told(client.POST('/v1/alerts/{id}/silence', { params: { path: { id: alert.alert_id } }, body }));
    onDone();
  };
  return (
    <Dialog title={words.silenceNamed(alert.rule_name)} onClose={onClose}>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(silence).then((isDone) => isDone && onClose()))}>
        <p class="quiet">{words.silenceExplained}</p>
        <SilenceFields asked={asked} onChange={setAsked} />
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={words.silence} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  );
}

export interface SilenceAsked {
  /// Seconds, or `until`.
  length: string;
  until: number;
  reason: string;
  by: string;
}

export const newSilence = (): SilenceAsked => ({ length: '3600', until: Date.now() + 24 * HOUR, reason: '', by: lastName() });

/// As the API takes it; remembers the name.
export function silenceBody({ length, until, reason, by }: SilenceAsked) {
  keepName(by);
  return { for_s: length === 'until' ? Math.round((until - Date.now()) / 1000) : Number(length), reason, by: by || undefined };
}

export function SilenceFields({ asked, onChange }: { asked: SilenceAsked; onChange: (asked: SilenceAsked) => void }) {
  const setUntil = (input: HTMLInputElement) => {
    const until = instant(input.value);
    input.setCustomValidity(until !== undefined && until < Date.now() ? words.untilPast : '');
    if (until !== undefined) onChange({ ...asked, until });
  };
  return (
    <>
      <Field label={words.forHow}>
        <select value={asked.length} onChange={(event) => onChange({ ...asked, length: event.currentTarget.value })}>
          {Object.entries(words.silenceFor).map(([value, label]) => (
            <option value={value}>{label}</option>
          ))}
        </select>
      </Field>
      {asked.length === 'until' && (
        <Field label={words.until} hint={strings.time.zone(zone.value)}>
          <input type="datetime-local" required value={local(asked.until)} onInput={(event) => setUntil(event.currentTarget)} />
        </Field>
      )}
      <Field label={words.reason}>
        <input required pattern=".*\S.*" value={asked.reason} onInput={(event) => onChange({ ...asked, reason: event.currentTarget.value })} />
      </Field>
      <Field label={words.name}>
        <input value={asked.by} onInput={(event) => onChange({ ...asked, by: event.currentTarget.value })} autocomplete="name" />
      </Field>
    </>
  );
}
