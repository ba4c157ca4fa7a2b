// What fires now, as the stream tells, and what has fired, with who took it on.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { firing } from '../../live';
import { site, zone } from '../../state';
import { strings } from '../../strings';
import { clock, dateAndTime, duration } from '../../time';
import { Answer, Empty, useAsk } from '../../ui/ask';
import { param, setParams } from '../../url';
import { Acknowledge, SilenceAlert } from './handle';
import { AreaOptions, Severity } from './parts';

const words = strings.alerts;

type Alert = Schemas['Alert'];
type Silence = Schemas['Silence'];

const severities = Object.keys(words.severities);

/// The gravest first, then the newest.
const byUrgency = (a: Alert, b: Alert) => severities.indexOf(b.severity) - severities.indexOf(a.severity) || b.alert_id - a.alert_id;

/// Alerts of one page of the history.
const PAGE = 50;

export function Now() {
  const [handled, setHandled] = useState<{ alert: Alert; by: 'acknowledge' | 'silence' } | undefined>();
  const silences = useAsk((signal) => told(client.GET('/v1/silences', { signal })), [site.value?.site_id], 30_000);
  const close = () => setHandled(undefined);
  return (
    <>
      <section aria-labelledby="firing">
        <h2 id="firing">{words.firing}</h2>
        <div aria-live="polite">
          {firing.value.length === 0 ? (
            <Empty>{words.nothingFires}</Empty>
          ) : (
            <ul class="firing">
              {[...firing.value].sort(byUrgency).map((alert) => (
                <Firing key={alert.alert_id} alert={alert} isSilenced={(silences.data?.silences ?? []).some((one) => covers(one, alert))} onHandle={(by) => setHandled({ alert, by })} />
              ))}
            </ul>
          )}
        </div>
      </section>
      <History />
      {handled?.by === 'acknowledge' && <Acknowledge alert={handled.alert} onClose={close} />}
      {handled?.by === 'silence' && <SilenceAlert alert={handled.alert} onClose={close} onDone={silences.again} />}
    </>
  );
}

function covers(silence: Silence, alert: Alert): boolean {
  const fits = <T,>(wanted: T | null | undefined, found: T | null | undefined) => wanted == null || wanted === found;
  return (
    Date.parse(silence.until) > Date.now() &&
    fits(silence.rule_id, alert.rule_id) &&
    fits(silence.site_id, alert.site_id) &&
    fits(silence.map_id, alert.map_id) &&
    fits(silence.area_id, alert.area_id) &&
    fits(silence.client_id, alert.client_id)
  );
}

function Firing({ alert, isSilenced, onHandle }: { alert: Alert; isSilenced: boolean; onHandle: (by: 'acknowledge' | 'silence') => void }) {
  const since = Date.parse(alert.since);
  return (
    <li class={`card severity-${alert.severity}`}>
      <div>
        <h3>
          {alert.rule_name} <Severity severity={alert.severity} />
          {isSilenced && <span class="tag">{words.isSilenced}</span>}
        </h3>
        <p>
          {alert.summary} <span class="quiet">{words.since(clock(since, zone.value), duration(Math.max(0, Date.now() - since) / 1000))}</span>
        </p>
        {alert.message && <p class="message">{alert.message}</p>}
        {alert.acknowledged_at && <Acknowledged alert={alert} />}
      </div>
      <div class="row">
        {!alert.acknowledged_at && (
          <button type="button" class="primary" onClick={() => onHandle('acknowledge')} aria-label={words.acknowledgeNamed(alert.rule_name)}>
            {words.acknowledge}
          </button>
        )}
        {!isSilenced && (
          <button type="button" onClick={() => onHandle('silence')} aria-label={words.silenceNamed(alert.rule_name)}>
            {words.silence} …
          </button>
        )}
      </div>
    </li>
  );
}

function Acknowledged({ alert }: { alert: Alert }) {
  return (
    <p class="quiet">
      {words.acknowledged(alert.acknowledged_by || words.somebody, clock(Date.parse(alert.acknowledged_at ?? ''), zone.value))}
      {alert.acknowledged_note && `: ${alert.acknowledged_note}`}
    </p>
  );
}

