// What the view sends: zones, floors and their images.

import { type Schemas, address, client, told } from '../../api';
import { Problem } from '../../api';
import type { Area, FloorMap } from '../../state';
import { strings } from '../../strings';
import { type Draft, labels, polygonOf } from './draft';

type Properties = Record<string, unknown>;

/// Saves a zone as a GeoJSON feature in metres; what it has beside shape and labels stays.
export async function saveZone(draft: Draft, floor: FloorMap, before: Area | undefined): Promise<Area> {
  const properties = { ...(before && (await propertiesOf(before))), name: draft.name.trim(), tags: labels(draft.tags), occupancy_limit: draft.limit ?? null };
  const { exit_grace_s, presence_timeout_s, reported_timeout_s } = before ?? {};
  const feature = {
    type: 'Feature',
    map_id: floor.map_id,
    site_id: floor.site_id,
    geometry: polygonOf(draft.rings),
    properties,
    exit_grace_s,
    presence_timeout_s,
    reported_timeout_s,
    // Where its polygon is known, a zone is computed unless somebody wants otherwise.
    authoritative_source: before?.authoritative_source === 'reported' ? 'reported' : undefined,
  };
  // The document tells of the vendor's form; a feature is the other that is taken.
  const body = feature as unknown as Schemas['AreaUpload'];
  const query = { kind: 'zone' } as const;
  if (draft.id === undefined) return told(client.POST('/v1/areas', { params: { query }, body }));
  return told(client.PUT('/v1/areas/{id}', { params: { path: { id: draft.id }, query }, body }));
}

/// Properties that came with a zone's upload.
async function propertiesOf(area: Area): Promise<Properties> {
  const query = { map: area.map_id ?? undefined, kind: 'zone', format: 'geojson' } as const;
  const found = (await told(client.GET('/v1/areas', { params: { query } }))) as unknown as { features: { id: string; properties: Properties }[] };
  return found.features.find((one) => one.id === area.area_id)?.properties ?? {};
}

/// A floor as it is sent, with other lengths.
export function floorBody(floor: FloorMap, changes: Partial<Schemas['MapUpload']>): Schemas['MapUpload'] {
  const { site_id, name, width_m, height_m, ppm, orientation_deg, occupancy_limit, georeference } = floor;
  return { site_id, name, width_m, height_m, ppm, orientation_deg, occupancy_limit, georeference, ...changes };
}

export const saveFloor = (id: string, body: Schemas['MapUpload']): Promise<FloorMap> => told(client.PUT('/v1/maps/{id}', { params: { path: { id } }, body }));

export async function saveImage(id: string, image: Blob): Promise<void> {
  await sent('PUT', address(`/v1/maps/${encodeURIComponent(id)}/image`), image);
}

export type ImportAnswer = Schemas['ImportAnswer'];

export async function importFile(file: Blob, query: { dry_run: boolean; replace: boolean; units?: string; map?: string; site?: string }): Promise<ImportAnswer> {
  return (await (await sent('POST', address('/v1/maps/import', query), file)).json()) as ImportAnswer;
}

/// Sends bytes as they are.
async function sent(method: string, url: string, body: Blob): Promise<Response> {
  const answer = await fetch(url, { method, body }).catch(() => {
    throw new Problem(strings.errors.unreachable, 0);
  });
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as Partial<Schemas['Problem']>;
  throw new Problem(problem.detail ?? strings.errors.status(answer.status), answer.status, problem.errors ?? []);
}

/// Pixels of an image; an SVG that states none has those that browsers give it.
export async function sizeOf(image: Blob): Promise<{ width: number; height: number }> {
  const url = URL.createObjectURL(image);
  try {
    const shown = new Image();
    shown.src = url;
    await shown.decode();
    return { width: shown.naturalWidth, height: shown.naturalHeight };
  } catch {
    throw new Problem(strings.zones.image.unreadable, 0);
  } finally {
    URL.revokeObjectURL(url);
  }
}
