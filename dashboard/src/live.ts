// What is happening now, from the server's stream: occupancy, alerts, positions. A stream begins with the whole state, and
// so does one that comes back after a break.

import { effect, signal } from '@preact/signals';
import { type Schemas, address } from './api';
import { isWithheld } from './session';

export interface LivePosition {
  map_id: string;
  client_id: string;
  kind: string;
  name: string | null;
  at: string;
  x_m: number;
  y_m: number;
}

export type Status = 'connecting' | 'live' | 'lost';

/// Clients in each area now, by kind and id of the area: `zone/…`; null where they are too few to be told.
export const occupancy = signal<ReadonlyMap<string, number | null>>(new Map());
/// Alerts that are firing.
export const firing = signal<Schemas['Alert'][]>([]);
export const status = signal<Status>('connecting');
/// When something was last heard, keep-alives not counted; Unix milliseconds.
export const heardAt = signal(0);

export const areaKey = (kind: string, id: string) => `${kind}/${id}`;

type Listener = (positions: LivePosition[]) => void;
const listeners = new Set<Listener>();

/// Hears of each batch of positions that moved, until the returned function is called.
export function onPositions(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

interface OccupancyEvent {
  is_whole: boolean;
  areas: { area_id: string; area_kind: string; current: number | null }[];
}

/// The longest a browser may sleep on a broken connection before it is made anew, milliseconds. The server says that it
/// is there every 15 s, but EventSource does not tell; so a hidden page that comes back asks again.
const RETRY_MS = 3000;

/// Listens to one site until the returned function is called.
export function listen(site: string): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const open = () => {
    status.value = status.value === 'lost' ? 'lost' : 'connecting';
    source = new EventSource(address('/v1/stream', { site, topics: isWithheld.value ? 'occupancy' : 'occupancy,positions,alerts' }));
    source.addEventListener('open', () => (status.value = 'live'));
    source.addEventListener('error', () => {
      status.value = 'lost';
      source?.close();
      if (!isOver) timer = setTimeout(open, RETRY_MS);
    });
    const on = <T>(name: string, take: (data: T) => void) =>
      source?.addEventListener(name, (event) => {
        heardAt.value = Date.now();
        take(JSON.parse((event as MessageEvent<string>).data) as T);
      });
    on<OccupancyEvent>('occupancy', ({ is_whole, areas }) => {
      const next = new Map(is_whole ? [] : occupancy.value);
      for (const area of areas) next.set(areaKey(area.area_kind, area.area_id), area.current);
      occupancy.value = next;
    });
    on<{ alerts: Schemas['Alert'][] }>('alerts', ({ alerts }) => (firing.value = alerts));
    on<Schemas['AlertEvent']>('alert.firing', ({ data }) => (firing.value = [data, ...without(data)]));
    on<Schemas['AlertEvent']>('alert.resolved', ({ data }) => (firing.value = without(data)));
    on<{ positions: LivePosition[] }>('positions', ({ positions }) => listeners.forEach((listener) => listener(positions)));
  };
  const without = (alert: Schemas['Alert']) => firing.value.filter((one) => one.alert_id !== alert.alert_id);
  const wake = () => {
    if (document.visibilityState === 'visible' && Date.now() - heardAt.value > 60_000) {
      source?.close();
      clearTimeout(timer);
      open();
    }
  };
  document.addEventListener('visibilitychange', wake);
  open();
  return () => {
    isOver = true;
    clearTimeout(timer);
    source?.close();
    document.removeEventListener('visibilitychange', wake);
    occupancy.value = new Map();
    firing.value = [];
    status.value = 'connecting';
  };
}

/// Listens to the site that a function names, and to another when it names another.
export function follow(named: () => string | undefined): () => void {
  let stop: (() => void) | undefined;
  let current: string | undefined;
  const dispose = effect(() => {
    const wanted = named();
    if (wanted === current) return;
    stop?.();
    current = wanted;
    stop = wanted ? listen(wanted) : undefined;
  });
  return () => {
    dispose();
    stop?.();
  };
}
