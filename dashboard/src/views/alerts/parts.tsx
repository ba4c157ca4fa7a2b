// What the parts of the alerts view share: acts and how they went, questions before what cannot be undone, names of places.

import { type ComponentChildren, type VNode, cloneElement } from 'preact';
import { useId, useState } from 'preact/hooks';
import type { Problem } from '../../api';
import { areas, maps, site, sites } from '../../state';
import { strings } from '../../strings';
import { asProblem, Fault } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';

const words = strings.alerts;

export interface Act {
  /// Does something, and says whether it went well.
  run: (doing: () => Promise<void>) => Promise<boolean>;
  isBusy: boolean;
  problem?: Problem;
}

/// One thing at a time, with what went wrong.
export function useAct(): Act {
  const [state, setState] = useState<{ isBusy: boolean; problem?: Problem }>({ isBusy: false });
  const run = async (doing: () => Promise<void>) => {
    setState({ isBusy: true });
    try {
      await doing();
      setState({ isBusy: false });
      return true;
    } catch (error) {
      setState({ isBusy: false, problem: asProblem(error) });
      return false;
    }
  };
  return { run, ...state };
}

/// Asks before something is lost.
export function Confirm(props: { title: string; explained: string; act: string; doing: () => Promise<void>; onClose: () => void }) {
  const act = useAct();
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <p>{props.explained}</p>
      {act.problem && <Fault problem={act.problem} />}
      <div class="row ends">
        <button type="button" onClick={props.onClose}>
          {strings.cancel}
        </button>
        <button type="button" class="danger" disabled={act.isBusy} onClick={() => void act.run(props.doing).then((isDone) => isDone && props.onClose())}>
          {props.act}
        </button>
      </div>
    </Dialog>
  );
}

export const Severity = ({ severity }: { severity: string }) => <span class={`tag mark severity-${severity}`}>{words.severities[severity] ?? severity}</span>;

/// Boxes to tick: a set of values, any of them.
export function Checks(props: { legend: string; options: [value: string, label: string][]; chosen: string[]; onChange: (chosen: string[]) => void; isLong?: boolean }) {
  const toggle = (value: string) => props.onChange(props.options.map(([one]) => one).filter((one) => (one === value ? !props.chosen.includes(one) : props.chosen.includes(one))));
  return (
    <fieldset class={props.isLong ? 'checks long' : 'checks inline'}>
      <legend>{props.legend}</legend>
      <div>
        {props.options.map(([value, label]) => (
          <label>
            <input type="checkbox" checked={props.chosen.includes(value)} onChange={() => toggle(value)} /> {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/// A control with its label, and a hint that is read with it.
export function Field({ label, hint, children }: { label: string; hint?: string; children: VNode<{ 'aria-describedby'?: string }> }) {
  const id = useId();
  return (
    <div class="field">
      <label>
        <span>{label}</span>
        {hint ? cloneElement(children, { 'aria-describedby': id }) : children}
      </label>
      {hint && (
        <span id={id} class="quiet hint">
          {hint}
        </span>
      )}
    </div>
  );
}

/// The first line of a view's part, and what can be added there.
export function Head({ title, explained, children }: { title: string; explained?: string; children?: ComponentChildren }) {
  return (
    <div class="head">
      <div>
        <h2>{title}</h2>
        {explained && <p class="quiet">{explained}</p>}
      </div>
      {children}
    </div>
  );
}

/// The places that a rule, a silence or an alert may name.
export interface Where {
  site_id?: string | null;
  map_id?: string | null;
  area_id?: string | null;
  area_kind?: string | null;
  tag?: string | null;
}

const sameKind = (where: Where, kind: string) => !where.area_kind || where.area_kind === kind;

export const areaOf = (where: Where) => areas.value?.find((one) => one.area_id === where.area_id && sameKind(where, one.kind));
export const mapOf = (id: string | null | undefined) => maps.value?.find((one) => one.map_id === id);
export const siteName = (id: string) => sites.value?.find((one) => one.site_id === id)?.name ?? id;
export const mapName = (id: string) => mapOf(id)?.name ?? id;

/// Whether it is of the chosen site, or of none in particular.
export function isOfSite(where: Where): boolean {
  const area = where.area_id ? areaOf(where) : undefined;
  const found = where.site_id ?? area?.site_id ?? mapOf(where.map_id)?.site_id;
  return !found || found === site.value?.site_id;
}

/// A place in words.
export function placeName(where: Where): string {
  if (where.tag) return words.rule.tagged(where.tag);
  if (where.area_id) {
    const area = areaOf(where);
    return [area?.name ?? where.area_id, area?.map_id && mapName(area.map_id)].filter(Boolean).join(', ');
  }
  if (where.map_id) return words.rule.wholeMap(mapName(where.map_id));
  return words.rule.wholeSite;
}

/// Options of a choice between the areas of the chosen site, by floor. Values are `kind/id`.
export function AreaOptions() {
  const found = (areas.value ?? []).filter((one) => one.site_id === site.value?.site_id);
  const floors = [...new Set(found.map((one) => one.map_id ?? ''))];
  return (
    <>
      {floors.map((floor) => (
        <optgroup label={floor ? mapName(floor) : strings.header.noMaps}>
          {found
            .filter((one) => (one.map_id ?? '') === floor)
            .sort((a, b) => (a.name ?? a.area_id).localeCompare(b.name ?? b.area_id))
            .map((one) => (
              <option value={`${one.kind}/${one.area_id}`}>{one.name ?? one.area_id}</option>
            ))}
        </optgroup>
      ))}
    </>
  );
}

const NAME_KEY = 'footfall-name';

/// Who acts, as said the last time.
export const lastName = () => localStorage.getItem(NAME_KEY) ?? '';
export const keepName = (name: string) => localStorage.setItem(NAME_KEY, name);
