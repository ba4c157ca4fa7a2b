// A chart of ECharts, loaded when the first is needed, with its table for those who do not see it, and downloads.

import type { EChartsCoreOption, EChartsType } from 'echarts/core';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { isDark } from '../state';
import { strings } from '../strings';
import './chart.css';

export type ChartOption = EChartsCoreOption;

const words = strings.chart;

/// Colours that keep apart for the colour-blind, and have contrast on both themes: Okabe and Ito's, darkened or lightened.
export const palette = (dark: boolean) =>
  dark
    ? ['#4fc3c3', '#f0a540', '#7fb8f0', '#e58ac0', '#a5d06a', '#f0e050', '#ef7b5a', '#b8a6f0']
    : ['#0f6e6e', '#b55d00', '#1f5fa8', '#a3327a', '#4a7a12', '#7d6b00', '#b03010', '#5b46b0'];

/// Text and lines of charts, by theme.
export const inks = (dark: boolean) =>
  dark ? { text: '#dbe4e6', quiet: '#a9b8bb', line: '#37474b', surface: '#172023' } : { text: '#1b2a2d', quiet: '#55666a', line: '#d5dedf', surface: '#ffffff' };

/// What a chart shows, in words and figures: the first of each row is its heading.
export interface ChartTable {
  columns: string[];
  /// Null: withheld.
  rows: (string | number | null | undefined)[][];
}

/// Of a grid: its edges are those of its labels.
export const boundByLabels = { outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' } as const;

export interface ChartProps {
  /// What it shows, for screen readers, and the name of its files.
  title: string;
  /// `undefined` draws nothing.
  option: (dark: boolean) => ChartOption;
  /// Changes when the option does.
  deps: readonly unknown[];
  /// Address of the same as CSV; without one, the table is the file.
  csv?: string;
  height?: number;
  /// Its main figures in a sentence, and all of them in a table, for those who do not see it and those who want to know.
  summary?: string;
  table?: ChartTable;
  /// Said below the title.
  note?: ComponentChildren;
  isWide?: boolean;
}

export function Chart({ title, option, deps, csv, height = 280, summary, table, note, isWide }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const [isTable, setTable] = useState(false);
  const chart = useRef<EChartsType | undefined>(undefined);
  const [isBroken, setBroken] = useState(false);
  const dark = isDark.value;
  useEffect(() => {
    let isOver = false;
    let observer: ResizeObserver | undefined;
    void import('./echarts')
      .then(({ init }) => {
        if (isOver || !box.current) return;
        chart.current = init(box.current, undefined, { renderer: 'canvas' });
        chart.current.setOption(common(dark, option(dark)), { notMerge: true });
        observer = new ResizeObserver(() => chart.current?.resize());
        observer.observe(box.current);
      })
      .catch(() => setBroken(true));
    return () => {
      isOver = true;
      observer?.disconnect();
      chart.current?.dispose();
      chart.current = undefined;
    };
  }, []);
  useEffect(() => chart.current?.setOption(common(dark, option(dark)), { notMerge: true }), [dark, ...deps]);
  const png = () => {
    const data = chart.current?.getDataURL({ type: 'png', pixelRatio: 2, backgroundColor: inks(dark).surface });
    if (data) download(data, `${title}.png`);
  };
  return (
    <figure class={isWide ? 'chart wide' : 'chart'}>
      <figcaption>
        <h3>{title}</h3>
        <span class="downloads">
          {table && (
            <button type="button" class="link" aria-expanded={isTable} aria-controls={id} aria-label={`${title}: ${words.table}`} onClick={() => setTable(!isTable)}>
              {words.table}
            </button>
          )}
          {csv !== undefined ? (
            <a href={csv} download={`${title}.csv`} aria-label={`${title}: ${words.csv}`}>
              {words.csv}
            </a>
          ) : (
            table && (
              <button type="button" class="link" onClick={() => saveCsv(table, title)} aria-label={`${title}: ${words.csv}`}>
                {words.csv}
              </button>
            )
          )}
          <button type="button" class="link" onClick={png} aria-label={`${title}: ${words.png}`}>
            {words.png}
          </button>
        </span>
      </figcaption>
      {note && <p class="quiet note">{note}</p>}
      {isBroken ? (
        <p class="fault">{strings.errors.chart}</p>
      ) : (
        <div ref={box} style={{ height: `${height}px` }} role="img" aria-label={summary ? `${title}. ${summary}` : title} />
      )}
      <div id={id}>{table && isTable && <Figures title={title} table={table} />}</div>
    </figure>
  );
}

function Figures({ title, table }: { title: string; table: ChartTable }) {
  return (
    <div class="scroll figures" tabIndex={0} role="region" aria-label={`${title}: ${words.table}`}>
      <table>
        <caption class="hidden">{title}</caption>
        <thead>
          <tr>
            {table.columns.map((name, column) => (
              <th key={name} scope="col" class={isNumeric(table, column) ? 'number' : ''}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>
              {row.map((value, column) => {
                const shown = typeof value === 'number' ? value.toLocaleString('en') : (value ?? '–');
                return column === 0 ? <th scope="row">{shown}</th> : <td class={isNumeric(table, column) ? 'number' : ''}>{shown}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/// Whether all that a column says begins with a figure: 12, 54 %, 3 min.
const isNumeric = ({ rows }: ChartTable, column: number) =>
  column > 0 && rows.every((row) => typeof row[column] === 'number' || /^([+−]?\d|–?$)/.test(row[column] ?? ''));

/// As RFC 4180 has it, with the mark by which spreadsheets know UTF-8; what they would take for a formula is text.
function saveCsv({ columns, rows }: ChartTable, title: string): void {
  const field = (value: string | number | null | undefined) => (typeof value !== 'string' ? String(value ?? '') : `"${value.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`);
  const text = [columns, ...rows].map((row) => row.map(field).join(',') + '\r\n').join('');
  const url = URL.createObjectURL(new Blob(['\uFEFF', text], { type: 'text/csv' }));
  download(url, `${title}.csv`);
  URL.revokeObjectURL(url);
}

/// That of the page; a canvas inherits none.
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

function common(dark: boolean, option: ChartOption): ChartOption {
  const { text, quiet, line, surface } = inks(dark);
  return {
    color: palette(dark),
    animationDuration: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 300,
    textStyle: { color: text, fontFamily: FONT },
    tooltip: { backgroundColor: surface, borderColor: line, textStyle: { color: text }, confine: true },
    legend: { textStyle: { color: quiet } },
    ...option,
  };
}

export function download(address: string, name: string): void {
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
}
