// A floor on the screen: its image, its zones with counts, its clients, and layers over them.

import 'ol/ol.css';
import Feature from 'ol/Feature';
import OlMap from 'ol/Map';
import View from 'ol/View';
import { ScaleLine } from 'ol/control';
import { defaults as interactions } from 'ol/interaction/defaults';
import ImageLayer from 'ol/layer/Image';
import VectorLayer from 'ol/layer/Vector';
import ImageStatic from 'ol/source/ImageStatic';
import VectorSource from 'ol/source/Vector';
import { Fill, Stroke, Style, Text } from 'ol/style';
import { address } from '../api';
import type { Area, FloorMap } from '../state';
import { extentOf, plane, polygonOf } from './geometry';

/// How full a zone is shown to be: 0 empty to 1 full, and over.
export interface Shade {
  /// Null: too few to be told.
  count: number | null;
  fullness: number;
  isOver: boolean;
}

const zoneColour = (dark: boolean, { fullness, isOver }: Shade, isChosen: boolean) => {
  const alpha = 0.1 + 0.55 * Math.min(1, fullness);
  const fill = isOver ? `rgba(200, 40, 30, ${Math.max(0.45, alpha)})` : dark ? `rgba(79, 195, 195, ${alpha})` : `rgba(15, 110, 110, ${alpha})`;
  const stroke = isOver ? (dark ? '#ff8a75' : '#a01e10') : dark ? '#7fdede' : '#0b5252';
  return { fill, stroke, width: isChosen ? 4 : 1.5 };
};

export class Plan {
  readonly map: OlMap;
  readonly zones = new VectorSource<Feature>();
  readonly zoneLayer: VectorLayer;
  private readonly image = new ImageLayer<ImageStatic>({ zIndex: 0, className: 'ol-layer plan-image' });
  private readonly heat = new ImageLayer<ImageStatic>({ zIndex: 2, opacity: 0.75 });
  private shades = new Map<string, Shade>();
  private dark = false;
  private chosen: string | undefined;
  private floor: FloorMap | undefined;

  constructor(target: HTMLElement) {
    this.zoneLayer = new VectorLayer({ source: this.zones, zIndex: 1, className: 'ol-layer plan-zones', declutter: false, style: (feature) => this.styleOf(feature as Feature) });
    this.map = new OlMap({
      target,
      layers: [this.image, this.zoneLayer, this.heat],
      controls: [new ScaleLine({ units: 'metric' })],
      interactions: interactions({ altShiftDragRotate: false, pinchRotate: false }),
    });
  }

  dispose(): void {
    this.map.setTarget(undefined);
    this.map.dispose();
  }

  /// Shows another floor, or another version of it; keeps what is looked at when it is the same floor.
  show(floor: FloorMap, dark: boolean): void {
    const extent = extentOf(floor);
    if (floor.map_id !== this.floor?.map_id || floor.width_m !== this.floor.width_m || floor.height_m !== this.floor.height_m) {
      const margin = Math.max(extent[2], -extent[1]) * 0.5;
      const wide: [number, number, number, number] = [-margin, extent[1] - margin, extent[2] + margin, margin];
      this.map.setView(new View({ projection: plane, extent: wide, showFullExtent: true, constrainOnlyCenter: true, maxResolution: 2, minResolution: 0.004 }));
      this.floor = floor;
      this.fit();
    }
    this.floor = floor;
    this.dark = dark;
    const url = floor.image && address(`/v1/maps/${encodeURIComponent(floor.map_id)}/image`);
    this.image.setSource(url ? new ImageStatic({ url, imageExtent: extent, projection: plane, interpolate: true }) : null);
    this.zoneLayer.changed();
  }

  fit(duration = 0): void {
    if (this.floor) this.map.getView().fit(extentOf(this.floor), { padding: [16, 16, 16, 16], duration });
  }

  zoom(by: number): void {
    const view = this.map.getView();
    view.animate({ zoom: (view.getZoom() ?? 0) + by, duration: 150 });
  }

  setZones(areas: Area[]): void {
    this.zones.clear(true);
    const features = areas.flatMap((area) => {
      const geometry = polygonOf(area);
      if (!geometry) return [];
      const feature = new Feature({ geometry, area });
      feature.setId(area.area_id);
      return [feature];
    });
    this.zones.addFeatures(features);
  }

  /// Shades zones by their ids.
  shade(shades: Map<string, Shade>): void {
    this.shades = shades;
    this.zoneLayer.changed();
  }

  choose(areaId: string | undefined): void {
    this.chosen = areaId;
    this.zoneLayer.changed();
  }

  zonesAreVisible(isVisible: boolean): void {
    this.zoneLayer.setVisible(isVisible);
  }

  /// Draws cells of `cell_m` metres, the fullest opaque; `undefined` draws none.
  setHeat(cells: { x_m: number; y_m: number; seconds: number }[] | undefined, cell_m: number): void {
    if (!cells?.length || !this.floor) return this.heat.setSource(null);
    const [, bottom, right] = extentOf(this.floor);
    const columns = Math.max(1, Math.ceil(right / cell_m));
    const rows = Math.max(1, Math.ceil(-bottom / cell_m));
    const canvas = document.createElement('canvas');
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext('2d');
    if (!context) return;
    // The fullest hundredth would hide all others.
    const seconds = cells.map((cell) => cell.seconds).sort((a, b) => a - b);
    const full = seconds[Math.floor(seconds.length * 0.99)] || 1;
    for (const cell of cells) {
      const share = Math.sqrt(Math.min(1, cell.seconds / full));
      context.fillStyle = `hsla(${220 - 200 * share}, 85%, ${this.dark ? 60 : 50}%, ${0.15 + 0.75 * share})`;
      context.fillRect(Math.floor(cell.x_m / cell_m), Math.floor(cell.y_m / cell_m), 1, 1);
    }
    const imageExtent = [0, -rows * cell_m, columns * cell_m, 0];
    this.heat.setSource(new ImageStatic({ url: canvas.toDataURL(), imageExtent, projection: plane, interpolate: true }));
  }

  private styleOf(feature: Feature): Style {
    const area = feature.get('area') as Area;
    const shade = this.shades.get(area.area_id);
    const { fill, stroke, width } = zoneColour(this.dark, shade ?? { count: 0, fullness: 0, isOver: false }, area.area_id === this.chosen);
    const name = area.name ?? area.area_id;
    return new Style({
      fill: new Fill({ color: fill }),
      stroke: new Stroke({ color: stroke, width }),
      text: new Text({
        text: shade ? [String(shade.count ?? '–'), '700 18px system-ui, sans-serif', '\n', '', name, '500 12px system-ui, sans-serif'] : [name, '500 12px system-ui, sans-serif'],
        overflow: false,
        fill: new Fill({ color: this.dark ? '#f2f7f7' : '#10272a' }),
        stroke: new Stroke({ color: this.dark ? 'rgba(16, 24, 26, 0.9)' : 'rgba(255, 255, 255, 0.9)', width: 4 }),
      }),
    });
  }
}
