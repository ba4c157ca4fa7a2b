// A rule as a form, to be tried on the past before it is saved.

import { useState } from 'preact/hooks';
import { areas, site, siteMaps } from '../../state';
import { strings } from '../../strings';
import { Fault } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';
import { Ends, Field, useAct } from '../../ui/form';
import { AreaOptions, areaOf } from './parts';
import { Preview } from './preview';
import { type Rule, type Settings, settingsOf } from './rules';
import { Schedule } from './schedule';

const words = strings.alerts.rule;

type Scope = 'area' | 'tag' | 'map' | 'site';

const fresh = (): Settings => ({ name: '', condition: 'above', limit_clients: 10, for_s: 60, severity: 'warning', is_enabled: true });

const scopeOf = (settings: Settings): Scope => (settings.tag ? 'tag' : settings.map_id ? 'map' : settings.site_id ? 'site' : 'area');

/// Silence is noticed of whole floors and sites only.
const isWhole = (scope: Scope) => scope === 'map' || scope === 'site';

const isCounted = (condition: string) => condition === 'above' || condition === 'below';

/// A number that was typed; `undefined` where none was.
const typed = (event: Event): number | undefined => {
  const { value, valueAsNumber } = event.currentTarget as HTMLInputElement;
  return value === '' || Number.isNaN(valueAsNumber) ? undefined : valueAsNumber;
};

/// What goes to the API: fields that do not go with the condition or the scope stay out.
function asSent(settings: Settings, scope: Scope): Settings {
  const { site_id, map_id, area_id, area_kind, tag, limit_clients, clear_clients, ...rest } = settings;
  const places = { area: { area_id, area_kind }, tag: { tag, site_id: site.value?.site_id }, map: { map_id }, site: { site_id: site_id ?? site.value?.site_id } };
  return { ...rest, ...places[scope], ...(isCounted(settings.condition) && { limit_clients, clear_clients }) };
}

export function RuleForm({ rule, onSave, onClose }: { rule?: Rule; onSave: (settings: Settings, id?: number) => Promise<void>; onClose: () => void }) {
  const [settings, setSettings] = useState<Settings>(rule ? settingsOf(rule) : fresh);
  const [scope, setScope] = useState<Scope>(scopeOf(settings));
  const [form, setForm] = useState<HTMLFormElement | null>(null);
  const act = useAct();
  const set = (changes: Partial<Settings>) => {
    setSettings((old) => ({ ...old, ...changes }));
    if (changes.condition === 'no_data' && !isWhole(scope)) setScope('site');
  };
  const sent = asSent(settings, scope);
  const save = () => onSave(sent, rule?.rule_id);
  return (
    <Dialog title={rule ? words.edit(rule.name) : words.add} onClose={onClose} isWide>
      <form ref={setForm} class="fields rule" onSubmit={(event) => (event.preventDefault(), void act.run(save).then((isDone) => isDone && onClose()))}>
        <Field label={words.name}>
          <input required pattern=".*\S.*" value={settings.name} onInput={(event) => set({ name: event.currentTarget.value })} />
        </Field>
        <Watches settings={settings} scope={scope} set={set} setScope={setScope} />
        <Condition settings={settings} scope={scope} set={set} />
        <div class="columns">
          <Field label={strings.alerts.severity}>
            <select value={settings.severity} onChange={(event) => set({ severity: event.currentTarget.value })}>
              {Object.entries(strings.alerts.severities).map(([value, label]) => (
                <option value={value}>{label}</option>
              ))}
            </select>
          </Field>
          <Field label={words.repeat} hint={words.repeatHint}>
            <input type="number" min={10} max={2_678_400} value={settings.repeat_s ?? ''} onInput={(event) => set({ repeat_s: typed(event) })} />
          </Field>
        </div>
        <Field label={words.message} hint={words.messageHint}>
          <input value={settings.message ?? ''} onInput={(event) => set({ message: event.currentTarget.value || undefined })} />
        </Field>
        <Schedule times={settings.schedule ?? undefined} onChange={(schedule) => set({ schedule })} />
        <fieldset class="checks">
          <label>
            <input type="checkbox" checked={settings.is_enabled} onChange={(event) => set({ is_enabled: event.currentTarget.checked })} /> {words.isEnabled}
          </label>
        </fieldset>
        <Preview settings={sent} isSound={() => form?.reportValidity() ?? false} />
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={strings.save} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  );
}

