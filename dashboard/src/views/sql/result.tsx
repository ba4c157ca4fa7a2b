// An answer: as a table, and as a chart of two of its columns.

import { useState } from 'preact/hooks';
import type { Schemas } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { clock, date } from '../../time';
import { Empty } from '../../ui/ask';
import { Chart, inks } from '../../ui/chart';

const words = strings.sql;
type Row = Record<string, unknown>;

/// Rows that are drawn as a table; a browser takes long for more.
const SHOWN = 500;

export function Result({ answer }: { answer: Schemas['SqlAnswer'] }) {
  const rows = answer.rows as Row[];
  const numbers = answer.columns.filter((column) => ['integer', 'number'].includes(column.type));
  const [isChart, setChart] = useState(false);
  const [chosen, setChosen] = useState<{ x?: string; y?: string }>({});
  const has = (name: string | undefined) => answer.columns.some((column) => column.name === name);
  const x = has(chosen.x) ? chosen.x : (answer.columns.find((column) => column.type === 'time') ?? answer.columns[0])?.name;
  const y = has(chosen.y) ? chosen.y : (numbers.find((column) => column.name !== x) ?? numbers[0])?.name;
  return (
    <>
      <div class="row">
        <p>
          {words.found(rows.length, answer.duration_ms)}
          {answer.is_truncated && ` ${words.cut}`}
          {!isChart && rows.length > SHOWN && ` ${words.shown(SHOWN)}`}
        </p>
        <span class="spring" />
        {numbers.length > 0 && rows.length > 0 && (
          <button type="button" aria-pressed={isChart} onClick={() => setChart(!isChart)}>
            {words.chart}
          </button>
        )}
      </div>
      {rows.length === 0 ? (
        <Empty>{words.empty}</Empty>
      ) : isChart && x && y ? (
        <>
          <div class="row">
            <Column label={words.across} columns={answer.columns} value={x} onChange={(name) => setChosen({ ...chosen, x: name })} />
            <Column label={words.up} columns={numbers} value={y} onChange={(name) => setChosen({ ...chosen, y: name })} />
          </div>
          <Drawn rows={rows} x={x} y={y} xType={answer.columns.find((column) => column.name === x)?.type ?? 'text'} />
        </>
      ) : (
        <Table columns={answer.columns} rows={rows.slice(0, SHOWN)} />
      )}
    </>
  );
}

function Column(props: { label: string; columns: Schemas['SqlColumn'][]; value: string; onChange: (name: string) => void }) {
  return (
    <label>
      {props.label}{' '}
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.columns.map((column) => (
          <option value={column.name}>{column.name}</option>
        ))}
      </select>
    </label>
  );
}

function Table({ columns, rows }: { columns: Schemas['SqlColumn'][]; rows: Row[] }) {
  const isNumber = (column: Schemas['SqlColumn']) => ['integer', 'number'].includes(column.type);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={words.rows}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" class={isNumber(column) ? 'number' : ''}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {columns.map((column) => (
                <td class={isNumber(column) ? 'number' : ''}>{cell(row[column.name], column.type)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/// Times in the site's zone, as everywhere on the page; null as nothing.
function cell(value: unknown, type: string) {
  if (value === null || value === undefined) return <span class="quiet">{words.null}</span>;
  if (type === 'time' && typeof value === 'string') {
    const at = Date.parse(value.endsWith('Z') || value.includes('+') ? value : `${value}Z`);
    return Number.isNaN(at) ? value : `${date(at, zone.value)} ${clock(at, zone.value, true)}`;
  }
  if (typeof value === 'number') return value.toLocaleString('en', { maximumFractionDigits: 6 });
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function Drawn({ rows, x, y, xType }: { rows: Row[]; x: string; y: string; xType: string }) {
  const isTime = xType === 'time';
  const isNumber = xType === 'integer' || xType === 'number';
  const points = rows.map((row) => [isTime ? Date.parse(String(row[x])) : isNumber ? row[x] : String(row[x] ?? words.null), row[y]]);
  return (
    <Chart
      title={words.chartOf(y, x)}
      deps={[rows, x, y]}
      height={360}
      option={(dark) => ({
        grid: { left: 60, right: 20, top: 20, bottom: 60 },
        tooltip: { trigger: 'axis' },
        xAxis: {
          type: isTime ? 'time' : isNumber ? 'value' : 'category',
          axisLabel: { color: inks(dark).quiet, ...(isTime && { formatter: (at: number) => `${date(at, zone.value)}\n${clock(at, zone.value)}`, hideOverlap: true }) },
        },
        yAxis: { type: 'value', axisLabel: { color: inks(dark).quiet }, splitLine: { lineStyle: { color: inks(dark).line } } },
        series: [{ name: y, type: isTime || isNumber ? 'line' : 'bar', data: points, showSymbol: points.length < 60 }],
      })}
    />
  );
}
