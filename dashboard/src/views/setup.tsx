// Set-up: from an empty server to people on a plan, step by step, each ticked off as it happens. On a server with data the
// same list, ticked, is how healthy what comes in is.

import './setup.css';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Schemas, client, told } from '../api';
import { isWithheld } from '../session';
import { loadPlaces } from '../state';
import { strings } from '../strings';
import { Answer, useAsk } from '../ui/ask';
import { Configure, Counted, Events, Ping, PlanImport, Webhook } from './setup/steps';
import { SourceTable } from './setup/sources';

const words = strings.setup;

/// How often it looks, milliseconds.
const LOOK_MS = 3000;

/// What is known of how far it has come.
export interface Known {
  sources: Schemas['WebhookSource'][];
  sites: Schemas['Site'][];
  maps: Schemas['Map'][];
  unmapped: Schemas['Unmapped'];
  /// Clients in all zones now, and zones with any.
  clients: number;
  zones: number;
}

async function look(signal: AbortSignal): Promise<Known> {
  const [sources, sites, maps, unmapped, occupancy] = await Promise.all([
    told(client.GET('/v1/sources', { signal })),
    told(client.GET('/v1/sites', { signal })),
    told(client.GET('/v1/maps', { signal })),
    isWithheld.value ? { maps: [], areas: [] } : told(client.GET('/v1/unmapped', { signal })),
    told(client.GET('/v1/occupancy', { params: { query: { area_kind: 'zone' } }, signal })),
  ]);
  const here = occupancy.areas.map((area) => area.current ?? 0).filter((current) => current > 0);
  return { sources: sources.sources, sites: sites.sites, maps: maps.maps, unmapped, clients: here.reduce((sum, current) => sum + current, 0), zones: here.length };
}

export const isPing = (topic: string) => topic === 'ping';

/// Each step, and whether it is done.
function stepsOf(known: Known): [name: string, isDone: boolean, content: ComponentChildren][] {
  const { sources, sites, maps, zones } = known;
  const hasPing = sources.some((source) => source.last_ping_at);
  const hasEvents = sources.some((source) => source.topics.some((topic) => !isPing(topic)));
  return [
    [words.configure.title, sources.some((source) => source.is_configured), <Configure known={known} />],
    [words.webhook.title, hasPing || hasEvents, <Webhook known={known} />],
    [words.ping.title, hasPing || hasEvents, <Ping known={known} />],
    [words.events.title, hasEvents && sites.length > 0, <Events known={known} hasCome={hasEvents} />],
    [words.plan.title, maps.some((map) => map.is_mapped), <PlanImport known={known} />],
    [words.counted.title, zones > 0, <Counted known={known} />],
  ];
}

export function Setup() {
  const asked = useAsk(look, [], LOOK_MS);
  const { data } = asked;
  // The page's own sites and floors follow, once there are more of them.
  const places = data && `${data.sites.length} ${data.maps.filter((map) => map.is_mapped).length}`;
  useEffect(() => void (places && loadPlaces()), [places]);
  return <div class="setup-view">{<Answer asked={asked}>{(known) => <Steps known={known} />}</Answer>}</div>;
}

function Steps({ known }: { known: Known }) {
  const steps = stepsOf(known);
  const done = steps.filter(([, isDone]) => isDone).length;
  const next = steps.findIndex(([, isDone]) => !isDone);
  const isHealthy = next === -1;
  const sources = known.sources.some((source) => source.deliveries > 0) && <SourceTable sources={known.sources} />;
  return (
    <>
      <header>
        <h2>{words.title}</h2>
        <p>{isHealthy ? words.health : words.intro}</p>
        <p role="status" class="quiet">
          {words.progress(done, steps.length)}
        </p>
        <progress max={steps.length} value={done} aria-label={words.progress(done, steps.length)} />
      </header>
      {isHealthy && sources}
      <ol class="steps">
        {steps.map(([title, isDone, content], at) => (
          <li key={title} class={isDone ? 'card done' : 'card'} data-done={isDone}>
            <details open={at === next}>
              <summary>
                <span class="tick" aria-hidden="true">
                  {isDone ? '✓' : at + 1}
                </span>
                <h3>
                  <span class="hidden">{words.step(at + 1)}: </span>
                  {title}
                </h3>
                <span class="quiet state">{isDone ? words.done : words.open}</span>
              </summary>
              <div class="what">{content}</div>
            </details>
          </li>
        ))}
      </ol>
      {!isHealthy && sources}
    </>
  );
}
