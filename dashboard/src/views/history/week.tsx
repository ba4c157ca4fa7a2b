// The week as it is: mean occupancy by day of the week and hour.

import { address, client, type Schemas, told } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { DAY, date, rfc3339 } from '../../time';
import { useAsk } from '../../ui/ask';
import { Chart, type ChartOption, type ChartTable, boundByLabels, inks } from '../../ui/chart';
import { rounded, tenth, tip, whole } from './labels';
import { Part } from './part';
import type { Question } from './question';

const words = strings.history;

type Hour = Schemas['ProfileHour'];

/// Shorter ranges are looked at with the whole week up to their end.
const WEEK_MS = 7 * DAY;

export function Week({ question }: { question: Question }) {
  const { range, where, who, min_dwell } = question;
  const from = Math.min(range.from, range.to - WEEK_MS);
  const query = { ...where, ...who, from: rfc3339(from), to: rfc3339(range.to), min_dwell };
  const asked = useAsk((signal) => told(client.GET('/v1/occupancy/profile', { params: { query }, signal })), [question]);
  return (
    <Part title={words.week} asked={asked} empty={words.noWeek} isEmpty={({ hours }) => hours.every((one) => one.mean == null)}>
      {({ hours }) => {
        const known = hours.filter((one) => one.mean != null);
        const busiest = known.reduce<Hour | undefined>((top, one) => (!top || (one.mean ?? 0) > (top.mean ?? 0) ? one : top), undefined);
        const quietest = known.reduce<Hour | undefined>((top, one) => (!top || (one.mean ?? 0) < (top.mean ?? 0) ? one : top), undefined);
        if (!busiest || !quietest) return null;
        return (
          <Chart
            title={words.week}
            note={words.weekOf(date(from, zone.value), date(range.to, zone.value))}
            csv={address('/v1/occupancy/profile', { ...query, format: 'csv' })}
            deps={[hours]}
            option={(dark) => optionOf(known, dark)}
            summary={words.weekSummary(hourName(busiest), rounded(busiest.mean ?? 0), hourName(quietest), rounded(quietest.mean ?? 0))}
            table={tableOf(hours)}
          />
        );
      }}
    </Part>
  );
}

const pad = (hour: number) => `${String(hour).padStart(2, '0')}:00`;
const dayOf = (one: Hour) => words.weekdays[one.weekday - 1] ?? '';
const hourName = (one: Hour) => `${dayOf(one)} ${pad(one.hour)}`;

function tableOf(hours: Hour[]): ChartTable {
  const at = new Map(hours.map((one) => [`${one.weekday}/${one.hour}`, one.mean]));
  const cell = (weekday: number, hour: number) => {
    const mean = at.get(`${weekday}/${hour}`);
    return mean == null ? '' : tenth(mean);
  };
  return {
    columns: [words.hour, ...words.weekdays],
    rows: Array.from({ length: 24 }, (_, hour) => [pad(hour), ...words.weekdays.map((_, day) => cell(day + 1, hour))]),
  };
}

function optionOf(known: Hour[], dark: boolean): ChartOption {
  const { quiet, line, text, surface } = inks(dark);
  return {
    grid: { left: 8, right: 8, top: 8, bottom: 46, ...boundByLabels },
    tooltip: {
      confine: true,
      backgroundColor: surface,
      borderColor: line,
      textStyle: { color: text },
      formatter: ({ dataIndex }: { dataIndex: number }) => {
        const one = known[dataIndex];
        if (!one) return '';
        return tip(`${dayOf(one)} ${pad(one.hour)} – ${pad((one.hour + 1) % 24)}`, [
          [words.meanOf, rounded(one.mean ?? 0)],
          [words.most, whole(one.max ?? 0)],
          [words.visits, rounded(one.entries ?? 0)],
        ]);
      },
    },
    xAxis: { type: 'category', data: Array.from({ length: 24 }, (_, hour) => pad(hour)), axisLabel: { color: quiet, hideOverlap: true, interval: 2 }, axisTick: { show: false }, axisLine: { show: false } },
    yAxis: { type: 'category', data: words.weekdays, inverse: true, axisLabel: { color: quiet }, axisTick: { show: false }, axisLine: { show: false } },
    visualMap: {
      min: 0,
      max: Math.max(1, Math.ceil(Math.max(...known.map((one) => one.mean ?? 0)))),
      orient: 'horizontal',
      left: 'center',
      bottom: 0,
      itemHeight: 160,
      itemWidth: 10,
      calculable: false,
      text: [whole(Math.max(1, ...known.map((one) => one.mean ?? 0))), '0'],
      textStyle: { color: quiet },
      inRange: { color: dark ? ['#1b2c2f', '#1f5a5b', '#35989a', '#9df0ec'] : ['#edf5f5', '#a9d4d3', '#3d9492', '#064545'] },
    },
    series: [{ type: 'heatmap', data: known.map((one) => [one.hour, one.weekday - 1, one.mean]), itemStyle: { borderColor: surface, borderWidth: 1.5, borderRadius: 3 }, emphasis: { itemStyle: { borderColor: text } } }],
  };
}
