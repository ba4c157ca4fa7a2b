// Plays an hour of the past on the plan. Which hour, and which instant is looked at, are in the address.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { client, told } from '../../api';
import { kindColours } from '../../plan/dots';
import { type Area, type FloorMap, areas, site, zone } from '../../state';
import { strings } from '../../strings';
import { HOUR, clock, rfc3339 } from '../../time';
import { Answer, Empty, useAsk } from '../../ui/ask';
import { instant as instantOfInput, local } from '../../ui/range';
import { param, setParams } from '../../url';
import { dayName } from './labels';
import type { Question } from './question';
import { POSITIONS_MAX, type Recording, fullest, placesAt, record, visitKey } from './recording';
import { Stage, shadesAt } from './stage';

const words = strings.history.playback;

export const playbackId = 'playback';

/// How much faster than it was.
const SPEEDS = [30, 60, 300];

export function Playback({ question }: { question: Question }) {
  const section = useRef<HTMLElement>(null);
  const isNear = useNear(section);
  const floor = question.floor;
  return (
    <section ref={section} class="card playback" aria-labelledby={playbackId}>
      <h3 id={playbackId} tabIndex={-1}>
        {words.title}
      </h3>
      <p class="quiet">{words.explained}</p>
      {!floor ? <Empty>{words.noMap}</Empty> : isNear && <Hour key={floor.map_id} question={question} floor={floor} />}
    </section>
  );
}