interface PartProps {
  settings: Settings;
  scope: Scope;
  set: (changes: Partial<Settings>) => void;
}

function Watches({ settings, scope, set, setScope }: PartProps & { setScope: (scope: Scope) => void }) {
  const tags = [...new Set((areas.value ?? []).filter((one) => one.site_id === site.value?.site_id).flatMap((one) => (Array.isArray(one.tags) ? one.tags.map(String) : [])))].sort();
  const scopes = (Object.keys(words.scopes) as Scope[]).filter((one) => settings.condition !== 'no_data' || isWhole(one));
  const area = settings.area_id ? `${settings.area_kind ?? areaOf(settings)?.kind ?? 'zone'}/${settings.area_id}` : '';
  const setArea = (value: string) => {
    const [area_kind, area_id] = value.split('/');
    set({ area_kind: area_id ? area_kind : undefined, area_id: area_id || undefined });
  };
  return (
    <div class="columns">
      <Field label={words.scope}>
        <select value={scope} onChange={(event) => setScope(event.currentTarget.value as Scope)}>
          {scopes.map((one) => (
            <option value={one}>{words.scopes[one]}</option>
          ))}
        </select>
      </Field>
      {scope === 'area' && (
        <Field label={words.area}>
          <select required value={area} onChange={(event) => setArea(event.currentTarget.value)}>
            <option value="" />
            <AreaOptions />
          </select>
        </Field>
      )}
      {scope === 'tag' && (
        <Field label={words.tag} hint={tags.length === 0 ? words.noTags : undefined}>
          <select required value={settings.tag ?? ''} onChange={(event) => set({ tag: event.currentTarget.value || undefined })}>
            <option value="" />
            {tags.map((tag) => (
              <option value={tag}>{tag}</option>
            ))}
          </select>
        </Field>
      )}
      {scope === 'map' && (
        <Field label={words.map}>
          <select required value={settings.map_id ?? ''} onChange={(event) => set({ map_id: event.currentTarget.value || undefined })}>
            <option value="" />
            {siteMaps.value.map((map) => (
              <option value={map.map_id}>{map.name ?? map.map_id}</option>
            ))}
          </select>
        </Field>
      )}
    </div>
  );
}

function Condition({ settings, set }: PartProps) {
  const { condition, limit_clients, clear_clients, for_s } = settings;
  const isAbove = condition === 'above';
  return (
    <div class="columns">
      <Field label={words.condition}>
        <select value={condition} onChange={(event) => set({ condition: event.currentTarget.value })}>
          {Object.entries(words.conditions).map(([value, label]) => (
            <option value={value}>{label}</option>
          ))}
        </select>
      </Field>
      {isCounted(condition) && (
        <>
          <Field label={words.limit}>
            <input type="number" required min={isAbove ? 0 : 1} max={2_147_483_647} value={limit_clients ?? ''} onInput={(event) => set({ limit_clients: typed(event) })} />
          </Field>
          <Field label={words.clear} hint={words.clearHint}>
            <input
              type="number"
              min={isAbove ? 0 : (limit_clients ?? 0)}
              max={isAbove ? (limit_clients ?? undefined) : 2_147_483_647}
              value={clear_clients ?? ''}
              onInput={(event) => set({ clear_clients: typed(event) })}
            />
          </Field>
        </>
      )}
      <Field label={isCounted(condition) ? words.forAtLeast : words.forTimed}>
        <input type="number" required min={isCounted(condition) ? 0 : 1} max={2_678_400} value={for_s ?? ''} onInput={(event) => set({ for_s: typed(event) })} />
      </Field>
    </div>
  );
}
