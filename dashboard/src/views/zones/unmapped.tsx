// What events name and nobody has drawn yet.

import { type Schemas, client, told } from '../../api';
import { isWithheld } from '../../session';
import { areas, map, site } from '../../state';
import { strings } from '../../strings';
import { useAsk } from '../../ui/ask';

const words = strings.zones.unmapped;

export type UnmappedArea = Schemas['UnmappedArea'];

interface UnmappedProps {
  onFloor: (mapId: string) => void;
  onZone: (area: UnmappedArea) => void;
}

export function Unmapped({ onFloor, onZone }: UnmappedProps) {
  const id = site.value?.site_id;
  const asked = useAsk(
    async (signal) => (isWithheld.value ? undefined : told(client.GET('/v1/unmapped', { params: { query: { site: id } }, signal }))),
    [id, areas.value],
    30_000,
  );
  const { maps = [], areas: zones = [] } = asked.data ?? {};
  const drawable = zones.filter((one) => one.kind === 'zone' && (!one.map_id || one.map_id === map.value?.map_id));
  if (maps.length + drawable.length === 0) return null;
  return (
    <section aria-label={words.title}>
      <h2>{words.title}</h2>
      <p class="quiet">{words.explained}</p>
      <ul class="unmapped">
        {maps.map((one) => (
          <li key={one.map_id}>
            <span>
              {words.floor} <code>{one.map_id}</code> <span class="quiet under">{words.fixes(one.fixes, one.clients)}</span>
            </span>
            <button type="button" onClick={() => onFloor(one.map_id)} aria-label={words.addFloor(one.map_id)}>
              {strings.add}
            </button>
          </li>
        ))}
        {map.value &&
          drawable.map((one) => (
            <li key={one.area_id}>
              <span>
                {words.zone} <code>{one.area_id}</code> <span class="quiet under">{words.reports(one.events, one.clients)}</span>
              </span>
              <button type="button" onClick={() => onZone(one)} aria-label={words.drawZone(one.area_id)}>
                {words.draw}
              </button>
            </li>
          ))}
      </ul>
    </section>
  );
}
