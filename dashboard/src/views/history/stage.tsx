// The plan on which an hour is played: clients and zones as they were at an instant.

import { useEffect, useRef, useState } from 'preact/hooks';
import { Dots } from '../../plan/dots';
import { Plan, type Shade } from '../../plan/plan';
import { Zoom } from '../../plan/zoom';
import { type Area, type FloorMap, isDark } from '../../state';
import { strings } from '../../strings';
import { type Recording, countAt, placesAt, visitKey } from './recording';

const words = strings.history.playback;

/// With fewer clients than this in the fullest zone, colours would say too much.
const FULL_AT_LEAST = 5;

export function shadesAt(recording: Recording, zones: Area[], most: number, instant: number): Map<string, Shade> {
  return new Map(
    zones.map((area) => {
      const count = countAt(recording, visitKey(area.kind, area.area_id), instant);
      const isOver = area.occupancy_limit != null && count > area.occupancy_limit;
      return [area.area_id, { count, fullness: count / Math.max(FULL_AT_LEAST, most), isOver }];
    }),
  );
}

export interface StageProps {
  floor: FloorMap;
  zones: Area[];
  shades: Map<string, Shade>;
  recording: Recording | undefined;
  instant: number;
}

export function Stage({ floor, zones, shades, recording, instant }: StageProps) {
  const box = useRef<HTMLDivElement>(null);
  const plan = useRef<Plan | undefined>(undefined);
  const dots = useRef<Dots | undefined>(undefined);
  const [lacksWebgl, setLacksWebgl] = useState(false);
  const dark = isDark.value;
  useEffect(() => {
    if (!box.current) return;
    const drawn = new Plan(box.current);
    plan.current = drawn;
    dots.current = new Dots(drawn.map);
    setLacksWebgl(!dots.current.areDrawn);
    return () => {
      dots.current?.dispose();
      dots.current = undefined;
      drawn.dispose();
    };
  }, []);
  useEffect(() => plan.current?.show(floor, dark), [floor, dark]);
  useEffect(() => plan.current?.setZones(zones), [zones]);
  useEffect(() => plan.current?.shade(shades), [shades]);
  useEffect(() => dots.current?.place(floor.map_id, recording ? placesAt(recording, floor.map_id, instant) : []), [floor, recording, instant]);
  return (
    <div class="plan">
      <div ref={box} class="canvas" tabIndex={0} role="application" aria-label={words.plan} />
      <Zoom plan={plan} />
      {lacksWebgl && <p class="fault">{strings.live.webgl}</p>}
    </div>
  );
}
