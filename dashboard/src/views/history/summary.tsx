// The period in five figures, each with its change against the period before.

import { strings } from '../../strings';
import type { Asked } from '../../ui/ask';
import type { DwellAnswer, Series } from '../history';
import { change, length, moment, rounded, whole } from './labels';

const words = strings.history;

export function Summary({ series, dwell }: { series: Series; dwell: Asked<DwellAnswer> }) {
  const [now, before] = [series.total, series.comparison?.total];
  const median = dwell.data?.median_s;
  const medianBefore = dwell.data?.comparison?.median_s;
  return (
    <section aria-label={words.tiles}>
      <dl class="tiles">
        <Tile name={words.visits} value={whole(now.entries)} change={before && change(now.entries, before.entries, whole)} />
        <Tile name={words.unique} value={whole(now.unique_clients)} change={before && change(now.unique_clients, before.unique_clients, whole)} />
        <Tile name={words.mean} value={rounded(now.mean)} change={before && change(now.mean, before.mean, rounded)} />
        <Tile name={words.peak} value={whole(now.max)} change={before && change(now.max, before.max, whole)} />
        <Tile
          name={words.medianDwell}
          value={median == null ? (dwell.isLoading ? '…' : words.none) : length(median)}
          change={median != null && medianBefore != null ? change(median, medianBefore, length) : undefined}
          note={words.medianDwellOf}
        />
      </dl>
      {series.comparison && <p class="quiet">{words.comparedWith(moment(series.comparison.from), moment(series.comparison.to))}</p>}
    </section>
  );
}

function Tile(props: { name: string; value: string; change?: string; note?: string }) {
  return (
    <div class="card tile">
      <dt>{props.name}</dt>
      <dd>
        <strong>{props.value}</strong>
        {props.note && <span class="quiet">{props.note}</span>}
        {props.change && <span class="change">{props.change}</span>}
      </dd>
    </div>
  );
}
