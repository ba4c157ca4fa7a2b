// What each step tells to do, and what has come of it.

import { useState } from 'preact/hooks';
import { base } from '../../api';
import { strings } from '../../strings';
import { Copy } from '../../ui/copy';
import { linkTo } from '../../url';
import type { Known } from '../setup';
import { renewSecret, secret } from './secret';

const words = strings.setup;

/// Topics to tick at first.
const TOPICS = Object.keys(words.webhook.names);
const LOCAL = ['127.0.0.1', 'localhost', '[::1]'];

/// Rows of what was not imported that are listed.
const UNMAPPED_MAX = 8;

export const ago = (time: string) => strings.time.ago((Date.now() - Date.parse(time)) / 1000);

export function Configure({ known }: { known: Known }) {
  const names = known.sources.filter((source) => source.is_configured).map((source) => source.name);
  return (
    <>
      <p>{words.configure.text}</p>
      <Copy isBlock text={`[sources.default]\nsecrets = ["${secret.value}"]`} what={words.configure.toml} />
      <p>
        <button type="button" class="link" onClick={renewSecret}>
          {words.configure.another}
        </button>
      </p>
      <Outcome isGood={names.length > 0}>{names.length > 0 ? words.configure.found(names.join(', ')) : words.configure.none}</Outcome>
    </>
  );
}

const Outcome = ({ isGood, children }: { isGood: boolean; children: string }) => <p class={isGood ? 'outcome good' : 'outcome quiet'}>{children}</p>;

export function Webhook({ known }: { known: Known }) {
  const configured = known.sources.filter((source) => source.is_configured);
  const [name, setName] = useState('');
  const source = configured.find((one) => one.name === name) ?? configured[0];
  const url = `${location.origin}${base}${source?.path ?? '/v1/webhooks/mist'}`;
  const body = { name: strings.title, type: 'http-post', enabled: true, url, secret: secret.value, verify_cert: true, topics: TOPICS };
  return (
    <>
      <p>{words.webhook.text}</p>
      {configured.length > 1 && (
        <p>
          <label>
            {words.webhook.source}{' '}
            <select value={source?.name} onChange={(event) => setName(event.currentTarget.value)}>
              {configured.map((one) => (
                <option value={one.name}>{one.name}</option>
              ))}
            </select>
          </label>
        </p>
      )}
      <h4>{words.webhook.url}</h4>
      <Copy text={url} what={words.webhook.url} />
      {LOCAL.includes(location.hostname) && <p class="notice">{words.webhook.local}</p>}
      <h4>{words.webhook.secret}</h4>
      <Copy text={secret.value} what={words.webhook.secret} />
      <h4>{words.webhook.topics}</h4>
      <dl class="topics">
        {TOPICS.map((topic) => (
          <>
            <dt>
              <code>{topic}</code>
            </dt>
            <dd>{words.webhook.names[topic]}</dd>
          </>
        ))}
      </dl>
      <p class="quiet">{words.webhook.others}</p>
      <details>
        <summary>{words.webhook.api}</summary>
        <Copy isBlock text={JSON.stringify(body, null, 2)} what={words.webhook.api} />
      </details>
    </>
  );
}

export function Ping({ known }: { known: Known }) {
  const pinged = known.sources.filter((source) => source.last_ping_at);
  const hasDeliveries = known.sources.some((source) => source.deliveries > 0);
  return (
    <>
      <p>{words.ping.text}</p>
      {pinged.map((source) => (
        <Outcome isGood>{words.ping.came(source.name, source.last_ping_webhook ?? '', ago(source.last_ping_at ?? ''))}</Outcome>
      ))}
      {pinged.length === 0 && hasDeliveries && <Outcome isGood>{words.ping.skipped}</Outcome>}
      {pinged.length === 0 && !hasDeliveries && (
        <>
          <Outcome isGood={false}>{words.ping.waiting}</Outcome>
          <p class="quiet">{words.ping.refused}</p>
        </>
      )}
    </>
  );
}

export function Events({ known, hasCome }: { known: Known; hasCome: boolean }) {
  const deliveries = known.sources.reduce((sum, source) => sum + source.deliveries, 0);
  return (
    <>
      <p>{words.events.text}</p>
      <Outcome isGood={hasCome}>{hasCome ? words.events.came(deliveries, known.sites.length) : words.events.waiting}</Outcome>
    </>
  );
}

export function PlanImport({ known }: { known: Known }) {
  const mapped = known.maps.filter((map) => map.is_mapped).length;
  return (
    <>
      <p>{words.plan.text}</p>
      <p>
        <a class="button" href={linkTo('zones')}>
          {words.plan.link}
        </a>
      </p>
      <h4>{words.plan.command}</h4>
      <Copy text={`footfall import PATH --url ${location.origin}${base}`} what={words.plan.command} />
      <Outcome isGood={mapped > 0}>{mapped > 0 ? words.plan.found(mapped) : words.plan.waiting}</Outcome>
      <Unmapped known={known} />
    </>
  );
}

/// What events named, but nobody has imported.
function Unmapped({ known }: { known: Known }) {
  const maps = known.unmapped.maps.map((map) => ({ kind: 'map', id: map.map_id, events: map.events, clients: map.clients }));
  const areas = known.unmapped.areas.map((area) => ({ kind: area.kind, id: area.area_id, events: area.events, clients: area.clients }));
  const rows = [...maps, ...areas];
  if (rows.length === 0) return null;
  return (
    <>
      <h4 id="unmapped">{words.plan.unmapped}</h4>
      <div class="scroll" tabIndex={0} role="group" aria-labelledby="unmapped">
        <table>
          <caption class="hidden">{words.plan.unmapped}</caption>
          <thead>
            <tr>
              <th scope="col">{words.plan.what}</th>
              <th scope="col">{words.plan.id}</th>
              <th scope="col" class="number">
                {words.plan.events}
              </th>
              <th scope="col" class="number">
                {words.plan.clients}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, UNMAPPED_MAX).map((row) => (
              <tr key={row.kind + row.id}>
                <td>{words.plan.kinds[row.kind] ?? row.kind}</td>
                <th scope="row">
                  <code>{row.id}</code>
                </th>
                <td class="number">{row.events.toLocaleString('en')}</td>
                <td class="number">{row.clients.toLocaleString('en')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > UNMAPPED_MAX && <p class="quiet">{words.plan.moreUnmapped(rows.length - UNMAPPED_MAX)}</p>}
    </>
  );
}

export function Counted({ known }: { known: Known }) {
  return (
    <>
      <p>{words.counted.text}</p>
      <Outcome isGood={known.zones > 0}>{known.zones > 0 ? words.counted.found(known.clients, known.zones) : words.counted.waiting}</Outcome>
      {known.zones > 0 && (
        <p>
          <a class="button" href={linkTo('live')}>
            {words.counted.link}
          </a>
        </p>
      )}
    </>
  );
}
