// An answer as a chart: lines over times and numbers, bars over texts.

import { strings } from '../../strings';
import { zone } from '../../state';
import { clock, date } from '../../time';
import { Empty } from '../../ui/ask';
import { Chart, type ChartOption, inks } from '../../ui/chart';
import { param, setParams } from '../../url';
import { isNumber, isTime } from './result';
import type { Column, Found, Row } from './statement';

const words = strings.sql;

/// Lines that are told apart still.
const SERIES_MAX = 12;

export function ResultChart({ found }: { found: Found }) {
  const numbers = found.columns.filter(isNumber);
  const named = (name: string, among: Column[]) => among.find((one) => one.name === name);
  const x = named(param('x'), found.columns) ?? found.columns.find(isTime) ?? found.columns.find((one) => !isNumber(one)) ?? found.columns[0];
  const y = named(param('y'), numbers) ?? numbers.find((one) => one !== x) ?? numbers[0];
  if (!x || !y) return <Empty>{words.noChart}</Empty>;
  const splits = found.columns.filter((one) => one !== x && one !== y && !isNumber(one));
  const asked = param('series');
  // Several rows at one time want a line each.
  const split = asked === '-' ? undefined : (named(asked, splits) ?? (isTime(x) ? splits.find((one) => one.type === 'text') : undefined));
  return (
    <>
      <fieldset class="toolbar">
        <legend class="hidden">{words.asChart}</legend>
        <Choice label={words.x} name="x" value={x.name} columns={found.columns} />
        <Choice label={words.y} name="y" value={y.name} columns={numbers} />
        {splits.length > 0 && (
          <label>
            <span>{words.series}</span>
            <select value={split?.name ?? '-'} onChange={(event) => setParams({ series: event.currentTarget.value })}>
              <option value="-">{words.noSeries}</option>
              {splits.map((column) => (
                <option value={column.name}>{column.name}</option>
              ))}
            </select>
          </label>
        )}
        {isTime(x) && <span class="quiet">{strings.time.zone(zone.value)}</span>}
      </fieldset>
      <Chart title={words.chartTitle(y.name, x.name)} height={420} option={(dark) => optionOf(found, x, y, split, dark)} deps={[found, x.name, y.name, split?.name]} />
    </>
  );
}

function Choice({ label, name, value, columns }: { label: string; name: string; value: string; columns: Column[] }) {
  return (
    <label>
      <span>{label}</span>
      <select value={value} onChange={(event) => setParams({ [name]: event.currentTarget.value })}>
        {columns.map((column) => (
          <option value={column.name}>{column.name}</option>
        ))}
      </select>
    </label>
  );
}

const text = (value: unknown) => (value === null || value === undefined ? words.empty : typeof value === 'object' ? JSON.stringify(value) : String(value));

function grouped(rows: Row[], by: Column | undefined): [string, Row[]][] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const name = by ? text(row[by.name]) : '';
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups].slice(0, SERIES_MAX);
}

function optionOf(found: Found, x: Column, y: Column, split: Column | undefined, dark: boolean): ChartOption {
  const { quiet, line } = inks(dark);
  const isText = !isTime(x) && !isNumber(x);
  const groups = grouped(found.rows, split);
  const value = (row: Row) => (isTime(x) ? Date.parse(String(row[x.name])) : isText ? text(row[x.name]) : row[x.name]);
  const series = groups.map(([name, rows]) => {
    const data = rows.map((row) => [value(row), row[y.name]] as [string | number, unknown]);
    if (!isText) data.sort((a, b) => Number(a[0]) - Number(b[0]));
    return { type: isText ? 'bar' : 'line', name: name || y.name, data, showSymbol: data.length < 100 };
  });
  const axis = { axisLabel: { color: quiet, hideOverlap: true }, axisLine: { lineStyle: { color: line } }, splitLine: { show: false } };
  const time = { ...axis, axisLabel: { ...axis.axisLabel, formatter: (at: number) => timeLabel(at, x) } };
  return {
    grid: { left: 8, right: 16, top: groups.length > 1 ? 40 : 16, bottom: 8, containLabel: true },
    legend: { show: groups.length > 1, type: 'scroll', top: 0, textStyle: { color: quiet } },
    tooltip: { trigger: 'axis' },
    xAxis: isTime(x) ? { type: 'time', ...time } : isText ? { type: 'category', data: [...new Set(found.rows.map((row) => text(row[x.name])))], ...axis, axisLabel: { ...axis.axisLabel, rotate: found.rows.length > 8 ? 35 : 0 } } : { type: 'value', scale: true, ...axis },
    yAxis: { type: 'value', name: '', axisLabel: { color: quiet }, splitLine: { lineStyle: { color: line } } },
    series,
  };
}

/// The day at its beginning, the clock in between.
function timeLabel(at: number, x: Column): string {
  if (x.type.startsWith('date')) return date(at, 'UTC');
  const told = clock(at, zone.value);
  return told === '00:00' ? date(at, zone.value) : told;
}
