// A rule tried on the past: how often it would have fired, and when.

import { useEffect, useRef, useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { dateAndTime, duration } from '../../time';
import { Fault } from '../../ui/ask';
import { useAct } from '../../ui/form';
import { placeName } from './parts';
import type { Settings } from './rules';

const words = strings.alerts.rule;

type Found = Schemas['Preview'];

/// Alerts that are listed.
const LISTED = 100;

export function Preview({ settings, isSound }: { settings: Settings; isSound: () => boolean }) {
  const [found, setFound] = useState<{ of: string; preview: Found } | undefined>();
  const act = useAct();
  const abort = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const key = JSON.stringify(settings);
  const ask = async () => {
    abort.current = new AbortController();
    // The name says nothing about when it fires, and may be missing yet.
    const body = { rule: { ...settings, name: settings.name || '-', is_enabled: true }, from: '-7d' };
    setFound({ of: key, preview: await told(client.POST('/v1/alert-rules/preview', { body, signal: abort.current.signal })) });
  };
  return (
    <div class="preview">
      <div class="row">
        <button type="button" disabled={act.isBusy} onClick={() => isSound() && void act.run(ask)}>
          {words.preview}
        </button>
        <span role="status" class="quiet">
          {act.isBusy ? words.previewing : ''}
        </span>
      </div>
      {act.problem && <Fault problem={act.problem} />}
      {found?.of === key && <Shown preview={found.preview} hasClients={settings.condition === 'dwell'} />}
    </div>
  );
}

function Shown({ preview, hasClients }: { preview: Found; hasClients: boolean }) {
  const listed = preview.alerts.slice(0, LISTED);
  const time = (text: string) => dateAndTime(Date.parse(text), zone.value);
  return (
    <div class="notice" role="status">
      <p>
        <strong>{words.wouldHave(preview.count, duration(preview.firing_s))}</strong> {preview.count > listed.length && words.previewFirst(listed.length)}
      </p>
      {listed.length > 0 && (
        <div class="scroll listed" tabIndex={0} role="group" aria-label={words.previewTitle}>
          <table>
            <caption class="hidden">{words.previewTitle}</caption>
            <thead>
              <tr>
                <th scope="col">{strings.alerts.fired}</th>
                <th scope="col">{words.where}</th>
                <th scope="col" class={hasClients ? '' : 'number'}>
                  {hasClients ? words.client : words.clients}
                </th>
                <th scope="col">{strings.alerts.lasted}</th>
              </tr>
            </thead>
            <tbody>
              {listed.map((one) => (
                <tr key={`${one.fired_at}${one.area_id}${one.client_id}`}>
                  <th scope="row">{time(one.fired_at)}</th>
                  <td>{placeName(one.area_id || one.map_id ? { ...one, site_id: undefined } : one)}</td>
                  <td class={hasClients ? '' : 'number'}>{hasClients ? one.client_id : one.clients}</td>
                  <td>{one.resolved_at ? duration((Date.parse(one.resolved_at) - Date.parse(one.fired_at)) / 1000) : words.goesOn}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
