// An endpoint as a form.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { areas, sites } from '../../state';
import { strings } from '../../strings';
import { Fault, useAsk } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';
import { Checks, Ends, Field, useAct } from '../../ui/form';
import type { Endpoint } from './endpoints';
import { mapName } from './parts';

const words = strings.alerts.endpoint;

export type EndpointSettings = Schemas['CallbackSettings'];
type Filter = Schemas['Filter'];

const everything = (): Filter => ({ severities: [], states: [], site_ids: [], area_ids: [], rule_ids: [] });

const isSigned = (format: string) => format === 'footfall' || format === 'mist';

/// As the server would make one: 32 bytes.
function newSecret(format: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const text = btoa(String.fromCharCode(...bytes));
  return format === 'footfall' ? `whsec_${text}` : text;
}

export function EndpointForm({ endpoint, onSave, onClose }: { endpoint?: Endpoint; onSave: (settings: EndpointSettings, old?: Endpoint) => Promise<void>; onClose: () => void }) {
  const act = useAct();
  const [name, setName] = useState(endpoint?.name ?? '');
  const [url, setUrl] = useState(endpoint?.url ?? '');
  const [format, setFormat] = useState(endpoint?.format ?? 'footfall');
  const [filter, setFilter] = useState<Filter>(endpoint?.filter ?? everything);
  const [headers, setHeaders] = useState<[string, string][] | undefined>(endpoint ? undefined : []);
  const [secret, setSecret] = useState<SecretAsked>({ isNew: false, keepsOld: true, own: '' });
  const save = () => {
    const asksNew = endpoint?.format === format && secret.isNew;
    const given = endpoint ? (asksNew ? newSecret(format) : undefined) : secret.own || undefined;
    return onSave(
      {
        name,
        url,
        format,
        filter,
        is_enabled: endpoint?.is_enabled ?? true,
        headers: headers && Object.fromEntries(headers.filter(([name]) => name !== '')),
        secret: isSigned(format) ? given : undefined,
        keep_old_secret: asksNew && secret.keepsOld,
      },
      endpoint,
    );
  };
  return (
    <Dialog title={endpoint ? words.edit(endpoint.name) : words.add} onClose={onClose} isWide>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(save).then((isDone) => isDone && onClose()))}>
        <div class="columns">
          <Field label={words.name}>
            <input required pattern=".*\S.*" value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </Field>
          <Field label={words.format}>
            <select value={format} onChange={(event) => setFormat(event.currentTarget.value)}>
              {Object.entries(words.formats).map(([value, label]) => (
                <option value={value}>{label}</option>
              ))}
            </select>
          </Field>
        </div>
        <Field label={words.url}>
          <input type="url" required placeholder="https://" value={url} onInput={(event) => setUrl(event.currentTarget.value)} />
        </Field>
        {isSigned(format) && <Secret isKnown={endpoint?.format === format} isNew={!endpoint} asked={secret} onChange={setSecret} />}
        <Headers names={endpoint?.header_names ?? []} headers={headers} onChange={setHeaders} />
        <FilterFields filter={filter} onChange={setFilter} />
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={strings.save} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  );
}

interface SecretAsked {
  isNew: boolean;
  keepsOld: boolean;
  own: string;
}

function Secret({ isKnown, isNew, asked, onChange }: { isKnown: boolean; isNew: boolean; asked: SecretAsked; onChange: (asked: SecretAsked) => void }) {
  if (isNew) {
    return (
      <Field label={words.ownSecret} hint={words.ownSecretHint}>
        <input value={asked.own} autocomplete="off" spellcheck={false} onInput={(event) => onChange({ ...asked, own: event.currentTarget.value })} />
      </Field>
    );
  }
  if (!isKnown) return null;
  return (
    <fieldset class="checks">
      <legend>{words.ownSecret}</legend>
      <label>
        <input type="checkbox" checked={asked.isNew} onChange={(event) => onChange({ ...asked, isNew: event.currentTarget.checked })} /> {words.newSecret}
      </label>
      {asked.isNew && (
        <label>
          <input type="checkbox" checked={asked.keepsOld} onChange={(event) => onChange({ ...asked, keepsOld: event.currentTarget.checked })} /> {words.keepOld}
        </label>
      )}
    </fieldset>
  );
}

/// `undefined` keeps those that are there.
function Headers({ names, headers, onChange }: { names: string[]; headers?: [string, string][]; onChange: (headers: [string, string][] | undefined) => void }) {
  const change = (at: number, header: [string, string]) => onChange(headers?.map((one, i) => (i === at ? header : one)));
  return (
    <fieldset class="headers">
      <legend>{words.headers}</legend>
      {names.length > 0 && (
        <>
          <p class="quiet hint">{words.headersKept(names.join(', '))}</p>
          <div class="checks">
            <label>
              <input type="checkbox" checked={headers !== undefined} onChange={(event) => onChange(event.currentTarget.checked ? [] : undefined)} /> {words.replaceHeaders}
            </label>
          </div>
        </>
      )}
      {headers?.map(([name, value], at) => (
        <div class="row header">
          <input aria-label={words.headerName(at + 1)} placeholder="Authorization" value={name} onInput={(event) => change(at, [event.currentTarget.value, value])} />
          <input aria-label={words.headerValue(at + 1)} autocomplete="off" value={value} onInput={(event) => change(at, [name, event.currentTarget.value])} />
          <button type="button" onClick={() => onChange(headers.filter((_, i) => i !== at))} aria-label={words.removeHeader(at + 1)}>
            {strings.remove}
          </button>
        </div>
      ))}
      {(headers || names.length === 0) && (
        <button type="button" onClick={() => onChange([...(headers ?? []), ['', '']])}>
          {words.addHeader}
        </button>
      )}
    </fieldset>
  );
}

function FilterFields({ filter, onChange }: { filter: Filter; onChange: (filter: Filter) => void }) {
  const rules = useAsk((signal) => told(client.GET('/v1/alert-rules', { signal })), []);
  const named = (areas.value ?? []).filter((one) => one.name);
  return (
    <details class="filter" open={Object.values(filter).some((one: unknown[]) => one.length > 0)}>
      <summary>{words.filter}</summary>
      <p class="quiet hint">{words.filterExplained}</p>
      <Checks legend={words.severities} options={Object.entries(strings.alerts.severities)} chosen={filter.severities} onChange={(severities) => onChange({ ...filter, severities })} />
      <Checks legend={words.states} options={Object.entries(words.stateWords)} chosen={filter.states} onChange={(states) => onChange({ ...filter, states })} />
      <div class="columns">
        <Checks isLong legend={words.sites} options={(sites.value ?? []).map((one) => [one.site_id, one.name ?? one.site_id])} chosen={filter.site_ids} onChange={(site_ids) => onChange({ ...filter, site_ids })} />
        <Checks
          isLong
          legend={words.rules}
          options={(rules.data?.alert_rules ?? []).map((one) => [String(one.rule_id), one.name])}
          chosen={filter.rule_ids.map(String)}
          onChange={(ids) => onChange({ ...filter, rule_ids: ids.map(Number) })}
        />
        <Checks
          isLong
          legend={words.areas}
          options={named.map((one) => [one.area_id, [one.name, one.map_id && mapName(one.map_id)].filter(Boolean).join(', ')])}
          chosen={filter.area_ids}
          onChange={(area_ids) => onChange({ ...filter, area_ids })}
        />
      </div>
    </details>
  );
}
