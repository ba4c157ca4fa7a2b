// What History asks, as the address says it: when, where, of whom, in which steps. All charts ask the same.

import { useMemo, useState } from 'preact/hooks';
import { isWithheld } from '../../session';
import { type Area, type FloorMap, areas, map, maps, site, zone } from '../../state';
import { strings } from '../../strings';
import { DAY, HOUR, type Range, rfc3339 } from '../../time';
import { chosenRange } from '../../ui/range';
import { place } from '../../url';

const words = strings.history;

export type Kind = 'wifi' | 'unconnected' | 'sdk' | 'asset';
export type AreaKind = 'zone' | 'vbeacon' | 'rssizone';

export interface Question {
  range: Range;
  /// The same as the API takes it.
  when: { from: string; to: string };
  where: { site?: string; map?: string; area?: string; area_kind?: AreaKind };
  who: { kind?: Kind; randomised?: boolean };
  min_dwell: string | undefined;
  bucket: string;
  /// How long before is the period to compare with.
  compare: string | undefined;
  area: Area | undefined;
  floor: FloorMap | undefined;
  limit: number | undefined;
  name: string;
}

/// Steps that are offered, by their length.
export const buckets: Record<string, number> = { '1m': 60_000, '5m': 300_000, '15m': 900_000, '1h': HOUR, '1d': DAY, '1w': 7 * DAY };

/// More would be finer than a screen.
const BUCKETS_MAX = 1500;

export function bucketsFor({ from, to }: Range): string[] {
  return Object.keys(buckets).filter((name, index) => (to - from) / (buckets[name] ?? DAY) <= BUCKETS_MAX && (index === 0 || (buckets[name] ?? DAY) < to - from));
}

export function bucketOf({ from, to }: Range): string {
  const length = to - from;
  if (length <= 1.5 * HOUR) return '1m';
  if (length <= 3 * HOUR) return '5m';
  if (length <= 26 * HOUR) return '15m';
  return length <= 14 * DAY ? '1h' : '1d';
}

/// The period to compare with: as long before as keeps the hours of the day, and the days of the week of a week.
function shiftOf({ from, to }: Range): string {
  const days = Math.ceil((to - from) / DAY - 0.1);
  return to - from < 12 * HOUR ? 'previous' : `${Math.max(1, days)}d`;
}

/// The chosen area, if one is: by its id, and its kind where two share one.
export function chosenArea(params: Record<string, string>): Area | undefined {
  if (!params.area) return undefined;
  const found = (areas.value ?? []).filter((one) => one.area_id === params.area && one.site_id === site.value?.site_id);
  return found.find((one) => one.kind === params.area_kind) ?? found.find((one) => one.kind === 'zone') ?? found[0];
}

function questionOf(params: Record<string, string>): Question {
  const range = chosenRange();
  const area = chosenArea(params);
  const ofMap = !area && params.scope === 'map' ? map.value : undefined;
  const where = area
    ? { site: site.value?.site_id, area: area.area_id, area_kind: area.kind as AreaKind }
    : { site: site.value?.site_id, map: ofMap?.map_id };
  const bucket = params.bucket && bucketsFor(range).includes(params.bucket) ? params.bucket : bucketOf(range);
  return {
    range,
    when: { from: rfc3339(range.from), to: rfc3339(range.to) },
    where,
    // From whom few are withheld may not ask of some clients or some visits, also where an address says so.
    who: isWithheld.value
      ? {}
      : {
          kind: params.kind && params.kind in strings.kinds ? (params.kind as Kind) : undefined,
          randomised: params.random === 'without' ? false : params.random === 'only' ? true : undefined,
        },
    min_dwell: !isWithheld.value && params.min_dwell && params.min_dwell in words.minDwells ? params.min_dwell : undefined,
    bucket,
    compare: params.compare === '1' ? shiftOf(range) : undefined,
    area,
    floor: area ? areaFloor(area) : map.value,
    limit: area?.occupancy_limit ?? ofMap?.occupancy_limit ?? undefined,
    name: area ? (area.name ?? area.area_id) : ofMap ? (ofMap.name ?? ofMap.map_id) : (site.value?.name ?? site.value?.site_id ?? ''),
  };
}

/// The floor an area is on, though another may be chosen.
const areaFloor = (area: Area) => (maps.value ?? []).find((one) => one.map_id === area.map_id && one.is_mapped);

/// Parameters of the address that change what is asked; the others only change what is shown of it.
const ASKED = ['site', 'map', 'range', 'from', 'to', 'scope', 'area', 'area_kind', 'kind', 'random', 'min_dwell', 'bucket', 'compare'];

/// The question, which stands until the address changes it or `refresh` moves a range that ends now.
export function useQuestion(): { question: Question; refresh: () => void } {
  const [round, setRound] = useState(0);
  const { params } = place.value;
  const key = ASKED.map((name) => params[name] ?? '').join('\n');
  const question = useMemo(() => questionOf(params), [key, round, site.value, map.value, areas.value, zone.value]);
  return { question, refresh: () => setRound((n) => n + 1) };
}

/// Of several areas together visits of zones count, where there are zones: a beacon inside a zone would count them again.
export function eachOnce({ where }: Question): Question['where'] {
  const hasZones = (areas.value ?? []).some((one) => one.kind === 'zone' && one.site_id === where.site && (!where.map || one.map_id === where.map));
  return where.area || !hasZones ? where : { ...where, area_kind: 'zone' };
}
