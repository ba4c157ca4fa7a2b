// What all views share: the sites and floors there are, which are chosen, the theme.

import { computed, effect, signal } from '@preact/signals';
import { Problem, type Schemas, client, told } from './api';
import { strings } from './strings';
import { param, place, setParams } from './url';

export type Site = Schemas['Site'];
export type FloorMap = Schemas['Map'];
export type Area = Schemas['Area'];

/// `undefined` until they are known.
export const sites = signal<Site[] | undefined>();
export const maps = signal<FloorMap[] | undefined>();
/// Why they are not.
export const problem = signal<Problem | undefined>();

/// The chosen site: that of the address, else the first.
export const site = computed(() => sites.value?.find((one) => one.site_id === param('site')) ?? sites.value?.[0]);
export const siteMaps = computed(() => (maps.value ?? []).filter((one) => one.site_id === site.value?.site_id && one.is_mapped));
/// The chosen floor of that site.
export const map = computed(() => siteMaps.value.find((one) => one.map_id === param('map')) ?? siteMaps.value[0]);
export const zone = computed(() => site.value?.time_zone ?? 'UTC');

export async function loadPlaces(): Promise<void> {
  try {
    const [foundSites, foundMaps] = await Promise.all([told(client.GET('/v1/sites')), told(client.GET('/v1/maps'))]);
    sites.value = foundSites.sites;
    maps.value = foundMaps.maps;
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
