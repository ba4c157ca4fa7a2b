// What the parts of the alerts view share: severities, and names of places.

import { areas, maps, site, sites } from '../../state';
import { strings } from '../../strings';

const words = strings.alerts;

export const Severity = ({ severity }: { severity: string }) => <span class={`tag mark severity-${severity}`}>{words.severities[severity] ?? severity}</span>;

/// The places that a rule, a silence or an alert may name.
export interface Where {
  site_id?: string | null;
  map_id?: string | null;
  area_id?: string | null;
  area_kind?: string | null;
  tag?: string | null;
}

const sameKind = (where: Where, kind: string) => !where.area_kind || where.area_kind === kind;

export const areaOf = (where: Where) => areas.value?.find((one) => one.area_id === where.area_id && sameKind(where, one.kind));
export const mapOf = (id: string | null | undefined) => maps.value?.find((one) => one.map_id === id);
export const siteName = (id: string) => sites.value?.find((one) => one.site_id === id)?.name ?? id;
export const mapName = (id: string) => mapOf(id)?.name ?? id;

/// Whether it is of the chosen site, or of none in particular.
export function isOfSite(where: Where): boolean {
  const area = where.area_id ? areaOf(where) : undefined;
  const found = where.site_id ?? area?.site_id ?? mapOf(where.map_id)?.site_id;
  return !found || found === site.value?.site_id;
}

/// A place in words.
export function placeName(where: Where): string {
  if (where.tag) return words.rule.tagged(where.tag);
  if (where.area_id) {
    const area = areaOf(where);
    return [area?.name ?? where.area_id, area?.map_id && mapName(area.map_id)].filter(Boolean).join(', ');
  }
  if (where.map_id) return words.rule.wholeMap(mapName(where.map_id));
  return words.rule.wholeSite;
}

/// Options of a choice between the areas of the chosen site, by floor. Values are `kind/id`.
export function AreaOptions() {
  const found = (areas.value ?? []).filter((one) => one.site_id === site.value?.site_id);
  const floors = [...new Set(found.map((one) => one.map_id ?? ''))];
  return (
    <>
      {floors.map((floor) => (
        <optgroup label={floor ? mapName(floor) : strings.header.noMaps}>
          {found
            .filter((one) => (one.map_id ?? '') === floor)
            .sort((a, b) => (a.name ?? a.area_id).localeCompare(b.name ?? b.area_id))
            .map((one) => (
              <option value={`${one.kind}/${one.area_id}`}>{one.name ?? one.area_id}</option>
            ))}
        </optgroup>
      ))}
    </>
  );
}

const NAME_KEY = 'footfall-name';

/// Who acts, as said the last time.
export const lastName = () => localStorage.getItem(NAME_KEY) ?? '';
export const keepName = (name: string) => localStorage.setItem(NAME_KEY, name);
