// The zones of a floor, and what else can be done with the floor.

import type { ComponentChildren } from 'preact';
import type { Area } from '../../state';
import { strings } from '../../strings';
import { Empty } from '../../ui/ask';
import { areaOf, draftOf, tagsOf } from './draft';

const words = strings.zones;

interface ListProps {
  zones: Area[];
  onEdit: (area: Area) => void;
  children: ComponentChildren;
}

export function ZoneList({ zones, onEdit, children }: ListProps) {
  const sorted = [...zones].sort((a, b) => (a.name ?? a.area_id).localeCompare(b.name ?? b.area_id));
  return (
    <section aria-label={words.list}>
      <h2>{words.list}</h2>
      <div class="row">{children}</div>
      {sorted.length === 0 ? (
        <Empty>{words.none}</Empty>
      ) : (
        <table class="zones">
          <caption class="hidden">{words.list}</caption>
          <thead>
            <tr>
              <th scope="col">{words.name}</th>
              <th scope="col" class="number">
                {words.size}
              </th>
              <th scope="col" class="number">
                {words.limit}
              </th>
              <th scope="col">
                <span class="hidden">{words.acts}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((area) => (
              <tr key={area.area_id}>
                <th scope="row">
                  {area.name ?? area.area_id}
                  {tagsOf(area).length > 0 && <span class="quiet under">{tagsOf(area).join(', ')}</span>}
                </th>
                <td class="number">{words.squareMetres(areaOf(draftOf(area).rings))}</td>
                <td class="number">{area.occupancy_limit ?? ''}</td>
                <td>
                  <button type="button" class="link" aria-label={words.editNamed(area.name ?? area.area_id)} onClick={() => onEdit(area)}>
                    {strings.edit}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