/// Whether something has come near the screen: what is below and never looked at costs nothing.
function useNear(element: { current: HTMLElement | null }): boolean {
  const [isNear, setNear] = useState(false);
  useEffect(() => {
    if (!element.current) return;
    const observer = new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && setNear(true), { rootMargin: '200px' });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return isNear;
}

function Hour({ question, floor }: { question: Question; floor: FloorMap }) {
  const { when, who, area, where } = question;
  const busiest = useAsk(
    (signal) => told(client.GET('/v1/occupancy/peaks', { params: { query: { ...(area ? where : { map: floor.map_id }), ...who, ...when, bucket: '1h', limit: 1 } }, signal })),
    [question, floor.map_id],
  );
  return (
    <Answer asked={busiest}>
      {({ peaks }) => {
        const [peak] = peaks;
        const top = peak && peak.max > 0 ? Math.max(Date.parse(peak.at) - HOUR / 2, question.range.from) : question.range.from;
        const from = Date.parse(param('play')) || Math.floor(top / 60_000) * 60_000;
        return <Player question={question} floor={floor} from={from} busiest={top} />;
      }}
    </Answer>
  );
}

function Player({ question, floor, from, busiest }: { question: Question; floor: FloorMap; from: number; busiest: number }) {
  const siteId = site.value?.site_id ?? '';
  const { who } = question;
  const asked = useAsk((signal) => record(siteId, floor.map_id, from, from + HOUR, who, signal), [siteId, floor.map_id, from, who.kind, who.randomised]);
  const zones = useMemo(() => (areas.value ?? []).filter((one) => one.map_id === floor.map_id && one.kind === 'zone' && one.is_mapped), [areas.value, floor.map_id]);
  // While another hour is on its way, the plan is empty: what is shown is what is said.
  const recording = asked.data?.from === from && !asked.isLoading ? asked.data : undefined;
  const { at, setAt, isPlaying, setPlaying, speed, setSpeed } = useClock(from, recording !== undefined);
  const most = useMemo(() => (recording ? fullest(recording, zones.map((one) => visitKey(one.kind, one.area_id))) : 0), [recording, zones]);
  // Numbers change no faster than they are read.
  const shownAt = isPlaying ? Math.floor(at / 5000) * 5000 : at;
  const shades = useMemo(() => (recording ? shadesAt(recording, zones, most, shownAt) : new Map()), [recording, zones, most, shownAt]);
  const start = (value: string) => {
    const chosen = instantOfInput(value);
    if (chosen !== undefined) setParams({ play: rfc3339(chosen), at: '' });
  };
  return (
    <>
      <div class="toolbar controls">
        <label>
          <span>{words.start}</span>
          <input type="datetime-local" value={local(from)} onChange={(event) => start(event.currentTarget.value)} />
        </label>
        <button type="button" onClick={() => start(local(busiest))}>
          {words.busiest}
        </button>
        <button type="button" class="primary" disabled={!recording} onClick={() => setPlaying(!isPlaying)}>
          {isPlaying ? words.pause : words.play}
        </button>
        <label>
          <span>{words.speed}</span>
          <select value={speed} onChange={(event) => setSpeed(Number(event.currentTarget.value))}>
            {SPEEDS.map((one) => (
              <option value={one}>{words.times(one)}</option>
            ))}
          </select>
        </label>
        <label class="instant">
          <span>{words.instant}</span>
          <input
            type="range"
            min={from}
            max={from + HOUR}
            step={5000}
            value={at}
            disabled={!recording}
            aria-valuetext={clock(at, zone.value, true)}
            onInput={(event) => setAt(Number(event.currentTarget.value))}
            onChange={(event) => setParams({ at: rfc3339(Number(event.currentTarget.value)) })}
          />
        </label>
        <output class="time">
          {dayName(at)}, <strong>{clock(at, zone.value, true)}</strong>
        </output>
      </div>
      {asked.problem && !recording && <Answer asked={asked}>{() => null}</Answer>}
      {recording?.cutAt !== undefined && <p class="notice">{words.cut(POSITIONS_MAX, clock(recording.cutAt, zone.value, true))}</p>}
      {recording && recording.tracks.length === 0 && <Empty>{words.empty}</Empty>}
      <div class="stage" aria-busy={asked.isLoading}>
        <Stage floor={floor} zones={zones} shades={shades} recording={recording} instant={at} />
        <Zones zones={zones} shades={shades} at={shownAt} recording={recording} floor={floor} />
      </div>
    </>
  );
}

/// The instant that is looked at; it runs when it is played, and is kept in the address when it stands.
function useClock(from: number, isReady: boolean) {
  const told = Date.parse(param('at'));
  const start = told >= from && told <= from + HOUR ? told : from;
  const [at, setAt] = useState(start);
  const [isPlaying, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(60);
  useEffect(() => {
    setAt(start);
    setPlaying(false);
  }, [from, param('at')]);
  const instant = useRef(at);
  instant.current = at;
  useEffect(() => {
    if (!isPlaying || !isReady) return;
    let frame = 0;
    let last = performance.now();
    const step = (now: number) => {
      const next = Math.min(from + HOUR, instant.current + (now - last) * speed);
      last = now;
      setAt(next);
      if (next < from + HOUR) frame = requestAnimationFrame(step);
      else setPlaying(false);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [isPlaying, isReady, speed, from]);
  const play = (plays: boolean) => {
    // At its end it begins again.
    if (plays && at >= from + HOUR) setAt(from);
    setPlaying(plays);
    if (!plays) setParams({ at: rfc3339(at) });
  };
  return { at, setAt, isPlaying, setPlaying: play, speed, setSpeed };
}

interface ZonesProps {
  zones: Area[];
  shades: ReturnType<typeof shadesAt>;
  at: number;
  recording: Recording | undefined;
  floor: FloorMap;
}

function Zones({ zones, shades, at, recording, floor }: ZonesProps) {
  const counts = useMemo(() => {
    const counts: Record<string, number> = {};
    if (recording) for (const { kind } of placesAt(recording, floor.map_id, at)) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }, [recording, at]);
  const all = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const rows = zones.map((area) => ({ area, shade: shades.get(area.area_id) })).sort((a, b) => (a.area.name ?? '').localeCompare(b.area.name ?? ''));
  return (
    <div class="zones-then">
      <p class="big">
        <strong>{all.toLocaleString('en')}</strong> {all === 1 ? words.client : words.clients}
      </p>
      <ul class="legend" aria-label={strings.live.legend}>
        {Object.entries(kindColours).map(([kind, colour]) => (
          <li>
            <span class="dot" style={{ background: colour }} /> {strings.kinds[kind]} <span class="quiet">{counts[kind] ?? 0}</span>
          </li>
        ))}
      </ul>
      {rows.length === 0 ? (
        <Empty>{words.noZones}</Empty>
      ) : (
        <table class="zones">
          <caption>{words.zonesAt(clock(at, zone.value))}</caption>
          <thead>
            <tr>
              <th scope="col">{strings.live.zone}</th>
              <th scope="col" class="number">
                {strings.live.clients}
              </th>
              <th scope="col" class="number">
                {strings.live.limit}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ area, shade }) => (
              <tr key={area.area_id} class={shade?.isOver ? 'over' : ''}>
                <th scope="row">{area.name ?? area.area_id}</th>
                <td class="number count">
                  {shade?.count ?? ''}
                  {shade?.isOver && <span class="hidden"> {strings.live.over}</span>}
                </td>
                <td class="number limit">{area.occupancy_limit ?? ''}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
