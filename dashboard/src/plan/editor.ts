// One polygon of the plan under the pointer: drawn, its corners dragged, added and taken away, moved as a whole, holes cut.
// Corners and edges snap to those of the other zones.

import Feature from 'ol/Feature';
import type OlMap from 'ol/Map';
import { altKeyOnly, singleClick } from 'ol/events/condition';
import LineString from 'ol/geom/LineString';
import MultiPoint from 'ol/geom/MultiPoint';
import Polygon from 'ol/geom/Polygon';
import Draw from 'ol/interaction/Draw';
import type Interaction from 'ol/interaction/Interaction';
import Modify from 'ol/interaction/Modify';
import Snap from 'ol/interaction/Snap';
import Translate from 'ol/interaction/Translate';
import VectorLayer from 'ol/layer/Vector';
import VectorSource from 'ol/source/Vector';
import { Circle, Fill, Stroke, Style } from 'ol/style';
import { type Point, toFloor, toPlane } from './geometry';

/// How near the pointer catches a corner or an edge, pixels.
const CATCH_PX = 10;

const COLOUR = '#c2410c';

const styles = [
  new Style({ fill: new Fill({ color: 'rgba(234, 120, 40, 0.25)' }), stroke: new Stroke({ color: COLOUR, width: 3 }) }),
  new Style({
    image: new Circle({ radius: 5, fill: new Fill({ color: '#ffffff' }), stroke: new Stroke({ color: COLOUR, width: 2 }) }),
    geometry: (feature) => {
      const shape = feature.getGeometry();
      return shape instanceof Polygon ? new MultiPoint(shape.getCoordinates().flatMap((ring) => ring.slice(0, -1))) : undefined;
    },
  }),
];

/// To the millimetre, in which the vendor gives corners too.
const rounded = ([x, y]: Point): Point => [Math.round(x * 1000) / 1000, Math.round(y * 1000) / 1000];

/// A ring as it is sent: open, in the floor's frame.
const openRing = (ring: number[][]): Point[] => ring.slice(0, -1).map((corner) => rounded(toFloor(corner)));
const closedRing = (ring: Point[]) => [...ring, ...ring.slice(0, 1)].map(toPlane);

export class Editor {
  private readonly source = new VectorSource<Feature<Polygon>>();
  private readonly layer = new VectorLayer({ source: this.source, zIndex: 5, style: styles, className: 'ol-layer plan-draft' });
  private readonly snaps: Snap[];
  private interactions: Interaction[] = [];
  private feature: Feature<Polygon> | undefined;

  /// `others`: what corners snap to beside the polygon's own.
  constructor(
    private readonly map: OlMap,
    others: VectorSource<Feature>,
  ) {
    map.addLayer(this.layer);
    const pixelTolerance = CATCH_PX;
    this.snaps = [new Snap({ source: others, pixelTolerance }), new Snap({ source: this.source as VectorSource<Feature>, pixelTolerance })];
  }

  dispose(): void {
    this.rest();
    this.map.removeLayer(this.layer);
  }

  /// Shows rings, the outer one first; none shows nothing.
  show(rings: Point[][]): void {
    const outer = rings[0];
    if (!outer || outer.length < 3) {
      this.source.clear();
      this.feature = undefined;
      return;
    }
    const coordinates = rings.filter((ring) => ring.length >= 3).map(closedRing);
    if (this.feature) this.feature.getGeometry()?.setCoordinates(coordinates);
    else {
      this.feature = new Feature(new Polygon(coordinates));
      this.source.addFeature(this.feature);
    }
  }

  /// Lets corners be dragged (Alt and a click takes one away), edges be bent, and the whole be moved.
  change(onChange: (rings: Point[][]) => void): void {
    this.rest();
    const tell = () => this.feature && onChange((this.feature.getGeometry()?.getCoordinates() ?? []).map(openRing));
    const translate = new Translate({ layers: [this.layer] });
    translate.on('translateend', tell);
    const deleteCondition = (event: Parameters<typeof altKeyOnly>[0]) => altKeyOnly(event) && singleClick(event);
    const modify = new Modify({ source: this.source, pixelTolerance: CATCH_PX, deleteCondition });
    modify.on('modifyend', tell);
    this.take([translate, modify]);
  }

  /// Lets a ring be drawn: a click for each corner, the first again or a double click ends it.
  draw(onDrawn: (ring: Point[]) => void): void {
    this.rest();
    const draw = new Draw({ type: 'Polygon', style: styles[0] });
    draw.on('drawend', ({ feature }) => {
      const ring = (feature.getGeometry() as Polygon).getCoordinates()[0] ?? [];
      onDrawn(openRing(ring));
    });
    this.take([draw]);
  }

  /// Lets two points be clicked.
  measure(onMeasured: (ends: [Point, Point]) => void): void {
    this.rest();
    const line = new Draw({ type: 'LineString', maxPoints: 2, style: styles[0] });
    line.on('drawend', ({ feature }) => {
      const [a, b] = (feature.getGeometry() as LineString).getCoordinates().map(toFloor);
      if (a && b) onMeasured([a, b]);
    });
    this.take([line]);
  }

  /// Reacts to nothing.
  rest(): void {
    for (const interaction of this.interactions) this.map.removeInteraction(interaction);
    this.interactions = [];
  }

  private take(interactions: Interaction[]): void {
    // Snapping comes last: the last is asked first.
    this.interactions = [...interactions, ...this.snaps];
    for (const interaction of this.interactions) this.map.addInteraction(interaction);
  }
}
