// What a zone, as it is drawn now and not yet saved, would have counted.

import { useState } from 'preact/hooks';
import { type Schemas, client, told } from '../../api';
import { zone } from '../../state';
import { strings } from '../../strings';
import { dateAndTime, rangeOf, rfc3339 } from '../../time';
import { Fault } from '../../ui/ask';
import { Chart, boundByLabels, inks } from '../../ui/chart';
import { Dialog } from '../../ui/dialog';
import { Field, useAct } from '../../ui/form';
import type { Point } from '../../plan/geometry';
import { polygonOf } from './draft';

const words = strings.zones.whatIf;

type WhatIfAnswer = Schemas['WhatIfAnswer'];

const RANGES = ['24h', 'yesterday', '7d', '28d'] as const;

/// Few enough buckets to be seen.
const bucketOf = (hours: number) => (hours > 24 * 8 ? '1d' : hours > 24 ? '6h' : '1h');

export function WhatIf({ mapId, rings, onClose }: { mapId: string; rings: Point[][]; onClose: () => void }) {
  const act = useAct();
  const [range, setRange] = useState<string>('24h');
  const [answer, setAnswer] = useState<WhatIfAnswer | undefined>();
  const ask = async () => {
    const { from, to } = rangeOf(range, zone.value, Date.now());
    const body = { map_id: mapId, polygon: polygonOf(rings), from: rfc3339(from), to: rfc3339(to), bucket: bucketOf((to - from) / 3_600_000) };
    setAnswer(await told(client.POST('/v1/what-if/zones', { body })));
  };
  return (
    <Dialog title={words.title} onClose={onClose} isWide>
      <form class="row" onSubmit={(event) => (event.preventDefault(), void act.run(ask))}>
        <Field label={strings.time.range}>
          <select value={range} onChange={(event) => setRange(event.currentTarget.value)}>
            {RANGES.map((name) => (
              <option value={name}>{strings.time.ranges[name]}</option>
            ))}
          </select>
        </Field>
        <button type="submit" class="primary" disabled={act.isBusy}>
          {words.ask}
        </button>
      </form>
      <p class="quiet">{words.explained}</p>
      {act.isBusy && <p class="quiet loading">{words.asking}</p>}
      {act.problem && <Fault problem={act.problem} />}
      {answer && !act.isBusy && <Answered answer={answer} />}
    </Dialog>
  );
}

function Answered({ answer: { occupancy, dwell } }: { answer: WhatIfAnswer }) {
  const { total, buckets } = occupancy;
  const tenth = (n: number | null | undefined) => (n == null ? '–' : n.toLocaleString('en', { maximumFractionDigits: 1 }));
  const figures: [string, string][] = [
    [words.most, String(total.max)],
    [words.mean, tenth(total.mean)],
    [words.visits, tenth(dwell.count)],
    [words.unique, tenth(total.unique_clients)],
    [words.median, dwell.median_s == null ? '–' : words.minutes(tenth(dwell.median_s / 60))],
  ];
  const times = buckets.map((one) => dateAndTime(Date.parse(one.from), zone.value));
  return (
    <>
      <dl class="figures-row">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Chart
        title={words.chart}
        height={240}
        deps={[occupancy]}
        summary={words.summary(total.max ?? 0, tenth(total.mean))}
        table={{ columns: [strings.history.time, words.mean, words.most], rows: buckets.map((one, i) => [times[i] ?? '', Math.round((one.mean ?? 0) * 10) / 10, one.max]) }}
        option={(dark) => ({
          grid: { left: 8, right: 8, top: 30, bottom: 4, ...boundByLabels },
          legend: { top: 0, left: 0, textStyle: { color: inks(dark).quiet } },
          tooltip: { trigger: 'axis' },
          xAxis: { type: 'category', data: times, axisLabel: { color: inks(dark).quiet } },
          yAxis: { type: 'value', minInterval: 1, axisLabel: { color: inks(dark).quiet }, splitLine: { lineStyle: { color: inks(dark).line } } },
          series: [
            { name: words.mean, type: 'bar', data: buckets.map((one) => Math.round((one.mean ?? 0) * 10) / 10) },
            { name: words.most, type: 'line', step: 'middle', symbol: 'none', data: buckets.map((one) => one.max) },
          ],
        })}
      />
    </>
  );
}
