// How full areas were whose limit is known.

import { address, client, type Schemas, told } from '../../api';
import { strings } from '../../strings';
import { useAsk } from '../../ui/ask';
import { Chart, type ChartOption, boundByLabels, inks, palette } from '../../ui/chart';
import { length, percent, rounded, tenth, tip, whole } from './labels';
import { Part } from './part';
import type { Question } from './question';

const words = strings.history;

type Area = Schemas['AreaCapacity'];

/// The fullest are drawn; the table has them all.
const BARS_MAX = 12;

export function Capacity({ question }: { question: Question }) {
  const { when, where, who, min_dwell } = question;
  const query = { ...where, ...who, ...when };
  const asked = useAsk((signal) => told(client.GET('/v1/occupancy/capacity', { params: { query }, signal })), [question]);
  return (
    <Part title={words.capacity} asked={asked} empty={words.noCapacity} isEmpty={({ areas }) => areas.length === 0}>
      {({ areas }) => {
        const ordered = [...areas].sort((a, b) => (b.max_share ?? 0) - (a.max_share ?? 0));
        const [first] = ordered;
        if (!first) return null;
        const shown = ordered.slice(0, BARS_MAX);
        return (
          <Chart
            title={words.capacity}
            note={[shown.length < areas.length ? words.fullestOf(shown.length, areas.length) : '', min_dwell ? words.noMinDwell : ''].join(' ').trim() || undefined}
            csv={address('/v1/occupancy/capacity', { ...query, format: 'csv' })}
            height={Math.max(140, shown.length * 26 + 60)}
            deps={[areas]}
            option={(dark) => optionOf(shown, dark)}
            summary={words.capacitySummary(nameOf(first), percent(first.max_share))}
            table={{
              columns: [words.area, words.limit, words.meanOf, words.most, words.meanShare, words.maxShare, words.overFor],
              rows: ordered.map((one) => [nameOf(one), one.occupancy_limit, tenth(one.mean), one.max, percent(one.mean_share), percent(one.max_share), one.over_limit_s === 0 ? '' : length(one.over_limit_s)]),
            }}
          />
        );
      }}
    </Part>
  );
}

const nameOf = (one: Area) => one.name ?? one.area_id;

function optionOf(areas: Area[], dark: boolean): ChartOption {
  const { quiet, line, text, surface } = inks(dark);
  const [main, , , , , , alarm] = palette(dark);
  return {
    grid: { left: 8, right: 24, top: 34, bottom: 4, ...boundByLabels },
    legend: { top: 0, left: 0, textStyle: { color: quiet }, selectedMode: false },
    tooltip: {
      trigger: 'axis',
      axisPointer: { type: 'shadow' },
      confine: true,
      backgroundColor: surface,
      borderColor: line,
      textStyle: { color: text },
      formatter: (params: { dataIndex: number }[]) => {
        const one = areas[params[0]?.dataIndex ?? 0];
        if (!one) return '';
        return tip(nameOf(one), [
          [words.limit, whole(one.occupancy_limit)],
          [words.meanOf, `${rounded(one.mean)} (${percent(one.mean_share)})`],
          [words.most, `${whole(one.max)} (${percent(one.max_share)})`],
          ...(one.over_limit_s ? ([[words.overFor, length(one.over_limit_s)]] as [string, string][]) : []),
        ]);
      },
    },
    xAxis: { type: 'value', axisLabel: { color: quiet, formatter: (share: number) => percent(share), hideOverlap: true }, splitLine: { lineStyle: { color: line } }, max: ({ max }: { max: number }) => Math.max(1, Math.ceil(max * 2) / 2) },
    yAxis: { type: 'category', inverse: true, data: areas.map(nameOf), axisLabel: { color: quiet, width: 110, overflow: 'truncate' }, axisTick: { show: false }, axisLine: { lineStyle: { color: line } } },
    series: [
      { type: 'bar', name: words.meanShare, data: areas.map((one) => one.mean_share), color: main, barMaxWidth: 12, z: 3 },
      {
        type: 'bar',
        name: words.maxShare,
        data: areas.map((one) => one.max_share),
        color: quiet,
        itemStyle: { opacity: 0.5 },
        barMaxWidth: 12,
        barGap: '0%',
        markLine: { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: alarm, type: [6, 4], width: 1.5 }, data: [{ xAxis: 1 }] },
      },
    ],
  };
}
