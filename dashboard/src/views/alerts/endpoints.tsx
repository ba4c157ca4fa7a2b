// Endpoints that are told of alerts, and how they fare.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { clock } from '../../time';
import { Answer, Empty, Fault, useAsk } from '../../ui/ask';
import { Copy } from '../../ui/copy';
import { Dialog } from '../../ui/dialog';
import { Confirm, Head, useAct } from '../../ui/form';
import { Deliveries } from './deliveries';
import { EndpointForm, type EndpointSettings } from './endpoint-form';

const words = strings.alerts.endpoint;

export type Endpoint = Schemas['Callback'];

const pathOf = (endpoint: Endpoint) => ({ params: { path: { id: endpoint.callback_id } } });

export function Endpoints() {
  const asked = useAsk((signal) => told(client.GET('/v1/callbacks', { signal })), [], 5000);
  const [editing, setEditing] = useState<Endpoint | 'new' | undefined>();
  const [removing, setRemoving] = useState<Endpoint | undefined>();
  const [listing, setListing] = useState<Endpoint | undefined>();
  const [secret, setSecret] = useState<string | undefined>();
  const save = async (body: EndpointSettings, old?: Endpoint) => {
    const saved = await told(old ? client.PUT('/v1/callbacks/{id}', { ...pathOf(old), body }) : client.POST('/v1/callbacks', { body }));
    // A change that keeps the secret tells it, too; only a new one is to be written down.
    if (saved.secret && (!old || body.secret || old.format !== saved.format)) setSecret(saved.secret);
    asked.again();
  };
  const remove = async (endpoint: Endpoint) => {
    await told(client.DELETE('/v1/callbacks/{id}', pathOf(endpoint)));
    asked.again();
  };
  return (
    <section class="card">
      <Head title={strings.alerts.tab.endpoints} explained={words.explained}>
        <button type="button" class="primary" onClick={() => setEditing('new')}>
          {words.add} …
        </button>
      </Head>
      <Answer asked={asked}>
        {({ callbacks }) =>
          callbacks.length === 0 ? (
            <Empty>{words.none}</Empty>
          ) : (
            <ul class="endpoints">
              {callbacks.map((one) => (
                <One key={one.callback_id} endpoint={one} onChange={asked.again} onSave={save} onEdit={() => setEditing(one)} onList={() => setListing(one)} onRemove={() => setRemoving(one)} />
              ))}
            </ul>
          )
        }
      </Answer>
      {editing && <EndpointForm endpoint={editing === 'new' ? undefined : editing} onSave={save} onClose={() => setEditing(undefined)} />}
      {secret && (
        <Dialog title={words.secretTitle} onClose={() => setSecret(undefined)}>
          <p>{words.secretOnce}</p>
          <Copy text={secret} what={words.secret} />
        </Dialog>
      )}
      {listing && <Deliveries endpoint={listing} onClose={() => setListing(undefined)} onChange={asked.again} />}
      {removing && <Confirm title={words.askRemove(removing.name)} explained={words.removeExplained} act={strings.remove} doing={() => remove(removing)} onClose={() => setRemoving(undefined)} />}
    </section>
  );
}

interface OneProps {
  endpoint: Endpoint;
  onChange: () => void;
  onSave: (settings: EndpointSettings, old: Endpoint) => Promise<void>;
  onEdit: () => void;
  onList: () => void;
  onRemove: () => void;
}

function One({ endpoint, onChange, onSave, onEdit, onList, onRemove }: OneProps) {
  const act = useAct();
  const [isTesting, setTesting] = useState(false);
  const [tested, setTested] = useState<Schemas['CallbackDelivery'] | undefined>();
  const { name, url, format, filter, is_enabled } = endpoint;
  const test = async () => {
    setTested(undefined);
    setTesting(true);
    try {
      setTested(await told(client.POST('/v1/callbacks/{id}/test', pathOf(endpoint))));
    } finally {
      setTesting(false);
      onChange();
    }
  };
  const toggle = () => onSave({ name, url, format, filter, keep_old_secret: false, is_enabled: !is_enabled }, endpoint);
  const named = (label: string) => strings.alerts.rule.named(label, name);
  const switchWords = is_enabled ? strings.alerts.rule.disable : strings.alerts.rule.enable;
  return (
    <li class={is_enabled ? '' : 'off'} aria-label={name}>
      <div class="about">
        <h3>
          {name} <span class="tag">{words.formatsShort[format] ?? format}</span>
        </h3>
        <p class="mono url">{url}</p>
        <State endpoint={endpoint} />
        <Told filter={filter} />
        <p role="status" class="tested">
          {isTesting && words.testing}
          {tested?.state === 'delivered' && <span class="good">{words.tested(tested.last_status, tested.attempt_log?.at(-1)?.latency_ms)}</span>}
          {tested && tested.state !== 'delivered' && <span class="bad">{words.testFailed(tested.last_problem ?? String(tested.last_status ?? ''))}</span>}
        </p>
        {act.problem && <Fault problem={act.problem} />}
      </div>
      <div class="row acts">
        <button type="button" disabled={act.isBusy} onClick={() => void act.run(test)} aria-label={named(words.test)}>
          {words.test}
        </button>
        <button type="button" onClick={onList} aria-label={named(words.deliveries)}>
          {words.deliveries}
        </button>
        <button type="button" onClick={onEdit} aria-label={named(strings.edit)}>
          {strings.edit}
        </button>
        <button type="button" disabled={act.isBusy} onClick={() => void act.run(toggle)} aria-label={named(switchWords)}>
          {switchWords}
        </button>
        <button type="button" class="danger" onClick={onRemove} aria-label={named(strings.remove)}>
          {strings.remove}
        </button>
      </div>
    </li>
  );
}

function State({ endpoint }: { endpoint: Endpoint }) {
  const { circuit, failures, retry_at, pending, dead, is_enabled, disabled_reason } = endpoint;
  const state = is_enabled ? (circuit === 'closed' ? 'good' : 'bad') : 'quiet';
  const details = [
    !is_enabled && disabled_reason,
    is_enabled && failures > 0 && words.failures(failures),
    is_enabled && circuit === 'open' && retry_at && words.retryAt(clock(Date.parse(retry_at), zone.value, true)),
    words.pending(pending),
    words.dead(dead),
  ];
  return (
    <p>
      <span class={`state ${state}`}>{is_enabled ? (words.circuits[circuit] ?? circuit) : words.disabled}</span>{' '}
      <span class="quiet">{details.filter(Boolean).join(' · ')}</span>
    </p>
  );
}

function Told({ filter }: { filter: Schemas['Filter'] }) {
  const parts = [
    ...filter.severities.map((one) => strings.alerts.severities[one] ?? one),
    ...filter.states.map((one) => strings.alerts.states[one] ?? one),
    filter.site_ids.length > 0 && words.nSites(filter.site_ids.length),
    filter.area_ids.length > 0 && words.nAreas(filter.area_ids.length),
    filter.rule_ids.length > 0 && words.nRules(filter.rule_ids.length),
  ].filter(Boolean);
  return parts.length > 0 ? <p class="quiet">{words.filtered(parts.join(', '))}</p> : null;
}
