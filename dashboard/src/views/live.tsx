// Live: the floor as it is now, its zones by how full they are, its clients as they move, what fires.

import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { client, told } from '../api';
import { type LivePosition, areaKey, firing, occupancy, onPositions } from '../live';
import { Dots, kindColours } from '../plan/dots';
import { Plan, type Shade } from '../plan/plan';
import { Zoom } from '../plan/zoom';
import { isWithheld, session } from '../session';
import { type Area, type FloorMap, isDark, isKiosk, map, mapAreas, site, zone } from '../state';
import { strings } from '../strings';
import { clock } from '../time';
import { Answer, Empty, useAsk } from '../ui/ask';
import { linkTo, param, setParams } from '../url';

const words = strings.live;

/// Clients that are shown at once as they were when the page began; the stream tells of the others as they move.
const CLIENTS_MAX = 1000;

/// Pages of them that are asked for.
const PAGES_MAX = 20;

/// With no limits of its own, a floor is shaded by its fullest zone, and by this many clients at least.
const FULL_AT_LEAST = 5;

const layerNames = ['zones', 'clients', 'trails', 'heat'] as const;
type Layer = (typeof layerNames)[number];

const shownLayers = () => new Set(param('layers', 'zones,clients').split(','));

/// Clients on the plan, by kind.
const counts = signal<Record<string, number>>({});

export function Live() {
  const floor = map.value;
  if (!site.value || !floor) return <Empty>{words.noMaps}</Empty>;
  return <Floor key={floor.map_id} floor={floor} />;
}

function Floor({ floor }: { floor: FloorMap }) {
  const zones = useMemo(() => mapAreas.value.filter((area) => area.kind === 'zone'), [mapAreas.value]);
  const shadesBy = param('shade', 'clients');
  const shades = shadesOf(zones, shadesBy);
  return (
    <div class={isKiosk.value ? 'floor kiosk' : 'floor'}>
      <PlanView floor={floor} zones={zones} shades={shades} />
      <aside class="side">
        <ZoneTable zones={zones} shades={shades} />
        {!isWithheld.value && <FiringAlerts />}
        {!isKiosk.value && <Layers shadesBy={shadesBy} />}
        {!isKiosk.value && <Sources />}
      </aside>
    </div>
  );
}

function shadesOf(zones: Area[], by: string): Map<string, Shade> {
  const count = (area: Area) => occupancy.value.get(areaKey(area.kind, area.area_id));
  const fullest = Math.max(FULL_AT_LEAST, ...zones.map((area) => count(area) ?? 0));
  return new Map(
    zones.map((area) => {
      const limit = area.occupancy_limit;
      // Null is told as such; an area of which nothing came yet is empty.
      const told = count(area);
      const here = told ?? 0;
      const fullness = by === 'share' ? (limit ? here / limit : 0) : here / fullest;
      return [area.area_id, { count: told === undefined ? 0 : told, fullness, isOver: limit != null && here > limit }];
    }),
  );
}

function PlanView({ floor, zones, shades }: { floor: FloorMap; zones: Area[]; shades: Map<string, Shade> }) {
  const box = useRef<HTMLDivElement>(null);
  const plan = useRef<Plan | undefined>(undefined);
  const dots = useRef<Dots | undefined>(undefined);
  const [lacksWebgl, setLacksWebgl] = useState(false);
  const dark = isDark.value;
  useEffect(() => {
    if (!box.current) return;
    const drawn = new Plan(box.current);
    plan.current = drawn;
    dots.current = new Dots(drawn.map);
    setLacksWebgl(!dots.current.areDrawn);
    const stop = onPositions((positions) => {
      dots.current?.move(floor.map_id, positions);
    });
    const silence_ms = (site.value?.presence_timeout_s ?? 300) * 1000;
    const timer = setInterval(() => {
      dots.current?.forget(silence_ms);
      counts.value = dots.current?.counts() ?? {};
    }, 1000);
    const abort = new AbortController();
    if (!isWithheld.value)
      void placeClients(floor.map_id, abort.signal, (positions) => dots.current?.move(floor.map_id, positions));
    return () => {
      abort.abort();
      clearInterval(timer);
      stop();
      dots.current?.dispose();
      dots.current = undefined;
      drawn.dispose();
    };
  }, []);
  useEffect(() => plan.current?.show(floor, dark), [floor, dark]);
  useEffect(() => plan.current?.setZones(zones), [zones]);
  useEffect(() => plan.current?.shade(shades), [occupancy.value, zones, param('shade')]);
  const layers = param('layers', 'zones,clients');
  useEffect(() => {
    const shown = shownLayers();
    plan.current?.zonesAreVisible(shown.has('zones'));
    dots.current?.setVisible(shown.has('clients'));
    dots.current?.setTrails(shown.has('trails'));
  }, [layers]);
  useHeat(plan, floor, layers.includes('heat'), dark);
  return (
    <section class="plan" aria-label={words.plan}>
      <div ref={box} class="canvas" tabIndex={0} role="application" aria-label={words.plan} />
      <Zoom plan={plan} />
      {lacksWebgl && <p class="fault">{words.webgl}</p>}
    </section>
  );
}

