// A zone that is being changed, with what it was before each change.

import type { Area } from '../../state';
import type { Point, ZoneShape } from '../../plan/geometry';

export interface Draft {
  /// `undefined` for a zone that is not on the server yet.
  id?: string;
  name: string;
  tags: string;
  limit?: number;
  /// The outer ring and holes, none closed, metres.
  rings: Point[][];
}

export interface Edit {
  past: Draft[];
  now: Draft;
  future: Draft[];
}

const STEPS_MAX = 200;

export const begun = (now: Draft): Edit => ({ past: [], now, future: [] });

/// Typing into one field is one step.
export function changed({ past, now }: Edit, changes: Partial<Draft>, isSameStep = false): Edit {
  const kept = isSameStep && past.length > 0 ? past : [...past, now].slice(-STEPS_MAX);
  return { past: kept, now: { ...now, ...changes }, future: [] };
}

export function undone({ past, now, future }: Edit): Edit {
  const last = past[past.length - 1];
  return last ? { past: past.slice(0, -1), now: last, future: [now, ...future] } : { past, now, future };
}

export function redone({ past, now, future }: Edit): Edit {
  const [next, ...rest] = future;
  return next ? { past: [...past, now], now: next, future: rest } : { past, now, future };
}

export const emptyDraft = (): Draft => ({ name: '', tags: '', rings: [] });

export function draftOf(area: Area): Draft {
  const rings = (area.shape as Partial<ZoneShape> | null)?.rings ?? [];
  return { id: area.area_id, name: area.name ?? '', tags: tagsOf(area).join(', '), limit: area.occupancy_limit ?? undefined, rings: rings.map(opened) };
}

export const tagsOf = (area: Area): string[] => (Array.isArray(area.tags) ? area.tags.map(String) : []);

/// A ring without the corner that closes it.
function opened(ring: Point[]): Point[] {
  const [first, last] = [ring[0], ring[ring.length - 1]];
  return ring.length > 1 && first && last && first[0] === last[0] && first[1] === last[1] ? ring.slice(0, -1) : ring;
}

/// The labels in a text, by commas.
export const labels = (text: string): string[] => [...new Set(text.split(',').map((tag) => tag.trim()))].filter(Boolean);

/// Square metres inside the outer ring and in no hole (the shoelace formula).
export function areaOf(rings: Point[][]): number {
  const [outer = 0, ...holes] = rings.map(ringArea);
  return Math.max(0, holes.reduce((left, hole) => left - hole, outer));
}

function ringArea(ring: Point[]): number {
  const twice = ring.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length] ?? [x, y];
    return sum + x * nextY - nextX * y;
  }, 0);
  return Math.abs(twice) / 2;
}

/// The polygon as GeoJSON has it, closed.
export const polygonOf = (rings: Point[][]) => ({ type: 'Polygon', coordinates: rings.filter((ring) => ring.length >= 3).map((ring) => [...ring, ...ring.slice(0, 1)]) });

/// A ring with another corner, in the middle of the edge after corner `at`.
export function withCorner(ring: Point[], at: number): Point[] {
  const [a, b] = [ring[at], ring[(at + 1) % ring.length]];
  if (!a || !b) return ring;
  const middle: Point = [Math.round((a[0] + b[0]) * 500) / 1000, Math.round((a[1] + b[1]) * 500) / 1000];
  return [...ring.slice(0, at + 1), middle, ...ring.slice(at + 1)];
}

/// A rectangle in the middle of a floor, for those who draw without a pointer.
export function squareIn(width_m: number, height_m: number): Point[] {
  const [x, y, half] = [Math.round(width_m / 2), Math.round(height_m / 2), Math.max(1, Math.round(Math.min(width_m, height_m) / 8))];
  return [[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]];
}
