// Between the server's frame (metres from the top left of the floorplan, y down) and OpenLayers' (y up).

import type { Coordinate } from 'ol/coordinate';
import Polygon from 'ol/geom/Polygon';
import Projection from 'ol/proj/Projection';
import type { Area, FloorMap } from '../state';

/// A floor's own plane, in metres.
export const plane = new Projection({ code: 'footfall:floor', units: 'm', metersPerUnit: 1 });

export type Point = [number, number];

/// The shape of a zone as the API writes it: an outer ring and holes, each closed or not.
export interface ZoneShape {
  rings: Point[][];
}

export const toPlane = ([x, y]: readonly number[]): Coordinate => [x ?? 0, -(y ?? 0)];
export const toFloor = ([x, y]: readonly number[]): Point => [x ?? 0, -(y ?? 0)];

export function extentOf(map: FloorMap): [number, number, number, number] {
  return [0, -(map.height_m ?? 50), map.width_m ?? 50, 0];
}

/// The polygon of a zone; `undefined` for areas that are none.
export function polygonOf(area: Area): Polygon | undefined {
  const rings = (area.shape as Partial<ZoneShape> | null)?.rings;
  return rings && new Polygon(rings.map((ring) => closed(ring).map(toPlane)));
}

function closed(ring: Point[]): Point[] {
  const [first, last] = [ring[0], ring[ring.length - 1]];
  return first && last && (first[0] !== last[0] || first[1] !== last[1]) ? [...ring, first] : ring;
}
