// History: what was, in figures and charts; the same against the period before; and an hour of it played back.

import { client, type Schemas, told } from '../api';
import { isWithheld } from '../session';
import { site } from '../state';
import { strings } from '../strings';
import { Answer, Empty, useAsk } from '../ui/ask';
import './history.css';
import { Capacity } from './history/capacity';
import { Dwell } from './history/dwell';
import { Flows } from './history/flows';
import { moment } from './history/labels';
import { Occupancy } from './history/occupancy';
import { Peaks } from './history/peaks';
import { Playback } from './history/playback';
import { eachOnce, type Question, useQuestion } from './history/question';
import { Summary } from './history/summary';
import { Toolbar } from './history/toolbar';
import { Visitors } from './history/visitors';
import { Week } from './history/week';

const words = strings.history;

export type Series = Schemas['OccupancySeries'];
export type DwellAnswer = Schemas['DwellAnswer'];

export function History() {
  const { question, refresh } = useQuestion();
  if (!site.value) return <Empty>{words.noPlace}</Empty>;
  return (
    <div class="history">
      <h2 class="hidden">{words.title}</h2>
      <Toolbar question={question} refresh={refresh} />
      <Figures key={site.value.site_id} question={question} />
    </div>
  );
}

function Figures({ question }: { question: Question }) {
  const { when, where, who, min_dwell, bucket, compare } = question;
  const series = useAsk(
    (signal) => told(client.GET('/v1/occupancy/series', { params: { query: { ...where, ...who, ...when, min_dwell, bucket, compare } }, signal })),
    [question],
  );
  const dwell = useAsk(
    (signal) => told(client.GET('/v1/dwell', { params: { query: { ...eachOnce(question), ...who, ...when, min_dwell, compare } }, signal })),
    [question],
  );
  return (
    <Answer asked={series}>
      {(found) => (
        <>
          <p class="quiet">{words.shown(question.name, moment(found.from), moment(found.to))}</p>
          {found.total.max === 0 && found.total.unique_clients === 0 ? (
            <Empty>{words.empty}</Empty>
          ) : (
            <>
              <Summary series={found} dwell={dwell} />
              <div class="charts">
                <Occupancy question={question} series={found} />
                <Dwell asked={dwell} />
                <Visitors question={question} />
                <Week question={question} />
                <Flows question={question} />
                <Capacity question={question} />
                <Peaks question={question} />
              </div>
              {!isWithheld.value && <Playback question={question} />}
            </>
          )}
        </>
      )}
    </Answer>
  );
}
