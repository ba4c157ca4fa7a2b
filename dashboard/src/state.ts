// What all views share: the sites and floors there are, which are chosen, the theme.

import { batch, computed, effect, signal } from '@preact/signals';
import { Problem, type Schemas, client, told } from './api';
import { strings } from './strings';
import { param, place, setParams } from './url';

export type Site = Schemas['Site'];
export type FloorMap = Schemas['Map'];
export type Area = Schemas['Area'];

/// `undefined` until they are known.
export const sites = signal<Site[] | undefined>();
export const maps = signal<FloorMap[] | undefined>();
export const areas = signal<Area[] | undefined>();
/// Why they are not.
export const problem = signal<Problem | undefined>();

/// The chosen site: that of the address, else the first.
export const site = computed(() => sites.value?.find((one) => one.site_id === param('site')) ?? sites.value?.[0]);
export const siteMaps = computed(() => (maps.value ?? []).filter((one) => one.site_id === site.value?.site_id && one.is_mapped));
/// The chosen floor of that site.
export const map = computed(() => siteMaps.value.find((one) => one.map_id === param('map')) ?? siteMaps.value[0]);
/// Areas of the chosen floor, zones first, by name.
export const mapAreas = computed(() =>
  (areas.value ?? [])
    .filter((one) => one.map_id === map.value?.map_id && one.is_mapped)
    .sort((a, b) => b.kind.localeCompare(a.kind) || (a.name ?? '').localeCompare(b.name ?? '')),
);
/// The time zone of the chosen site.
export const zone = computed(() => site.value?.time_zone ?? 'UTC');

/// Reads sites, floors and areas; again after any of them was changed.
export async function loadPlaces(): Promise<void> {
  try {
    const asked = [client.GET('/v1/sites'), client.GET('/v1/maps'), client.GET('/v1/areas')] as const;
    const [foundSites, foundMaps, foundAreas] = await Promise.all([told(asked[0]), told(asked[1]), told(asked[2])]);
    batch(() => {
      sites.value = foundSites.sites;
      maps.value = foundMaps.maps;
      // As GeoJSON it comes only when asked for.
      areas.value = (foundAreas as Schemas['Areas']).areas;
    });
    problem.value = undefined;
  } catch (error) {
    problem.value = error instanceof Problem ? error : new Problem(strings.errors.unknown, 0);
  }
}

export const chooseSite = (id: string) => setParams({ site: id, map: '' }, true);
export const chooseMap = (id: string) => setParams({ map: id }, true);

export type Theme = 'system' | 'light' | 'dark';
const THEME_KEY = 'footfall-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(dark.matches);
dark.addEventListener('change', () => (systemIsDark.value = dark.matches));

function storedTheme(): Theme {
  const stored = localStorage.getItem(THEME_KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

export const theme = signal<Theme>(storedTheme());
/// For what CSS does not reach: the plan and charts.
export const isDark = computed(() => (theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'));

effect(() => {
  localStorage.setItem(THEME_KEY, theme.value);
  document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light';
});

/// A full-screen view with large numbers.
export const isKiosk = computed(() => place.value.params.kiosk === '1');
