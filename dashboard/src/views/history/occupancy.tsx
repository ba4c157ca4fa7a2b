// How many were there over time: the mean as a line, between the least and the most as a band, the period before dashed.

import { address } from '../../api';
import { strings } from '../../strings';
import { Chart, type ChartOption, type ChartTable, boundByLabels, inks, palette } from '../../ui/chart';
import type { Series } from '../history';
import { type Figure, axisLabels, moment, rounded, stretch, tenth, tip, whole } from './labels';
import type { Question } from './question';

const words = strings.history;

type Bucket = Series['buckets'][number];

export function Occupancy({ question, series }: { question: Question; series: Series }) {
  const { when, where, who, min_dwell, bucket, compare, limit } = question;
  const before = aligned(series);
  const highest = series.buckets.reduce<Bucket | undefined>((top, one) => ((one.max ?? 0) > (top?.max ?? 0) ? one : top), undefined);
  return (
    <Chart
      isWide
      title={words.occupancy}
      height={320}
      csv={address('/v1/occupancy/series', { ...where, ...who, ...when, min_dwell, bucket, compare, format: 'csv' })}
      deps={[series, limit]}
      option={(dark) => optionOf(series, before, limit, dark)}
      summary={highest && words.occupancySummary(rounded(series.total.mean), whole(highest.max), moment(highest.from))}
      table={tableOf(series, before)}
    />
  );
}

/// The mean of the period before that belongs to each bucket, the same time after its start.
function aligned({ from, buckets, comparison }: Series): Figure[] | undefined {
  if (!comparison) return undefined;
  const moved = Date.parse(from) - Date.parse(comparison.from);
  const spans = comparison.buckets.map((one) => ({ from: Date.parse(one.from) + moved, to: Date.parse(one.to) + moved, mean: one.mean }));
  let next = 0;
  return buckets.map((one) => {
    const middle = (Date.parse(one.from) + Date.parse(one.to)) / 2;
    while (next < spans.length - 1 && (spans[next]?.to ?? 0) <= middle) next += 1;
    const found = spans[next];
    return found && found.from <= middle && middle < found.to ? found.mean : undefined;
  });
}

function tableOf({ buckets }: Series, before: ReturnType<typeof aligned>): ChartTable {
  return {
    columns: [words.time, words.least, words.meanOf, words.most, words.visits, words.unique, ...(before ? [words.before] : [])],
    rows: buckets.map((one, i) => [
      stretch(Date.parse(one.from), Date.parse(one.to)),
      one.min,
      tenth(one.mean),
      one.max,
      one.entries,
      one.unique_clients,
      ...(before ? [before[i] === undefined ? '' : tenth(before[i])] : []),
    ]),
  };
}

function optionOf(series: Series, before: ReturnType<typeof aligned>, limit: number | undefined, dark: boolean): ChartOption {
  const { buckets } = series;
  const { quiet, line, text, surface } = inks(dark);
  const [main = '', , , , , , alarm = ''] = palette(dark);
  const labels = axisLabels(buckets.map((one) => Date.parse(one.from)), Date.parse(series.to));
  const plain = { type: 'line', showSymbol: buckets.length === 1, animation: false };
  return {
    grid: { left: 8, right: 16, top: 34, bottom: 4, ...boundByLabels },
    legend: { top: 0, left: 0, icon: 'roundRect', itemHeight: 4, textStyle: { color: quiet }, data: [words.meanOf, words.range, ...(before ? [words.before] : [])], selectedMode: false },
    tooltip: {
      trigger: 'axis',
      confine: true,
      backgroundColor: surface,
      borderColor: line,
      textStyle: { color: text },
      formatter: (params: { dataIndex: number }[]) => {
        const index = params[0]?.dataIndex ?? 0;
        const one = buckets[index];
        if (!one) return '';
        const then = before?.[index];
        return tip(stretch(Date.parse(one.from), Date.parse(one.to)), [
          [words.meanOf, rounded(one.mean)],
          [words.range, `${whole(one.min)} – ${whole(one.max)}`],
          [words.visits, whole(one.entries)],
          [words.unique, whole(one.unique_clients)],
          ...(then === undefined ? [] : ([[words.before, rounded(then)]] as [string, string][])),
        ]);
      },
    },
    xAxis: timeAxis(labels, dark),
    yAxis: countAxis(dark, limit),
    series: [
      { ...plain, name: words.least, stack: 'band', data: buckets.map((one) => one.min), lineStyle: { opacity: 0 }, symbol: 'none', silent: true, tooltip: { show: false } },
      {
        ...plain,
        name: words.range,
        stack: 'band',
        data: buckets.map((one) => one.max != null && one.min != null ? one.max - one.min : null),
        lineStyle: { opacity: 0 },
        symbol: 'none',
        areaStyle: { color: main, opacity: dark ? 0.28 : 0.2 },
        itemStyle: { color: main, opacity: 0.35 },
        silent: true,
      },
      ...(before ? [{ ...plain, name: words.before, data: before.map((mean) => mean ?? null), color: quiet, symbol: 'none', lineStyle: { type: 'dashed', width: 1.5, color: quiet } }] : []),
      {
        ...plain,
        name: words.meanOf,
        data: buckets.map((one) => one.mean),
        color: main,
        lineStyle: { width: 2.2, color: main },
        markLine: limit
          ? {
              silent: true,
              symbol: 'none',
              lineStyle: { color: alarm, type: [6, 4], width: 1.5 },
              label: { formatter: words.limitIs(limit), color: alarm, position: 'insideEndTop', textBorderWidth: 0 },
              data: [{ yAxis: limit }],
            }
          : undefined,
      },
    ],
  };
}

export const timeAxis = (labels: string[], dark: boolean) => ({
  type: 'category' as const,
  data: labels.map((_, index) => String(index)),
  axisTick: { show: true, alignWithLabel: false, interval: (index: number) => labels[index] !== '' },
  axisLabel: { color: inks(dark).quiet, hideOverlap: true, interval: (index: number) => labels[index] !== '', formatter: (_: string, index: number) => labels[index] ?? '' },
  axisLine: { lineStyle: { color: inks(dark).line } },
});

export const countAxis = (dark: boolean, atLeast = 0) => ({
  type: 'value' as const,
  minInterval: 1,
  max: atLeast ? ({ max }: { max: number }) => Math.max(max, atLeast) : undefined,
  axisLabel: { color: inks(dark).quiet },
  splitLine: { lineStyle: { color: inks(dark).line } },
});
