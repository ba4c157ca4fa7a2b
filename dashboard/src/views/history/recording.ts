// An hour of a floor as it was: where each client was located, and who was in which zone. Asked with SQL, then looked into at
// any instant without asking again.

import { client, told } from '../../api';
import type { LivePosition } from '../../live';
import { rfc3339 } from '../../time';
import type { Question } from './question';

/// Positions of a recording at most; what the server gives to one question.
export const POSITIONS_MAX = 100_000;

/// Fixes of a client no further apart than this are joined by a straight line.
const JOIN_MS = 120_000;

/// After so long without a fix a client is not shown.
export const SILENCE_MS = 300_000;

interface Track {
  client_id: string;
  kind: string;
  at: number[];
  x: number[];
  y: number[];
  /// When it was first located on another floor after the fix; NaN where the next is here too, or there is none.
  left: number[];
}

export interface Recording {
  from: number;
  to: number;
  tracks: Track[];
  /// Visits of each area, by its kind and id.
  visits: Map<string, { from: number; to: number }[]>;
  /// Until when positions are known, where there were too many.
  cutAt: number | undefined;
}

// Parameters: site, map, from, to, kind of client or null, whether its address is random or null.
const WHO = '($5::VARCHAR IS NULL OR p.kind = $5) AND ($6::BOOLEAN IS NULL OR k.is_randomised = $6)';

/// A floor's fixes, and with each when its client was located on another next.
const POSITIONS = `
WITH near AS (
    SELECT p.client_id, p.kind, p.map_id, epoch_ms(p.event_at) AS fix_at, round(p.x_m, 2) AS x, round(p.y_m, 2) AS y,
        lead(p.map_id) OVER track AS next_map, epoch_ms(lead(p.event_at) OVER track) AS next_at
    FROM positions p
    LEFT JOIN clients k ON k.client_id = p.client_id AND k.kind = p.kind
    WHERE p.site_id = $1 AND p.event_at >= $3::TIMESTAMPTZ AND p.event_at < $4::TIMESTAMPTZ AND ${WHO}
    WINDOW track AS (PARTITION BY p.client_id, p.kind ORDER BY p.event_at)
)
SELECT client_id, kind, fix_at, x, y, CASE WHEN next_map <> map_id THEN next_at END AS left_at
FROM near
WHERE map_id = $2
ORDER BY fix_at`;

const VISITS = `
SELECT p.area_id, p.area_kind, epoch_ms(p.entered_at) AS from_at, epoch_ms(p.exited_at) AS to_at
FROM visits p
JOIN areas a ON a.area_id = p.area_id AND a.kind = p.area_kind AND a.authoritative_source = p.source
LEFT JOIN clients k ON k.client_id = p.client_id AND k.kind = p.kind
WHERE p.site_id = $1 AND a.map_id = $2 AND p.entered_at < $4::TIMESTAMPTZ AND (p.exited_at IS NULL OR p.exited_at > $3::TIMESTAMPTZ) AND ${WHO}
ORDER BY p.entered_at`;

interface PositionRow {
  client_id: string;
  kind: string;
  fix_at: number;
  x: number;
  y: number;
  left_at: number | null;
}

interface VisitRow {
  area_id: string;
  area_kind: string;
  from_at: number;
  to_at: number | null;
}

export async function record(siteId: string, mapId: string, from: number, to: number, who: Question['who'], signal: AbortSignal): Promise<Recording> {
  const ask = (sql: string, since: number) => {
    const params = [siteId, mapId, rfc3339(since), rfc3339(to), who.kind ?? null, who.randomised ?? null];
    return told(client.POST('/v1/sql', { body: { sql, params, limit: POSITIONS_MAX, timeout_s: 30 }, signal }));
  };
  // Who was located shortly before is there from the beginning.
  const [positions, visits] = await Promise.all([ask(POSITIONS, from - SILENCE_MS), ask(VISITS, from)]);
  const rows = positions.rows as PositionRow[];
  return {
    from,
    to,
    tracks: tracksOf(rows),
    visits: visitsOf(visits.rows as VisitRow[]),
    cutAt: positions.is_truncated ? rows[rows.length - 1]?.fix_at : undefined,
  };
}

function tracksOf(rows: PositionRow[]): Track[] {
  const tracks = new Map<string, Track>();
  for (const { client_id, kind, fix_at, x, y, left_at } of rows) {
    const key = `${kind}/${client_id}`;
    let track = tracks.get(key);
    if (!track) tracks.set(key, (track = { client_id, kind, at: [], x: [], y: [], left: [] }));
    track.at.push(fix_at);
    track.x.push(x);
    track.y.push(y);
    track.left.push(left_at ?? Number.NaN);
  }
  return [...tracks.values()];
}

export const visitKey = (kind: string, id: string) => `${kind}/${id}`;

function visitsOf(rows: VisitRow[]): Recording['visits'] {
  const visits: Recording['visits'] = new Map();
  for (const { area_id, area_kind, from_at, to_at } of rows) {
    const key = visitKey(area_kind, area_id);
    const known = visits.get(key) ?? [];
    known.push({ from: from_at, to: to_at ?? Number.POSITIVE_INFINITY });
    visits.set(key, known);
  }
  return visits;
}

/// Clients where they were at an instant: between two fixes that are near in time on the way from one to the other, else at
/// the last, until it is silence or they are located elsewhere. Asked for each frame: when the fix was is left out.
export function placesAt({ tracks }: Recording, mapId: string, instant: number): LivePosition[] {
  const places: LivePosition[] = [];
  for (const { client_id, kind, at, x, y, left } of tracks) {
    const last = lastUpTo(at, instant);
    const since = at[last];
    if (since === undefined || instant - since > SILENCE_MS || instant >= (left[last] ?? Number.NaN)) continue;
    const next = at[last + 1];
    const isJoined = next !== undefined && next > since && next - since <= JOIN_MS && Number.isNaN(left[last] ?? Number.NaN);
    const share = isJoined ? (instant - since) / (next - since) : 0;
    const between = (values: number[]) => {
      const here = values[last] ?? 0;
      return here + ((values[last + 1] ?? here) - here) * share;
    };
    places.push({ map_id: mapId, client_id, kind, name: null, at: '', x_m: between(x), y_m: between(y) });
  }
  return places;
}

/// The place of the last value up to a bound, of values in order; -1 where there is none.
function lastUpTo(values: number[], bound: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) <= bound) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/// Clients in an area at an instant.
export function countAt({ visits }: Recording, key: string, instant: number): number {
  return (visits.get(key) ?? []).reduce((sum, visit) => sum + (visit.from <= instant && instant < visit.to ? 1 : 0), 0);
}

/// The most there were at once in any of these areas: by that others are shaded.
export function fullest({ visits }: Recording, keys: string[]): number {
  let most = 0;
  for (const key of keys) {
    const steps = (visits.get(key) ?? []).flatMap((visit) => [[visit.from, 1] as const, [visit.to, -1] as const]);
    steps.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let here = 0;
    for (const [, step] of steps) {
      here += step;
      most = Math.max(most, here);
    }
  }
  return most;
}
