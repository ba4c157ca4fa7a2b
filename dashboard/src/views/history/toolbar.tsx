// What is asked for, as controls: all of it is in the address.

import { isWithheld } from '../../session';
import { areas, map, siteMaps, site, zone, type Area } from '../../state';
import { strings } from '../../strings';
import { clock } from '../../time';
import { RangePicker } from '../../ui/range';
import { param, setParams } from '../../url';
import { bucketOf, bucketsFor, type Question } from './question';

const words = strings.history;

export function Toolbar({ question, refresh }: { question: Question; refresh: () => void }) {
  return (
    <section class="toolbar" aria-label={words.filters}>
      <RangePicker />
      <Where question={question} />
      {!isWithheld.value && (
        <>
          <Choice label={words.kind} name="kind" choices={{ '': words.kinds, ...strings.kinds }} />
          <Choice label={words.randomised} name="random" choices={words.randomisedChoices} />
          <Choice label={words.minDwell} name="min_dwell" choices={words.minDwells} />
        </>
      )}
      <Bucket question={question} />
      <label class="check">
        <input type="checkbox" checked={param('compare') === '1'} onChange={(event) => setParams({ compare: event.currentTarget.checked ? '1' : '' }, true)} /> {words.compare}
      </label>
      <button type="button" onClick={refresh} title={words.asOf(clock(question.range.to, zone.value))}>
        {words.refresh}
      </button>
    </section>
  );
}

function Choice({ label, name, choices }: { label: string; name: string; choices: Record<string, string> }) {
  return (
    <label>
      <span>{label}</span>
      <select value={param(name) in choices ? param(name) : ''} onChange={(event) => setParams({ [name]: event.currentTarget.value }, true)}>
        {Object.entries(choices).map(([value, shown]) => (
          <option value={value}>{shown}</option>
        ))}
      </select>
    </label>
  );
}

function Bucket({ question }: { question: Question }) {
  const offered = bucketsFor(question.range);
  const chosen = param('bucket');
  return (
    <label>
      <span>{words.bucket}</span>
      <select value={offered.includes(chosen) ? chosen : ''} onChange={(event) => setParams({ bucket: event.currentTarget.value }, true)}>
        <option value="">{words.bucketAuto(words.bucketOf[bucketOf(question.range)] ?? '')}</option>
        {offered.map((name) => (
          <option value={name}>{words.bucketOf[name]}</option>
        ))}
      </select>
    </label>
  );
}

function Where({ question }: { question: Question }) {
  const ofSite = (areas.value ?? []).filter((one) => one.site_id === site.value?.site_id);
  const floors = siteMaps.value.map((one) => ({ name: one.name ?? one.map_id, areas: ofSite.filter((area) => area.map_id === one.map_id) }));
  const elsewhere = ofSite.filter((area) => !siteMaps.value.some((one) => one.map_id === area.map_id));
  const chosen = question.area ? keyOf(question.area) : question.where.map ? 'map' : 'site';
  const choose = (value: string) => {
    const area = ofSite.find((one) => keyOf(one) === value);
    setParams({ scope: value === 'map' ? 'map' : '', area: area?.area_id, area_kind: area && area.kind !== 'zone' ? area.kind : '' }, true);
  };
  return (
    <label>
      <span>{words.where}</span>
      <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="site">{words.site}</option>
        {map.value && <option value="map">{words.map(map.value.name ?? map.value.map_id)}</option>}
        {[...floors, { name: words.elsewhere, areas: elsewhere }]
          .filter((one) => one.areas.length > 0)
          .map((floor) => (
            <optgroup label={floor.name}>
              {floor.areas.sort(byName).map((area) => (
                <option value={keyOf(area)}>{nameOf(area)}</option>
              ))}
            </optgroup>
          ))}
      </select>
    </label>
  );
}

const keyOf = (area: Area) => `${area.kind}/${area.area_id}`;
const nameOf = (area: Area) => (area.name ?? area.area_id) + (words.areaKinds[area.kind] ? ` (${words.areaKinds[area.kind]})` : '');
const byName = (a: Area, b: Area) => b.kind.localeCompare(a.kind) || nameOf(a).localeCompare(nameOf(b));
