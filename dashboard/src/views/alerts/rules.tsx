// Rules of the chosen site, and those that uploaded limits offer.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { strings } from '../../strings';
import { duration } from '../../time';
import { Answer, Empty, Fault, useAsk } from '../../ui/ask';
import { Confirm, Head, useAct } from '../../ui/form';
import { Severity, isOfSite, placeName } from './parts';
import { RuleForm } from './rule-form';

const words = strings.alerts.rule;

export type Rule = Schemas['AlertRule'];
export type Settings = Schemas['RuleSettings'];

/// What of a rule can be set.
export function settingsOf(rule: Rule): Settings {
  const { rule_id: _id, version: _version, valid_from: _from, valid_to: _to, ...settings } = rule;
  return settings;
}

/// When it fires, in words.
export function conditionOf({ condition, limit_clients, for_s = 0, schedule }: Settings): string {
  const length = duration(for_s);
  const limit = limit_clients ?? 0;
  const timed = condition === 'dwell' ? words.dwell(length) : words.noData(length);
  const counted = [condition === 'above' ? words.above(limit) : words.below(limit), for_s > 0 && words.forLong(length)].filter(Boolean).join(' ');
  return [condition === 'above' || condition === 'below' ? counted : timed, schedule && words.onTimes].filter(Boolean).join(', ');
}

export function Rules() {
  const asked = useAsk((signal) => told(client.GET('/v1/alert-rules', { signal })), []);
  const [editing, setEditing] = useState<Rule | 'new' | undefined>();
  const [removing, setRemoving] = useState<Rule | undefined>();
  const act = useAct();
  const save = async (settings: Settings, id?: number) => {
    if (id === undefined) await told(client.POST('/v1/alert-rules', { body: settings }));
    else await told(client.PUT('/v1/alert-rules/{id}', { params: { path: { id } }, body: settings }));
    asked.again();
  };
  const remove = async (rule: Rule) => {
    await told(client.DELETE('/v1/alert-rules/{id}', { params: { path: { id: rule.rule_id } } }));
    asked.again();
  };
  const toggle = (rule: Rule) => void act.run(() => save({ ...settingsOf(rule), is_enabled: !rule.is_enabled }, rule.rule_id));
  return (
    <>
      <section class="card">
        <Head title={strings.alerts.tab.rules}>
          <button type="button" class="primary" onClick={() => setEditing('new')}>
            {words.add} …
          </button>
        </Head>
        {act.problem && <Fault problem={act.problem} />}
        <Answer asked={asked}>
          {({ alert_rules }) => {
            const here = alert_rules.filter(isOfSite);
            return here.length === 0 ? <Empty>{words.none}</Empty> : <RuleTable rules={here} isBusy={act.isBusy} onEdit={setEditing} onRemove={setRemoving} onToggle={toggle} />;
          }}
        </Answer>
      </section>
      <Offers offers={(asked.data?.offers ?? []).filter(isOfSite)} isBusy={act.isBusy} onTake={(offer) => void act.run(() => save(offer))} />
      {editing && <RuleForm rule={editing === 'new' ? undefined : editing} onSave={save} onClose={() => setEditing(undefined)} />}
      {removing && <Confirm title={words.askRemove(removing.name)} explained={words.removeExplained} act={strings.remove} doing={() => remove(removing)} onClose={() => setRemoving(undefined)} />}
    </>
  );
}

function RuleTable(props: { rules: Rule[]; isBusy: boolean; onEdit: (rule: Rule) => void; onRemove: (rule: Rule) => void; onToggle: (rule: Rule) => void }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={words.caption}>
      <table class="stacks">
        <caption class="hidden">{words.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{words.name}</th>
            <th scope="col">{words.what}</th>
            <th scope="col">{words.where}</th>
            <th scope="col">{strings.alerts.severity}</th>
            <th scope="col">{words.acts}</th>
          </tr>
        </thead>
        <tbody>
          {props.rules.map((rule) => {
            const switchWords = rule.is_enabled ? words.disable : words.enable;
            return (
              <tr key={rule.rule_id} class={rule.is_enabled ? '' : 'off'}>
                <th scope="row">
                  {rule.name} {!rule.is_enabled && <span class="tag">{words.disabled}</span>}
                  {rule.message && <span class="quiet under">{rule.message}</span>}
                </th>
                <td>{conditionOf(rule)}</td>
                <td>{placeName(rule)}</td>
                <td>
                  <Severity severity={rule.severity ?? 'warning'} />
                </td>
                <td>
                  <div class="row acts">
                    <button type="button" onClick={() => props.onEdit(rule)} aria-label={words.named(strings.edit, rule.name)}>
                      {strings.edit}
                    </button>
                    <button type="button" disabled={props.isBusy} onClick={() => props.onToggle(rule)} aria-label={words.named(switchWords, rule.name)}>
                      {switchWords}
                    </button>
                    <button type="button" class="danger" onClick={() => props.onRemove(rule)} aria-label={words.named(strings.remove, rule.name)}>
                      {strings.remove}
                    </button>
                  </div>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Offers({ offers, isBusy, onTake }: { offers: Settings[]; isBusy: boolean; onTake: (offer: Settings) => void }) {
  if (offers.length === 0) return null;
  return (
    <section class="card">
      <Head title={words.offers} explained={words.offersExplained} />
      <ul class="offers">
        {offers.map((offer) => (
          <li key={offer.name}>
            <span>
              {offer.name} <span class="quiet">{[placeName(offer), conditionOf(offer)].join(' · ')}</span>
            </span>
            <button type="button" disabled={isBusy} onClick={() => onTake(offer)} aria-label={words.named(words.take, offer.name)}>
              {words.take}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
