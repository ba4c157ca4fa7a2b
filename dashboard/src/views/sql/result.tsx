// An answer as a table or as a chart, and as a file.

import { useState } from 'preact/hooks';
import { zone } from '../../state';
import { strings } from '../../strings';
import { clock, date } from '../../time';
import { Empty } from '../../ui/ask';
import { param, setParams } from '../../url';
import { ResultChart } from './result-chart';
import { type Column, type Found, ROWS, type Statement } from './statement';

const words = strings.sql;

/// Rows that are shown; a browser is slow with more.
const SHOWN = 500;

const forms = ['csv', 'arrow', 'parquet'] as const;

export function Result({ statement }: { statement: Statement }) {
  const { found, isRunning, save } = statement;
  const [isSaving, setSaving] = useState(false);
  const isChart = param('show') === 'chart';
  if (!found) return <section class="card result">{!isRunning && <Empty>{words.nothingYet}</Empty>}</section>;
  const saveAs = (form: (typeof forms)[number]) => {
    setSaving(true);
    void save(form).finally(() => setSaving(false));
  };
  return (
    <section class="card result" aria-labelledby="result" aria-busy={isRunning}>
      <div class="row spread">
        <h2 id="result">{words.result}</h2>
        <div class="row" role="group" aria-label={words.shownAs}>
          <button type="button" aria-pressed={!isChart} onClick={() => setParams({ show: '' })}>
            {words.asTable}
          </button>
          <button type="button" aria-pressed={isChart} onClick={() => setParams({ show: 'chart' })}>
            {words.asChart}
          </button>
        </div>
        <span role="status" class="quiet" data-testid="sql-summary">
          {words.rows(found.rows.length)} · {words.took(found.duration_ms)}
        </span>
        <span class="spring" />
        <div class="row" role="group" aria-label={words.download}>
          {forms.map((form) => (
            <button type="button" disabled={isSaving} onClick={() => saveAs(form)} title={words.downloadAs(form)}>
              {form === 'csv' ? 'CSV' : form === 'arrow' ? 'Arrow' : 'Parquet'}
            </button>
          ))}
        </div>
      </div>
      {found.is_truncated && <p class="notice">{words.truncated(ROWS)}</p>}
      {found.rows.length === 0 ? <Empty>{words.noRows}</Empty> : isChart ? <ResultChart found={found} /> : <Table found={found} />}
    </section>
  );
}

function Table({ found }: { found: Found }) {
  const shown = found.rows.slice(0, SHOWN);
  return (
    <>
      {shown.length < found.rows.length && <p class="quiet">{words.shown(SHOWN)}</p>}
      <div class="scroll rows" tabIndex={0} role="group" aria-labelledby="result">
        <table>
          <caption class="hidden">{words.result}</caption>
          <thead>
            <tr>
              {found.columns.map((column) => (
                <th scope="col" class={isNumber(column) ? 'number' : ''}>
                  {column.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, at) => (
              <tr key={at}>
                {found.columns.map((column) => (
                  <td class={isNumber(column) ? 'number' : ''}>
                    <Cell value={row[column.name]} column={column} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

export const isNumber = ({ type }: Column) => type === 'integer' || type === 'number';
export const isTime = ({ type }: Column) => type === 'time' || type.startsWith('date');

function Cell({ value, column }: { value: unknown; column: Column }) {
  if (value === null || value === undefined) return <span class="quiet">{words.empty}</span>;
  if (column.type === 'time' && typeof value === 'string') {
    // Of a time without a zone the server tells no offset: it stays as it is.
    const at = /(Z|[+-]\d\d:?\d\d)$/.test(value) ? Date.parse(value) : NaN;
    return Number.isNaN(at) ? <>{value}</> : <time dateTime={value}>{`${date(at, zone.value)}, ${clock(at, zone.value, true)}`}</time>;
  }
  if (typeof value === 'number') return <>{value.toLocaleString('en', { maximumFractionDigits: 6, useGrouping: column.type === 'integer' })}</>;
  if (typeof value === 'boolean') return <>{value ? words.yes : words.no}</>;
  return <>{typeof value === 'object' ? JSON.stringify(value) : String(value)}</>;
}
