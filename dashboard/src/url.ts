// The view in the address, after #: `#/history?site=…&map=…&range=7d`. Whoever gets the address sees the same.

import { computed, signal } from '@preact/signals';

export interface Place {
  view: string;
  params: Record<string, string>;
}

export function read(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  return { view: path || 'live', params: Object.fromEntries(new URLSearchParams(query)) };
}

export function write({ view, params }: Place): string {
  const kept = Object.entries(params).filter(([, value]) => value !== '');
  const query = new URLSearchParams(kept).toString();
  return `#/${view}${query ? `?${query}` : ''}`;
}

const hash = signal(location.hash);
addEventListener('hashchange', () => (hash.value = location.hash));

/// Where the page is.
export const place = computed(() => read(hash.value));

/// One parameter of the address, or what stands for it.
export function param(name: string, otherwise = ''): string {
  return place.value.params[name] ?? otherwise;
}

/// The address of a view that keeps site and floor.
export function linkTo(view: string, more: Record<string, string> = {}): string {
  const { site = '', map = '' } = place.value.params;
  return write({ view, params: { site, map, ...more } });
}

/// Changes parameters of the address; empty ones go. Replaces the entry of the history unless `isStep`.
export function setParams(changes: Record<string, string | undefined>, isStep = false): void {
  const { view, params } = place.value;
  const next: Record<string, string> = { ...params };
  for (const [name, value] of Object.entries(changes)) next[name] = value ?? '';
  const address = write({ view, params: next });
  if (address === location.hash) return;
  if (isStep) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  hash.value = location.hash;
}