/// Clients where they were seen last, until the stream tells more of them.
async function placeClients(mapId: string, signal: AbortSignal, place: (positions: LivePosition[]) => void) {
  const from = `-${site.value?.presence_timeout_s ?? 300}s`;
  let cursor: string | undefined;
  try {
    for (let page = 0; page < PAGES_MAX; page++) {
      const query = { map: mapId, from, limit: CLIENTS_MAX, cursor };
      const found = await told(client.GET('/v1/clients', { params: { query }, signal }));
      place(found.clients.filter((one) => one.map_id === mapId).map((one) => ({ ...one, map_id: mapId, name: one.name ?? null, at: one.last_fix_at })));
      cursor = found.next_cursor ?? undefined;
      if (!cursor) return;
    }
  } catch (error) {
    if (!signal.aborted) console.warn(error);
  }
}

/// Keeps the heat map of the last hour while it is shown.
function useHeat(plan: { current?: Plan }, floor: FloorMap, isShown: boolean, dark: boolean) {
  const cell_m = Math.max(0.5, Math.round(Math.max(floor.width_m ?? 50, floor.height_m ?? 50) / 60));
  const asked = useAsk(
    async (signal) => (isShown ? told(client.GET('/v1/heatmap', { params: { query: { map: floor.map_id, from: '-1h', cell_m } }, signal })) : undefined),
    [floor.map_id, isShown],
    isShown ? 60_000 : undefined,
  );
  useEffect(() => plan.current?.setHeat(isShown ? asked.data?.cells : undefined, cell_m), [asked.data, isShown, dark]);
}

function ZoneTable({ zones, shades }: { zones: Area[]; shades: Map<string, Shade> }) {
  const rows = zones.map((area) => ({ area, shade: shades.get(area.area_id) ?? { count: 0, fullness: 0, isOver: false } }));
  rows.sort((a, b) => (b.shade.count ?? 0) - (a.shade.count ?? 0) || (a.area.name ?? '').localeCompare(b.area.name ?? ''));
  const here = Object.values(counts.value).reduce((sum, n) => sum + n, 0);
  return (
    <section aria-label={words.zones}>
      {isWithheld.value ? (
        <p class="quiet">{words.withheld(session.value?.counts_withheld_below ?? 0)}</p>
      ) : (
        <p class="big" data-testid="clients-here">
          <strong>{here}</strong> {words.here}
        </p>
      )}
      {zones.length === 0 ? (
        <Empty>{words.noZones}</Empty>
      ) : (
        <table class="zones">
          <caption class="hidden">{words.zones}</caption>
          <thead>
            <tr>
              <th scope="col">{words.zone}</th>
              <th scope="col" class="number">
                {words.clients}
              </th>
              <th scope="col" class="number">
                {words.limit}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ area, shade }) => (
              <tr key={area.area_id} class={shade.isOver ? 'over' : ''}>
                <th scope="row">
                  <a href={linkTo('history', { area: area.area_id })}>{area.name ?? area.area_id}</a>
                </th>
                <td class="number count">
                  {shade.count ?? '–'}
                  {shade.isOver && <span class="hidden"> {words.over}</span>}
                </td>
                <td class="number limit">{area.occupancy_limit ?? ''}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function FiringAlerts() {
  return (
    <section>
      <h2>{words.alerts}</h2>
      {firing.value.length === 0 ? (
        <Empty>{words.noAlerts}</Empty>
      ) : (
        <ul class="alerts">
          {firing.value.map((alert) => (
            <li key={alert.alert_id} class={`severity-${alert.severity}`}>
              <a href={linkTo('alerts')}>{alert.rule_name}</a>
              <span class="quiet">
                {alert.summary} · {clock(Date.parse(alert.fired_at), zone.value)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Layers({ shadesBy }: { shadesBy: string }) {
  const shown = shownLayers();
  const toggle = (layer: Layer) => {
    const next = layerNames.filter((name) => (name === layer ? !shown.has(name) : shown.has(name)));
    setParams({ layers: next.join(',') || 'none' });
  };
  return (
    <section>
      <h2>{words.layers}</h2>
      <fieldset class="checks">
        <legend class="hidden">{words.layers}</legend>
        {layerNames.map((layer) => (
          <label>
            <input type="checkbox" checked={shown.has(layer)} onChange={() => toggle(layer)} /> {words.layer[layer]}
          </label>
        ))}
      </fieldset>
      <label>
        {words.shade}{' '}
        <select value={shadesBy} onChange={(event) => setParams({ shade: event.currentTarget.value })}>
          {Object.entries(words.shades).map(([value, name]) => (
            <option value={value}>{name}</option>
          ))}
        </select>
      </label>
      <ul class="legend" aria-label={words.legend}>
        {Object.entries(kindColours).map(([kind, colour]) => (
          <li>
            <span class="dot" style={{ background: colour }} /> {strings.kinds[kind]} <span class="quiet">{counts.value[kind] ?? 0}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Sources() {
  const asked = useAsk((signal) => told(client.GET('/v1/sources', { signal })), [], 15_000);
  return (
    <section>
      <h2>{words.sources}</h2>
      <Answer asked={asked}>
        {({ sources }) => (
          <table>
            <caption class="hidden">{words.sources}</caption>
            <thead>
              <tr>
                <th scope="col">{words.source}</th>
                <th scope="col" class="number">
                  {words.deliveries}
                </th>
                <th scope="col" class="number">
                  {words.lastReceived}
                </th>
              </tr>
            </thead>
            <tbody>
              {sources.map((source) => (
                <tr key={source.name}>
                  <th scope="row">{source.name}</th>
                  <td class="number">{source.deliveries.toLocaleString('en')}</td>
                  <td class="number">{source.last_received_at ? strings.time.ago((Date.now() - Date.parse(source.last_received_at)) / 1000) : words.neverReceived}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Answer>
    </section>
  );
}

