// What was asked before, to be asked again.

import { zone } from '../../state';
import { strings } from '../../strings';
import { dateAndTime } from '../../time';
import { Empty } from '../../ui/ask';
import { askedBefore, forget } from './asked';

const words = strings.sql;

export function Past({ onChoose }: { onChoose: (sql: string) => void }) {
  const past = askedBefore.value;
  return (
    <section class="card past">
      <div class="row spread">
        <h2>{words.history}</h2>
        {past.length > 0 && (
          <button type="button" class="link" onClick={forget}>
            {words.forget}
          </button>
        )}
      </div>
      {past.length === 0 ? (
        <Empty>{words.noHistory}</Empty>
      ) : (
        <ol>
          {past.map((one) => (
            <li key={one.sql}>
              <button type="button" onClick={() => onChoose(one.sql)} title={one.sql}>
                <code>{one.sql.replace(/\s+/g, ' ')}</code>
                <span class="quiet">
                  {dateAndTime(one.at, zone.value)} · {one.rows === undefined ? words.failed : words.rows(one.rows)}
                </span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
