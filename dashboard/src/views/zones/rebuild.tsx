// The past of a zone that was drawn anew: what deriving it would take, and how far that has come.

import { useEffect, useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { dateAndTime } from '../../time';
import { asProblem, Fault } from '../../ui/ask';
import { useAct } from '../../ui/form';
import { linkTo } from '../../url';
import type { Problem } from '../../api';

const words = strings.zones.rebuild;

type Offer = Schemas['RebuildOffer'];
type Rebuild = Schemas['Rebuild'];

/// How often the server is asked how far it has come, milliseconds.
const ASK_MS = 500;

const isOver = (rebuild: Rebuild) => !['queued', 'running'].includes(rebuild.state);

/// An offer, until it is taken or put aside; then the rebuild itself.
export function RebuildOffer({ offer, about, areaId, onClose }: { offer: Offer; about: string; areaId?: string; onClose: () => void }) {
  const act = useAct();
  const [rebuild, setRebuild] = useState<Rebuild | undefined>();
  const start = async () => setRebuild((await told(client.POST('/v1/rebuilds', { body: offer.request }))) as Rebuild);
  return (
    <section class="card notice" aria-label={words.title}>
      <h2>{words.title}</h2>
      {rebuild ? (
        <Progress rebuild={rebuild} onChange={setRebuild} />
      ) : (
        <p>
          {words.offer(about, offer.fixes, offer.since ? dateAndTime(Date.parse(offer.since), zone.value) : undefined)} {words.takes(offer.estimated_s)}
        </p>
      )}
      {act.problem && <Fault problem={act.problem} />}
      <div class="row">
        {!rebuild && (
          <button type="button" class="primary" disabled={act.isBusy} onClick={() => void act.run(start)}>
            {words.start}
          </button>
        )}
        {(!rebuild || isOver(rebuild)) && (
          <button type="button" onClick={onClose}>
            {rebuild ? strings.close : words.later}
          </button>
        )}
        {rebuild?.state === 'done' && <a href={linkTo('history', areaId ? { area: areaId, range: '7d' } : {})}>{words.see}</a>}
      </div>
    </section>
  );
}

function Progress({ rebuild, onChange }: { rebuild: Rebuild; onChange: (rebuild: Rebuild) => void }) {
  const [problem, setProblem] = useState<Problem | undefined>();
  const params = { path: { id: rebuild.rebuild_id } };
  const over = isOver(rebuild);
  useEffect(() => {
    if (over) return;
    const abort = new AbortController();
    const ask = async () => {
      try {
        onChange(await told(client.GET('/v1/rebuilds/{id}', { params, signal: abort.signal })));
        setProblem(undefined);
      } catch (error) {
        if (!abort.signal.aborted) setProblem(asProblem(error));
      }
    };
    const timer = setInterval(() => void ask(), ASK_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [rebuild.rebuild_id, over]);
  const cancel = () => void told(client.DELETE('/v1/rebuilds/{id}', { params })).then(onChange, (error: unknown) => setProblem(asProblem(error)));
  const { state, events, events_total } = rebuild;
  return (
    <>
      <p role="status">{state === 'done' ? words.done(rebuild.visits ?? 0, rebuild.replaced_visits ?? 0) : state === 'failed' ? words.failed(rebuild.problem ?? '') : words.states[state]}</p>
      {!over && (
        <div class="row">
          <progress aria-label={words.title} max={events_total ?? undefined} value={events_total ? (events ?? 0) : undefined} />
          <button type="button" onClick={cancel}>
            {strings.cancel}
          </button>
        </div>
      )}
      {problem && <Fault problem={problem} />}
    </>
  );
}
