// From which area to which: areas left on the left, areas entered on the right, so that to and fro are two bands.

import { address, client, type Schemas, told } from '../../api';
import { strings } from '../../strings';
import { useAsk } from '../../ui/ask';
import { Chart, type ChartOption, inks, palette } from '../../ui/chart';
import { length, tip, whole } from './labels';
import { Part } from './part';
import { eachOnce, type Question } from './question';

const words = strings.history;

type Flow = Schemas['Flow'];

/// More bands than these cannot be told apart; the table has them all.
const BANDS_MAX = 40;

export function Flows({ question }: { question: Question }) {
  const { when, where, who, min_dwell, area } = question;
  // Of one area the API knows only who came back to it: ask of all, and keep what begins or ends there.
  const places = area ? eachOnce({ ...question, where: { site: where.site } }) : eachOnce(question);
  const query = { ...places, ...(area && area.kind !== 'zone' ? { area_kind: undefined } : {}), ...who, ...when, min_dwell };
  const asked = useAsk((signal) => told(client.GET('/v1/flows', { params: { query }, signal })), [question]);
  const kept = (flows: Flow[]) => (area ? flows.filter((one) => one.from_area_id === area.area_id || one.to_area_id === area.area_id) : flows);
  return (
    <Part isWide title={words.flows} asked={asked} empty={words.noFlows} isEmpty={(found) => kept(found.flows).length === 0}>
      {(found) => {
        const flows = kept(found.flows);
        const [first] = flows;
        if (!first) return null;
        const shown = flows.slice(0, BANDS_MAX);
        return (
          <Chart
            title={words.flows}
            note={words.flowsNote(shown.length, flows.length)}
            csv={address('/v1/flows', { ...query, format: 'csv' })}
            height={heightOf(shown)}
            deps={[found, area]}
            option={(dark) => optionOf(shown, dark)}
            summary={words.flowsSummary(fromName(first), toName(first), whole(first.count))}
            table={{
              columns: [words.from, words.to, words.times, words.unique, words.gap],
              rows: flows.map((one) => [fromName(one), toName(one), one.count, one.unique_clients, one.median_gap_s == null ? '' : length(one.median_gap_s)]),
            }}
          />
        );
      }}
    </Part>
  );
}

const fromName = (one: Flow) => one.from_name ?? one.from_area_id;
const toName = (one: Flow) => one.to_name ?? one.to_area_id;
const sides = (flows: Flow[]) => [new Set(flows.map((one) => one.from_area_id)).size, new Set(flows.map((one) => one.to_area_id)).size];
const heightOf = (flows: Flow[]) => Math.max(200, Math.min(620, Math.max(...sides(flows)) * 30 + 40));

function optionOf(flows: Flow[], dark: boolean): ChartOption {
  const { line, text, surface } = inks(dark);
  const colours = palette(dark);
  const names = new Map(flows.flatMap((one) => [[`from/${one.from_area_id}`, fromName(one)], [`to/${one.to_area_id}`, toName(one)]]));
  // An area has one colour on both sides.
  const ids = [...new Set(flows.flatMap((one) => [one.from_area_id, one.to_area_id]))];
  const colourOf = (id: string) => colours[ids.indexOf(id) % colours.length];
  return {
    tooltip: {
      confine: true,
      backgroundColor: surface,
      borderColor: line,
      textStyle: { color: text },
      formatter: ({ dataType, data, name, value }: { dataType: string; data: { index?: number }; name: string; value: number }) => {
        if (dataType === 'node') return tip(`${name.startsWith('from/') ? words.from : words.to}: ${names.get(name) ?? name}`, [[words.times, whole(value)]]);
        const one = flows[data.index ?? 0];
        if (!one) return '';
        return tip(`${fromName(one)} → ${toName(one)}`, [
          [words.times, whole(one.count)],
          [words.unique, whole(one.unique_clients)],
          [words.gap, length(one.median_gap_s ?? 0)],
        ]);
      },
    },
    series: [
      {
        type: 'sankey',
        left: 8,
        right: 8,
        top: 8,
        bottom: 8,
        nodeGap: 10,
        nodeWidth: 14,
        draggable: false,
        emphasis: { focus: 'adjacency' },
        label: { color: text, textBorderColor: surface, textBorderWidth: 3, formatter: ({ name }: { name: string }) => names.get(name) ?? name },
        lineStyle: { color: 'gradient', opacity: dark ? 0.4 : 0.35, curveness: 0.5 },
        data: [...names.keys()].map((name) => ({
          name,
          itemStyle: { color: colourOf(name.slice(name.indexOf('/') + 1)), borderWidth: 0 },
          label: { position: name.startsWith('from/') ? 'right' : 'left' },
        })),
        links: flows.map((one, index) => ({ source: `from/${one.from_area_id}`, target: `to/${one.to_area_id}`, value: one.count, index })),
      },
    ],
  };
}
