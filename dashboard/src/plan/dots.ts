// Clients on a plan: one dot each, which glides to where its client went.
//
// The graphics card moves them: it is told of two places and a time for each, once a second, and of the view with each
// frame. They lie on a canvas of their own over the plan, so that what stands still is not drawn again. (OpenLayers' own
// WebGL layer draws 5,000 such dots a quarter as often where there is no graphics card: walk/frames.mjs counts.)

import type OlMap from 'ol/Map';
import { unByKey } from 'ol/Observable';
import type { LivePosition } from '../live';
import { toPlane } from './geometry';
import { type Drawing, drawing } from './webgl';

/// By kind of client; on light and dark plans alike, told apart by the colour-blind.
export const kindColours: Record<string, string> = { wifi: '#1f6fd1', unconnected: '#d97a00', sdk: '#a3327a', asset: '#3f8f3f' };
const OTHER = '#666666';

/// How long a dot glides to its new place, seconds; as often as the stream tells of positions.
const GLIDE_S = 1;

/// Places of a trail, and how long it stays after its newest, milliseconds.
const TRAIL_POINTS = 40;
const TRAIL_MS = 120_000;

interface Dot {
  kind: string;
  /// Where it was told to be last, and before, in the plane.
  x: number;
  y: number;
  fromX: number;
  fromY: number;
  /// When it was told, by the page's clock; and in seconds since the page began, small enough for a 32-bit float.
  at: number;
  since: number;
  trail: number[];
}

const seconds = () => performance.now() / 1000;

function rgb(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

const colours = new Map(Object.entries(kindColours).map(([kind, colour]) => [kind, rgb(colour)]));
const colourOf = (kind: string) => colours.get(kind) ?? rgb(OTHER);

export class Dots {
  private readonly dots = new Map<string, Dot>();
  private readonly canvas = document.createElement('canvas');
  private readonly gl: Drawing | undefined;
  private readonly listening;
  private frame = 0;
  private glidesUntil = 0;
  private isVisible = true;
  private showsTrails = false;

  constructor(private readonly map: OlMap) {
    this.gl = drawing(this.canvas);
    this.canvas.className = 'dots';
    map.getTargetElement()?.append(this.canvas);
    this.listening = map.on('postrender', () => this.draw());
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    unByKey(this.listening);
    this.gl?.dispose();
    this.canvas.remove();
  }

  /// Without WebGL clients are counted and not drawn.
  get areDrawn(): boolean {
    return this.gl !== undefined;
  }

  setVisible(isVisible: boolean): void {
    this.isVisible = isVisible;
    this.draw();
  }

  setTrails(isVisible: boolean): void {
    this.showsTrails = isVisible;
    this.upload();
  }

  clear(): void {
    this.dots.clear();
    this.upload();
  }

  /// How many of each kind are shown.
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.dots.values()) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  /// Moves the clients that are told of; those told to be on another floor leave. `glide_s` 0 puts them there at once.
  move(floor: string, positions: LivePosition[], glide_s = GLIDE_S): void {
    const [at, since] = [Date.now(), seconds()];
    for (const { client_id, kind, map_id, x_m, y_m } of positions) {
      const key = `${kind}/${client_id}`;
      if (map_id !== floor) {
        this.dots.delete(key);
        continue;
      }
      const [x = 0, y = 0] = toPlane([x_m, y_m]);
      const dot = this.dots.get(key);
      if (dot && glide_s > 0) {
        const left = 1 - Math.min(1, (since - dot.since) / GLIDE_S);
        Object.assign(dot, { fromX: dot.x + (dot.fromX - dot.x) * left, fromY: dot.y + (dot.fromY - dot.y) * left, x, y, at, since });
        dot.trail.push(x, y);
        if (dot.trail.length > 2 * TRAIL_POINTS) dot.trail.splice(0, 2);
      } else {
        this.dots.set(key, { kind, x, y, fromX: x, fromY: y, at, since, trail: [x, y] });
      }
    }
    this.glidesUntil = since + glide_s;
    this.upload();
  }

  /// Shows these clients and no others, there at once: an instant of the past.
  place(floor: string, positions: LivePosition[]): void {
    this.dots.clear();
    this.move(floor, positions, 0);
  }

  /// Drops clients that were not heard of for `silence_ms`, as the presence rules do.
  forget(silence_ms: number): void {
    const oldest = Date.now() - silence_ms;
    const before = this.dots.size;
    for (const [key, dot] of this.dots) if (dot.at < oldest) this.dots.delete(key);
    if (this.dots.size !== before) this.upload();
  }

  /// Tells the graphics card where all are.
  private upload(): void {
    const points = new Float32Array(this.dots.size * 8);
    let place = 0;
    for (const { x, y, fromX, fromY, since, kind } of this.dots.values()) {
      points.set([fromX, fromY, x, y, since, ...colourOf(kind)], place);
      place += 8;
    }
    this.gl?.setPoints(points);
    this.gl?.setLines(this.showsTrails ? this.trails() : new Float32Array());
    if (!this.frame) this.frame = requestAnimationFrame(this.glide);
  }

  private trails(): Float32Array {
    const oldest = Date.now() - TRAIL_MS;
    const lines: number[] = [];
    for (const { trail, at, kind } of this.dots.values()) {
      if (at < oldest) continue;
      const colour = colourOf(kind);
      for (let i = 2; i < trail.length; i += 2) {
        lines.push(trail[i - 2] ?? 0, trail[i - 1] ?? 0, ...colour, trail[i] ?? 0, trail[i + 1] ?? 0, ...colour);
      }
    }
    return new Float32Array(lines);
  }

  private draw(): void {
    const [width = 0, height = 0] = this.map.getSize() ?? [];
    const view = this.map.getView();
    const centre = view.getCenter();
    const resolution = view.getResolution();
    if (!this.isVisible || !centre || !resolution) return this.gl?.draw(width, height, undefined);
    this.gl?.draw(width, height, { x: centre[0] ?? 0, y: centre[1] ?? 0, resolution, now: seconds(), glide_s: GLIDE_S });
  }

  private readonly glide = (): void => {
    this.draw();
    this.frame = seconds() < this.glidesUntil + 0.1 ? requestAnimationFrame(this.glide) : 0;
  };
}
