// Silences that are not over: ended here, and made.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { site, siteMaps, zone } from '../../state';
import { strings } from '../../strings';
import { dateAndTime } from '../../time';
import { Answer, Empty, Fault, useAsk } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';
import { Confirm, Ends, Field, Head, useAct } from '../../ui/form';
import { SilenceFields, newSilence, silenceBody } from './handle';
import { AreaOptions, isOfSite, placeName } from './parts';

const words = strings.alerts.silences;

type Silence = Schemas['Silence'];
type Rule = Schemas['AlertRule'];

export function Silences() {
  const asked = useAsk(
    async (signal) => {
      const [{ silences }, { alert_rules }] = await Promise.all([told(client.GET('/v1/silences', { signal })), told(client.GET('/v1/alert-rules', { signal }))]);
      return { silences, rules: alert_rules };
    },
    [],
    30_000,
  );
  const [isAdding, setAdding] = useState(false);
  const [ending, setEnding] = useState<Silence | undefined>();
  const about = (silence: Silence) => aboutOf(silence, asked.data?.rules ?? []);
  const end = async (silence: Silence) => {
    await told(client.DELETE('/v1/silences/{id}', { params: { path: { id: silence.silence_id } } }));
    asked.again();
  };
  return (
    <section class="card">
      <Head title={strings.alerts.tab.silences} explained={words.explained}>
        <button type="button" class="primary" onClick={() => setAdding(true)}>
          {words.add} …
        </button>
      </Head>
      <Answer asked={asked}>
        {({ silences }) => {
          const here = silences.filter(isOfSite);
          return here.length === 0 ? <Empty>{words.none}</Empty> : <SilenceTable silences={here} about={about} onEnd={setEnding} />;
        }}
      </Answer>
      {isAdding && <AddSilence rules={asked.data?.rules ?? []} onClose={() => setAdding(false)} onDone={asked.again} />}
      {ending && <Confirm title={words.askEnd(about(ending))} explained={words.endExplained} act={words.end} doing={() => end(ending)} onClose={() => setEnding(undefined)} />}
    </section>
  );
}

function aboutOf(silence: Silence, rules: Rule[]): string {
  const rule = rules.find((one) => one.rule_id === silence.rule_id);
  const hasPlace = silence.area_id || silence.map_id || silence.site_id;
  const parts = [silence.rule_id != null && words.ofRule(rule?.name ?? String(silence.rule_id)), hasPlace && placeName(silence), silence.client_id && `${words.client} (${silence.client_id})`];
  return parts.filter(Boolean).join(', ');
}

function SilenceTable({ silences, about, onEnd }: { silences: Silence[]; about: (silence: Silence) => string; onEnd: (silence: Silence) => void }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={words.caption}>
      <table class="stacks">
        <caption class="hidden">{words.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{words.about}</th>
            <th scope="col">{strings.alerts.reason}</th>
            <th scope="col">{words.until}</th>
            <th scope="col">{words.by}</th>
            <th scope="col">{strings.alerts.rule.acts}</th>
          </tr>
        </thead>
        <tbody>
          {silences.map((silence) => (
            <tr key={silence.silence_id}>
              <th scope="row">{about(silence)}</th>
              <td>{silence.reason}</td>
              <td data-label={words.until}>{dateAndTime(Date.parse(silence.until), zone.value)}</td>
              <td data-label={silence.by ? words.by : undefined}>{silence.by ?? ''}</td>
              <td>
                <button type="button" onClick={() => onEnd(silence)} aria-label={words.endNamed(about(silence))}>
                  {words.end}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function AddSilence({ rules, onClose, onDone }: { rules: Rule[]; onClose: () => void; onDone: () => void }) {
  const act = useAct();
  const [scope, setScope] = useState('site');
  const [chosen, setChosen] = useState('');
  const [asked, setAsked] = useState(newSilence);
  const target = (): Partial<Schemas['SilenceRequest']> => {
    const [area_kind, area_id] = chosen.split('/');
    switch (scope) {
      case 'map':
        return { map_id: chosen };
      case 'area':
        return { area_id, area_kind };
      case 'rule':
        return { rule_id: Number(chosen) };
      default:
        return { site_id: site.value?.site_id };
    }
  };
  const add = async () => {
    await told(client.POST('/v1/silences', { body: { ...target(), ...silenceBody(asked) } }));
    onDone();
  };
  const labels: Record<string, string> = { map: strings.header.map, area: strings.alerts.area, rule: words.rule };
  return (
    <Dialog title={words.add} onClose={onClose}>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(add).then((isDone) => isDone && onClose()))}>
        <Field label={words.what}>
          <select value={scope} onChange={(event) => (setScope(event.currentTarget.value), setChosen(''))}>
            {Object.entries(words.scopes).map(([value, label]) => (
              <option value={value}>{label}</option>
            ))}
          </select>
        </Field>
        {scope !== 'site' && (
          <Field label={labels[scope] ?? ''}>
            <select required value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
              <option value="" />
              {scope === 'map' && siteMaps.value.map((map) => <option value={map.map_id}>{map.name ?? map.map_id}</option>)}
              {scope === 'area' && <AreaOptions />}
              {scope === 'rule' && rules.filter(isOfSite).map((rule) => <option value={rule.rule_id}>{rule.name}</option>)}
            </select>
          </Field>
        )}
        <SilenceFields asked={asked} onChange={setAsked} />
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={words.add} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  );
}
