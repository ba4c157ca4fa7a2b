// Set-up: what an empty server wants done, step by step; each ticks itself off. Later it tells how the webhooks fare.

import type { ComponentChildren } from 'preact';
import { type Schemas, base, client, told } from '../api';
import { loadPlaces, sites } from '../state';
import { strings } from '../strings';
import { Answer, useAsk } from '../ui/ask';
import { Copy } from '../ui/copy';
import { linkTo } from '../url';
import './setup.css';

const words = strings.setup;

/// How often it is looked what has happened, milliseconds.
const LOOK_MS = 3000;

/// Those that say where clients are; `location` has the positions of all kinds. Any others are kept, too.
const TOPICS = 'location, zone, vbeacon, rssizone, sdkclient-scan-data, occupancy-alerts';

const CONFIGURATION = `[sources.default]
secrets = ["the webhook's secret"]`;

interface Found {
  sources: Schemas['WebhookSource'][];
  maps: Schemas['Map'][];
  areas: Schemas['AreaOccupancy'][];
  unmapped: Schemas['Unmapped'];
}

async function look(signal: AbortSignal): Promise<Found> {
  const [sources, maps, occupancy, unmapped] = await Promise.all([
    told(client.GET('/v1/sources', { signal })),
    told(client.GET('/v1/maps', { signal })),
    told(client.GET('/v1/occupancy', { signal })),
    told(client.GET('/v1/unmapped', { signal })),
    loadPlaces(),
  ]);
  return { sources: sources.sources, maps: maps.maps.filter((map) => map.is_mapped), areas: occupancy.areas, unmapped };
}

const since = (at: string) => strings.time.ago((Date.now() - Date.parse(at)) / 1000);

export function Setup() {
  const asked = useAsk(look, [], LOOK_MS);
  return (
    <div class="setup">
      <section class="card">
        <h2>{words.title}</h2>
        <p class="quiet">{words.intro}</p>
        <Answer asked={asked}>{(found) => <Steps found={found} />}</Answer>
      </section>
      {asked.data && asked.data.sources.some((source) => source.deliveries > 0) && <Sent sources={asked.data.sources} />}
    </div>
  );
}

function Steps({ found }: { found: Found }) {
  const { sources, maps, areas, unmapped } = found;
  const configured = sources.filter((source) => source.is_configured);
  const deliveries = sources.reduce((sum, source) => sum + source.deliveries, 0);
  const ping = sources.flatMap((source) => source.last_ping_at ?? []).sort().pop();
  const zones = areas.filter((area) => area.area_kind === 'zone');
  const here = zones.reduce((sum, area) => sum + area.current, 0);
  const { steps } = words;
  const siteCount = sites.value?.length ?? 0;
  return (
    <ol>
      <Step title={steps.source.title} isDone={configured.length > 0} told={steps.source.done(configured.map((source) => source.name).join(', '))}>
        <p>{steps.source.text}</p>
        <Copy text={CONFIGURATION} what={words.copies.configuration} isBlock />
      </Step>
      <Step title={steps.webhook.title} isDone={deliveries > 0}>
        <p>{steps.webhook.text}</p>
        {(configured.length ? configured : [{ path: '/v1/webhooks/mist' }]).map(({ path }) => (
          <Copy text={location.origin + base + path} what={words.copies.address} isBlock />
        ))}
        <p>{steps.webhook.topics}</p>
        <Copy text={TOPICS} what={words.copies.topics} isBlock />
      </Step>
      <Step title={steps.ping.title} isDone={deliveries > 0} told={ping && steps.ping.done(since(ping))}>
        <p>{steps.ping.text}</p>
      </Step>
      <Step title={steps.events.title} isDone={siteCount > 0 && deliveries > 0} told={steps.events.done(deliveries.toLocaleString('en'), siteCount)}>
        <p>{steps.events.text}</p>
      </Step>
      <Step title={steps.maps.title} isDone={zones.length > 0} told={steps.maps.done(maps.length, zones.length)}>
        <p>{steps.maps.text}</p>
        {unmapped.maps.length > 0 && <p>{steps.maps.unmapped(unmapped.maps.length)}</p>}
        <Copy text={`footfall import PATH --url ${location.origin}${base}`} what={words.copies.command} isBlock />
      </Step>
      <Step title={steps.people.title} isDone={here > 0} told={steps.people.done(here)}>
        <p>{steps.people.text}</p>
        <p>
          <a href={linkTo('live')}>{steps.people.look}</a>
        </p>
      </Step>
    </ol>
  );
}

function Step(props: { title: string; isDone: boolean; told?: string | undefined; children: ComponentChildren }) {
  return (
    <li class={props.isDone ? 'is-done' : ''}>
      <span class="tick" role="img" aria-label={props.isDone ? words.done : words.open} />
      <div>
        <h3>{props.title}</h3>
        {props.isDone && props.told && <p class="told">{props.told}</p>}
        {props.isDone ? (
          <details>
            <summary class="quiet">{strings.more}</summary>
            {props.children}
          </details>
        ) : (
          props.children
        )}
      </div>
    </li>
  );
}

function Sent({ sources }: { sources: Schemas['WebhookSource'][] }) {
  return (
    <section class="card">
      <h2>{words.sources}</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label={words.sources}>
        <table>
          <thead>
            <tr>
              <th scope="col">{strings.live.source}</th>
              <th scope="col" class="number">
                {strings.live.deliveries}
              </th>
              <th scope="col" class="number">
                {strings.live.lastReceived}
              </th>
              <th scope="col">{words.topicsSent}</th>
            </tr>
          </thead>
          <tbody>
            {sources.map((source) => (
              <tr key={source.name}>
                <th scope="row">{source.name}</th>
                <td class="number">{source.deliveries.toLocaleString('en')}</td>
                <td class="number">{source.last_received_at ? since(source.last_received_at) : strings.live.neverReceived}</td>
                <td>{source.topics.join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