/// As many pages as are shown, anew: what is listed changes while it fires.
async function readPages(query: Record<string, string | undefined>, pages: number, signal: AbortSignal) {
  const alerts: Alert[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < pages; page++) {
    const found = await told(client.GET('/v1/alerts', { params: { query: { ...query, cursor, limit: PAGE } }, signal }));
    alerts.push(...found.alerts);
    cursor = found.next_cursor ?? undefined;
    if (!cursor) break;
  }
  return { alerts, hasMore: cursor !== undefined };
}

function History() {
  const [severity, state, area] = [param('severity'), param('state'), param('area')];
  const query = { site: site.value?.site_id, severity: severity || undefined, state: state || undefined, area: area.split('/')[1] };
  const filters = JSON.stringify(query);
  const [pages, setPages] = useState({ filters, count: 1 });
  const count = pages.filters === filters ? pages.count : 1;
  const now = firing.value.map((one) => `${one.alert_id}${one.acknowledged_at ?? ''}`).join();
  const asked = useAsk((signal) => readPages(query, count, signal), [filters, count, now]);
  return (
    <section aria-labelledby="history" class="card">
      <h2 id="history">{words.history}</h2>
      <fieldset class="toolbar">
        <legend class="hidden">{words.filters}</legend>
        <Choice label={words.severity} name="severity" value={severity} options={words.severities} />
        <Choice label={words.state} name="state" value={state} options={words.states} />
        <label>
          <span>{words.area}</span>
          <select value={area} onChange={(event) => setParams({ area: event.currentTarget.value })}>
            <option value="">{words.all}</option>
            <AreaOptions />
          </select>
        </label>
        <span class="quiet">{strings.time.zone(zone.value)}</span>
      </fieldset>
      <Answer asked={asked}>
        {({ alerts, hasMore }) =>
          alerts.length === 0 ? (
            <Empty>{severity || state || area ? words.noneLikeThis : words.noHistory}</Empty>
          ) : (
            <>
              <HistoryTable alerts={alerts} />
              {hasMore && (
                <button type="button" class="more" onClick={() => setPages({ filters, count: count + 1 })} disabled={asked.isLoading}>
                  {words.more}
                </button>
              )}
            </>
          )
        }
      </Answer>
    </section>
  );
}

function Choice(props: { label: string; name: string; value: string; options: Record<string, string> }) {
  return (
    <label>
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => setParams({ [props.name]: event.currentTarget.value })}>
        <option value="">{words.all}</option>
        {Object.entries(props.options).map(([value, label]) => (
          <option value={value}>{label}</option>
        ))}
      </select>
    </label>
  );
}

function HistoryTable({ alerts }: { alerts: Alert[] }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={words.history}>
      <table class="stacks">
        <caption class="hidden">{words.history}</caption>
        <thead>
          <tr>
            <th scope="col">{words.alert}</th>
            <th scope="col">{words.severity}</th>
            <th scope="col">{words.fired}</th>
            <th scope="col">{words.state}</th>
            <th scope="col" class="number">
              {words.lasted}
            </th>
            <th scope="col">{words.handled}</th>
          </tr>
        </thead>
        <tbody>
          {alerts.map((alert) => (
            <tr key={alert.alert_id}>
              <th scope="row">
                {alert.rule_name}
                <span class="quiet under">{alert.summary}</span>
              </th>
              <td>
                <Severity severity={alert.severity} />
              </td>
              <td>{dateAndTime(Date.parse(alert.fired_at), zone.value)}</td>
              <td>
                {alert.state === 'firing' ? <strong class="bad">{words.states.firing}</strong> : words.states.resolved}
                {alert.resolution && alert.resolution !== 'cleared' && <span class="quiet under">{words.resolutions[alert.resolution]}</span>}
              </td>
              <td class="number" data-label={words.lasted}>{duration(((alert.resolved_at ? Date.parse(alert.resolved_at) : Date.now()) - Date.parse(alert.fired_at)) / 1000)}</td>
              <td>
                {alert.acknowledged_at && (alert.acknowledged_by || words.somebody)}
                {alert.acknowledged_note && <span class="quiet under">{alert.acknowledged_note}</span>}
                {alert.is_silenced && <span class="tag">{words.isSilenced}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
