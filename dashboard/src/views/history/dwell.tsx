// How long visits lasted: a histogram, and the site's own bands.

import { strings } from '../../strings';
import type { Asked } from '../../ui/ask';
import { Chart, type ChartOption, type ChartTable, boundByLabels, inks } from '../../ui/chart';
import type { DwellAnswer } from '../history';
import { type Figure, length, percent, share, tip, whole } from './labels';
import { countAxis } from './occupancy';
import { Part } from './part';

const words = strings.history;

/// Visits of one range or band, now and before.
interface Row {
  name: string;
  length: string;
  now: Figure;
  before: Figure;
}

export function Dwell({ asked }: { asked: Asked<DwellAnswer> }) {
  return (
    <>
      <Part title={words.histogram} asked={asked} empty={words.noDwell} isEmpty={(found) => !found.count}>
        {(found) => (
          <Bars
            title={words.histogram}
            rows={histogramOf(found)}
            answer={found}
            summary={words.histogramSummary(whole(found.count), length(found.median_s), length(found.p90_s))}
          />
        )}
      </Part>
      {asked.data && asked.data.count && asked.data.bands.length > 0 && <Bands found={asked.data} />}
    </>
  );
}

function Bands({ found }: { found: DwellAnswer }) {
  const rows = bandsOf(found);
  const parts = rows.map((row) => `${row.name} ${percent(share(row.now, found.count))}`).join(', ');
  return <Bars title={words.bands} rows={rows} answer={found} summary={words.bandsSummary(parts)} />;
}

function Bars({ title, rows, answer, summary }: { title: string; rows: Row[]; answer: DwellAnswer; summary: string }) {
  return <Chart title={title} deps={[answer]} option={(dark) => optionOf(rows, answer, dark)} summary={summary} table={tableOf(rows, answer)} note={summary} />;
}

/// Ranges beyond the longest visit are not shown.
function histogramOf({ histogram, comparison }: DwellAnswer): Row[] {
  const rows = histogram.map(({ from_s, to_s, visits }, i) => {
    const name = to_s == null ? words.over(length(from_s)) : words.fromTo(length(from_s), length(to_s));
    return { name, length: name, now: visits, before: comparison?.histogram[i]?.visits };
  });
  const last = rows.findLastIndex((row) => (row.now ?? 0) > 0 || (row.before ?? 0) > 0);
  return rows.slice(0, Math.max(6, last + 1));
}

function bandsOf({ bands, unbanded, comparison }: DwellAnswer): Row[] {
  const rows = bands.map(({ name, from_s, to_s, visits }) => ({
    name,
    length: to_s == null ? words.over(length(from_s - 1)) : words.fromTo(length(from_s), length(to_s)),
    now: visits,
    before: comparison?.bands.find((one) => one.name === name)?.visits,
  }));
  if (unbanded) rows.push({ name: words.unbanded, length: '', now: unbanded, before: comparison?.unbanded });
  return rows;
}

function tableOf(rows: Row[], { count, comparison }: DwellAnswer): ChartTable {
  const hasNames = rows.some((row) => row.name !== row.length);
  return {
    columns: [...(hasNames ? [words.band] : []), words.length, words.visits, words.share, ...(comparison ? [words.then] : [])],
    rows: rows.map((row) => [...(hasNames ? [row.name] : []), row.length, row.now, percent(share(row.now, count)), ...(comparison ? [row.before] : [])]),
  };
}

function optionOf(rows: Row[], { count, comparison }: DwellAnswer, dark: boolean): ChartOption {
  const { quiet, line, text, surface } = inks(dark);
  return {
    grid: { left: 8, right: 12, top: comparison ? 34 : 12, bottom: 4, ...boundByLabels },
    legend: { show: Boolean(comparison), top: 0, left: 0, textStyle: { color: quiet }, selectedMode: false },
    tooltip: {
      trigger: 'axis',
      axisPointer: { type: 'shadow' },
      confine: true,
      backgroundColor: surface,
      borderColor: line,
      textStyle: { color: text },
      formatter: (params: { dataIndex: number }[]) => {
        const row = rows[params[0]?.dataIndex ?? 0];
        if (!row) return '';
        const lines: [string, string][] = [[words.visits, `${whole(row.now)} (${percent(share(row.now, count))})`]];
        if (row.before != null) lines.push([words.then, whole(row.before)]);
        return tip(row.name === row.length || !row.length ? row.name : `${row.name}, ${row.length}`, lines);
      },
    },
    xAxis: {
      type: 'category',
      data: rows.map((row) => row.name),
      axisLabel: { color: quiet, interval: 0, rotate: rows.length > 6 ? 40 : 0, hideOverlap: true },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: line } },
    },
    yAxis: countAxis(dark),
    series: [
      { type: 'bar', name: words.now, data: rows.map((row) => row.now), barMaxWidth: 56 },
      ...(comparison ? [{ type: 'bar', name: words.then, data: rows.map((row) => row.before ?? 0), color: quiet, itemStyle: { opacity: 0.55 }, barMaxWidth: 56 }] : []),
    ],
  };
}
