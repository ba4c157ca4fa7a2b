// What an endpoint was told, every attempt of it, and sending it again.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { clock, dateAndTime } from '../../time';
import { Answer, Empty, Fault, useAsk } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';
import { useAct } from '../../ui/form';
import type { Endpoint } from './endpoints';

const words = strings.alerts.delivery;

type Delivery = Schemas['CallbackDelivery'];
type State = 'pending' | 'delivered' | 'dead';

const PAGE = 50;

export function Deliveries({ endpoint, onClose, onChange }: { endpoint: Endpoint; onClose: () => void; onChange: () => void }) {
  const id = endpoint.callback_id;
  const [state, setState] = useState<State | ''>('');
  const [pages, setPages] = useState(1);
  const [opened, setOpened] = useState<number | undefined>();
  const [sent, setSent] = useState('');
  const act = useAct();
  const asked = useAsk((signal) => readPages(id, state, pages, signal), [id, state, pages], 5000);
  const again = (asking: () => Promise<Schemas['Redelivered']>) =>
    void act.run(async () => {
      setSent(words.sent((await asking()).deliveries));
      asked.again();
      onChange();
    });
  const one = (delivery: Delivery) => again(() => told(client.POST('/v1/callbacks/{id}/deliveries/{delivery}/redeliver', { params: { path: { id, delivery: delivery.delivery_id } } })));
  const all = () => again(() => told(client.POST('/v1/callbacks/{id}/redeliver', { params: { path: { id } } })));
  return (
    <Dialog title={words.title(endpoint.name)} onClose={onClose} isWide>
      {opened !== undefined ? (
        <Attempts endpoint={id} delivery={opened} onBack={() => setOpened(undefined)} />
      ) : (
        <>
          <div class="toolbar">
            <label>
              <span>{words.state}</span>
              <select value={state} onChange={(event) => (setState(event.currentTarget.value as State | ''), setPages(1))}>
                <option value="">{strings.alerts.all}</option>
                {Object.entries(words.states).map(([value, label]) => (
                  <option value={value}>{label}</option>
                ))}
              </select>
            </label>
            <button type="button" disabled={act.isBusy} onClick={all}>
              {words.againAll}
            </button>
            <span role="status" class="quiet">
              {sent}
            </span>
          </div>
          {act.problem && <Fault problem={act.problem} />}
          <Answer asked={asked}>
            {({ deliveries, hasMore }) =>
              deliveries.length === 0 ? (
                <Empty>{words.none}</Empty>
              ) : (
                <>
                  <DeliveryTable deliveries={deliveries} isBusy={act.isBusy} onOpen={setOpened} onAgain={one} />
                  {hasMore && (
                    <button type="button" class="more" onClick={() => setPages(pages + 1)}>
                      {strings.alerts.more}
                    </button>
                  )}
                </>
              )
            }
          </Answer>
        </>
      )}
    </Dialog>
  );
}

async function readPages(id: number, state: State | '', pages: number, signal: AbortSignal) {
  const deliveries: Delivery[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < pages; page++) {
    const query = { state: state || undefined, cursor, limit: PAGE };
    const found = await told(client.GET('/v1/callbacks/{id}/deliveries', { params: { path: { id }, query }, signal }));
    deliveries.push(...found.deliveries);
    cursor = found.next_cursor ?? undefined;
    if (!cursor) break;
  }
  return { deliveries, hasMore: cursor !== undefined };
}

function DeliveryTable(props: { deliveries: Delivery[]; isBusy: boolean; onOpen: (id: number) => void; onAgain: (delivery: Delivery) => void }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={words.caption}>
      <table class="stacks">
        <caption class="hidden">{words.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{words.at}</th>
            <th scope="col">{words.what}</th>
            <th scope="col">{words.state}</th>
            <th scope="col" class="number">
              {words.attempts}
            </th>
            <th scope="col">{words.last}</th>
            <th scope="col">{strings.alerts.rule.acts}</th>
          </tr>
        </thead>
        <tbody>
          {props.deliveries.map((delivery) => (
            <tr key={delivery.delivery_id}>
              <th scope="row">{dateAndTime(Date.parse(delivery.created_at), zone.value)}</th>
              <td>{words.types[delivery.type] ?? delivery.type}</td>
              <td class={delivery.state === 'dead' ? 'bad' : ''}>{words.states[delivery.state] ?? delivery.state}</td>
              <td class="number" data-label={words.attempts}>
                {delivery.attempts}
              </td>
              <td>{[delivery.last_status, delivery.last_problem].filter(Boolean).join(': ')}</td>
              <td>
                <div class="row acts">
                  <button type="button" onClick={() => props.onOpen(delivery.delivery_id)} aria-label={words.detailsNamed(delivery.delivery_id)}>
                    {words.details}
                  </button>
                  {delivery.type !== 'test' && delivery.state !== 'pending' && (
                    <button type="button" disabled={props.isBusy} onClick={() => props.onAgain(delivery)} aria-label={words.againNamed(delivery.delivery_id)}>
                      {words.again}
                    </button>
                  )}
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Attempts({ endpoint, delivery, onBack }: { endpoint: number; delivery: number; onBack: () => void }) {
  const asked = useAsk(
    (signal) => told(client.GET('/v1/callbacks/{id}/deliveries/{delivery}', { params: { path: { id: endpoint, delivery } }, signal })),
    [delivery],
    5000,
  );
  return (
    <>
      <button type="button" onClick={onBack} ref={(button) => button?.focus()}>
        ← {words.back}
      </button>
      <Answer asked={asked}>
        {({ attempt_log, event }) => (
          <>
            {attempt_log?.length ? (
              <ol class="attempts">
                {attempt_log.map((attempt, at) => (
                  <li key={attempt.attempted_at}>
                    <h3>{words.attempt(at + 1)}</h3>
                    <p class={attempt.problem ? 'bad' : 'good'}>
                      {[clock(Date.parse(attempt.attempted_at), zone.value, true), attempt.status ?? words.noAnswer, words.tookMs(attempt.latency_ms), attempt.problem].filter(Boolean).join(' · ')}
                    </p>
                    {attempt.answer && <pre tabIndex={0}>{attempt.answer}</pre>}
                  </li>
                ))}
              </ol>
            ) : (
              <Empty>{words.noAttempts}</Empty>
            )}
            <h3>{words.body}</h3>
            <pre tabIndex={0} class="body">
              {JSON.stringify(event, null, 2)}
            </pre>
          </>
        )}
      </Answer>
    </>
  );
}
