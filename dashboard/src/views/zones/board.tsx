// The plan on which zones are drawn.

import type Polygon from 'ol/geom/Polygon';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Editor } from '../../plan/editor';
import type { Point } from '../../plan/geometry';
import { Plan } from '../../plan/plan';
import { Zoom } from '../../plan/zoom';
import { type Area, type FloorMap, isDark } from '../../state';
import { strings } from '../../strings';

/// `look`: zones are chosen by a click; `shape`: the draft is changed; `ring`: a ring is drawn; `measure`: two points are.
export type Pointer = 'look' | 'shape' | 'ring' | 'measure';

interface BoardProps {
  floor: FloorMap;
  /// Zones but the one that is changed.
  zones: Area[];
  rings: Point[][];
  pointer: Pointer;
  onChoose: (areaId: string) => void;
  onRings: (rings: Point[][]) => void;
  onRing: (ring: Point[]) => void;
  onMeasure: (ends: [Point, Point]) => void;
}

export function Board(props: BoardProps) {
  const { floor, zones, rings, pointer } = props;
  const box = useRef<HTMLDivElement>(null);
  const plan = useRef<Plan | undefined>(undefined);
  const editor = useRef<Editor | undefined>(undefined);
  // What the pointer does is told to whoever listens by then.
  const latest = useRef(props);
  latest.current = props;
  const dark = isDark.value;
  // Before the page is painted: whoever sees it may click at once.
  useLayoutEffect(() => {
    if (!box.current) return;
    const drawn = new Plan(box.current);
    plan.current = drawn;
    editor.current = new Editor(drawn.map, drawn.zones);
    drawn.map.on('click', ({ pixel }) => {
      if (latest.current.pointer !== 'look') return;
      // Of zones that lie on each other the smallest: a larger one can be had beside it.
      const found = drawn.map.getFeaturesAtPixel(pixel, { layerFilter: (layer) => layer === drawn.zoneLayer });
      const [smallest] = found.map((feature) => ({ id: feature.getId(), size: (feature.getGeometry() as Polygon).getArea() })).sort((a, b) => a.size - b.size);
      if (smallest?.id !== undefined) latest.current.onChoose(String(smallest.id));
    });
    return () => {
      editor.current?.dispose();
      drawn.dispose();
    };
  }, []);
  useLayoutEffect(() => plan.current?.show(floor, dark), [floor, dark]);
  useLayoutEffect(() => plan.current?.setZones(zones), [zones]);
  useLayoutEffect(() => editor.current?.show(rings), [rings]);
  useLayoutEffect(() => {
    if (pointer === 'look') editor.current?.rest();
    else if (pointer === 'shape') editor.current?.change((changed) => latest.current.onRings(changed));
    else if (pointer === 'ring') editor.current?.draw((ring) => latest.current.onRing(ring));
    else editor.current?.measure((ends) => latest.current.onMeasure(ends));
  }, [pointer]);
  return (
    <section class={`plan pointer-${pointer}`} aria-label={strings.zones.plan}>
      <div ref={box} class="canvas" tabIndex={0} role="application" aria-label={strings.zones.plan} />
      <Zoom plan={plan} />
    </section>
  );
}
