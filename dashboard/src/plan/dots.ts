// Clients on a plan: one dot each, which glides to where its client went. The graphics card moves them, so thousands
// cost one draw call; the processor only hears of new positions, once a second.

import Feature from 'ol/Feature';
import LineString from 'ol/geom/LineString';
import Point from 'ol/geom/Point';
import WebGLVectorLayer from 'ol/layer/WebGLVector';
import type OlMap from 'ol/Map';
import VectorSource from 'ol/source/Vector';
import type { LivePosition } from '../live';
import { toPlane } from './geometry';

/// By kind of client; on light and dark plans alike, told apart by the colour-blind.
export const kindColours: Record<string, string> = { wifi: '#1f6fd1', unconnected: '#d97a00', sdk: '#a3327a', asset: '#3f8f3f' };

/// How long a dot glides to its new place, seconds; as often as the stream tells of positions.
const GLIDE_S = 1;

/// Positions of a trail, and how long it stays after its newest, milliseconds.
const TRAIL_POINTS = 40;
const TRAIL_MS = 120_000;

interface Dot {
  feature: Feature<Point>;
  /// Where it was told to be last, in the plane, and when, by the page's clock.
  x: number;
  y: number;
  at: number;
  kind: string;
  trail: [number, number][];
}

const since = performance.now();
/// Seconds since the page began: small enough for a 32-bit float.
const seconds = () => (performance.now() - since) / 1000;

const colour = ['match', ['get', 'kind'], ...Object.entries(kindColours).flat(), '#666666'];
const left = ['-', 1, ['clamp', ['/', ['-', ['var', 'now'], ['get', 't']], GLIDE_S], 0, 1]];
const away = (axis: string) => ['*', ['get', axis], left, ['var', 'ppm']];

export class Dots {
  private readonly dots = new Map<string, Dot>();
  private readonly source = new VectorSource<Feature>();
  private readonly trails = new VectorSource<Feature>();
  private readonly layer: WebGLVectorLayer;
  private readonly trailLayer: WebGLVectorLayer;
  private frame = 0;
  private glidesUntil = 0;
  private showsTrails = false;

  /// Throws where there is no WebGL.
  constructor(private readonly map: OlMap) {
    if (!document.createElement('canvas').getContext('webgl2') && !document.createElement('canvas').getContext('webgl')) throw new Error('no WebGL');
    this.layer = new WebGLVectorLayer({
      source: this.source,
      zIndex: 4,
      variables: { now: 0, ppm: 1 },
      style: {
        'circle-radius': 5,
        'circle-fill-color': colour,
        'circle-stroke-color': '#ffffff',
        'circle-stroke-width': 1.5,
        'circle-displacement': ['array', away('dx'), away('dy')],
      },
    } as ConstructorParameters<typeof WebGLVectorLayer>[0]);
    this.trailLayer = new WebGLVectorLayer({
      source: this.trails,
      zIndex: 3,
      visible: false,
      style: { 'stroke-color': colour, 'stroke-width': 2, 'stroke-opacity': 0.5 },
    } as ConstructorParameters<typeof WebGLVectorLayer>[0]);
    map.addLayer(this.trailLayer);
    map.addLayer(this.layer);
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    this.map.removeLayer(this.layer);
    this.map.removeLayer(this.trailLayer);
    this.layer.dispose();
    this.trailLayer.dispose();
  }

  setVisible(isVisible: boolean): void {
    this.layer.setVisible(isVisible);
  }

  setTrails(isVisible: boolean): void {
    this.showsTrails = isVisible;
    this.trailLayer.setVisible(isVisible);
    if (isVisible) this.drawTrails();
  }

  clear(): void {
    this.dots.clear();
    this.source.clear(true);
    this.trails.clear(true);
  }

  /// How many of each kind are shown.
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.dots.values()) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  /// Moves the clients that are told of; those told to be on another floor leave.
  move(floor: string, positions: LivePosition[]): void {
    const now = Date.now();
    const t = seconds();
    const added: Feature[] = [];
    for (const { client_id, kind, map_id, x_m, y_m } of positions) {
      const key = `${kind}/${client_id}`;
      const dot = this.dots.get(key);
      if (map_id !== floor) {
        if (dot) this.drop(key, dot);
        continue;
      }
      const [x = 0, y = 0] = toPlane([x_m, y_m]);
      if (dot) {
        dot.feature.setProperties({ dx: dot.x - x, dy: dot.y - y, t }, true);
        dot.feature.getGeometry()?.setCoordinates([x, y]);
        dot.trail.push([x, y]);
        if (dot.trail.length > TRAIL_POINTS) dot.trail.shift();
        Object.assign(dot, { x, y, at: now });
      } else {
        const feature = new Feature({ geometry: new Point([x, y]), kind, dx: 0, dy: 0, t });
        this.dots.set(key, { feature, x, y, at: now, kind, trail: [[x, y]] });
        added.push(feature);
      }
    }
    if (added.length) this.source.addFeatures(added);
    if (this.showsTrails) this.drawTrails();
    this.glidesUntil = t + GLIDE_S;
    if (!this.frame) this.frame = requestAnimationFrame(this.glide);
  }

  /// Drops clients that were not heard of for `silence_ms`, as the presence rules do.
  forget(silence_ms: number): void {
    const oldest = Date.now() - silence_ms;
    for (const [key, dot] of this.dots) if (dot.at < oldest) this.drop(key, dot);
  }

  private drop(key: string, dot: Dot): void {
    this.source.removeFeature(dot.feature);
    this.dots.delete(key);
  }

  private drawTrails(): void {
    const oldest = Date.now() - TRAIL_MS;
    const lines: Feature[] = [];
    for (const { trail, at, kind } of this.dots.values()) {
      if (trail.length > 1 && at > oldest) lines.push(new Feature({ geometry: new LineString(trail), kind }));
    }
    this.trails.clear(true);
    this.trails.addFeatures(lines);
  }

  private readonly glide = (): void => {
    const now = seconds();
    const resolution = this.map.getView().getResolution() ?? 1;
    this.layer.updateStyleVariables({ now, ppm: 1 / resolution });
    this.frame = now < this.glidesUntil + 0.1 ? requestAnimationFrame(this.glide) : 0;
  };
}
