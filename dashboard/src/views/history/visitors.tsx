// Clients who were never here before, and those who came back.

import { address, client, type Schemas, told } from '../../api';
import { strings } from '../../strings';
import { useAsk } from '../../ui/ask';
import { Chart, type ChartOption, boundByLabels, inks, palette } from '../../ui/chart';
import { axisLabels, stretch, tip, whole } from './labels';
import { countAxis, timeAxis } from './occupancy';
import { Part } from './part';
import { buckets as lengths, type Question } from './question';

const words = strings.history;

type Bucket = Schemas['VisitorBucket'];

/// Bars are wider than a line's points: fewer of them are drawn.
const BARS_MAX = 60;

export function Visitors({ question }: { question: Question }) {
  const { range, when, where, who, min_dwell } = question;
  const bucket = barsOf(question);
  const query = { ...where, ...who, ...when, bucket };
  const asked = useAsk((signal) => told(client.GET('/v1/visitors', { params: { query }, signal })), [question]);
  return (
    <Part title={words.visitors} asked={asked} empty={words.empty} isEmpty={({ buckets }) => buckets.every((one) => !one.unique_clients)}>
      {({ buckets }) => {
        const counts = buckets.map((one) => one.unique_clients).filter((count) => count != null);
        return (
          <Chart
            title={words.visitors}
            note={min_dwell && words.noMinDwell}
            csv={address('/v1/visitors', { ...query, format: 'csv' })}
            deps={[buckets]}
            option={(dark) => optionOf(buckets, range.to, dark)}
            summary={words.visitorsSummary(whole(Math.min(...counts)), whole(Math.max(...counts)))}
            table={{
              columns: [words.time, words.newClients, words.returning, words.unique],
              rows: buckets.map((one) => [nameOf(one), one.new_clients, one.returning_clients, one.unique_clients]),
            }}
          />
        );
      }}
    </Part>
  );
}

/// The step of the question, or the next that makes bars wide enough.
function barsOf({ range, bucket }: Question): string {
  const least = Math.max(lengths[bucket] ?? 0, (range.to - range.from) / BARS_MAX);
  return Object.keys(lengths).find((name) => (lengths[name] ?? 0) >= least) ?? '1w';
}

const nameOf = (one: Bucket) => stretch(Date.parse(one.from), Date.parse(one.to));

function optionOf(buckets: Bucket[], end: number, dark: boolean): ChartOption {
  const { quiet, line, text, surface } = inks(dark);
  const [main, other] = palette(dark);
  const bar = { type: 'bar', stack: 'clients', barMaxWidth: 40 };
  return {
    grid: { left: 8, right: 12, top: 34, bottom: 4, ...boundByLabels },
    legend: { top: 0, left: 0, textStyle: { color: quiet }, selectedMode: false },
    tooltip: {
      trigger: 'axis',
      axisPointer: { type: 'shadow' },
      confine: true,
      backgroundColor: surface,
      borderColor: line,
      textStyle: { color: text },
      formatter: (params: { dataIndex: number }[]) => {
        const one = buckets[params[0]?.dataIndex ?? 0];
        if (!one) return '';
        return tip(nameOf(one), [
          [words.newClients, whole(one.new_clients)],
          [words.returning, whole(one.returning_clients)],
          [words.unique, whole(one.unique_clients)],
        ]);
      },
    },
    xAxis: timeAxis(axisLabels(buckets.map((one) => Date.parse(one.from)), end), dark),
    yAxis: countAxis(dark),
    series: [
      { ...bar, name: words.returning, data: buckets.map((one) => one.returning_clients), color: main },
      { ...bar, name: words.newClients, data: buckets.map((one) => one.new_clients), color: other },
    ],
  };
}
