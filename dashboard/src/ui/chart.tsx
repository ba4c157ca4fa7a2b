// A chart of ECharts, loaded when the first is needed, with its table for those who do not see it, and downloads.

import type { EChartsCoreOption, EChartsType } from 'echarts/core';
import { useEffect, useRef, useState } from 'preact/hooks';
import { isDark } from '../state';
import { strings } from '../strings';

export type ChartOption = EChartsCoreOption;

/// Colours that keep apart for the colour-blind, and have contrast on both themes: Okabe and Ito's, darkened or lightened.
export const palette = (dark: boolean) =>
  dark
    ? ['#4fc3c3', '#f0a540', '#7fb8f0', '#e58ac0', '#a5d06a', '#f0e050', '#ef7b5a', '#b8a6f0']
    : ['#0f6e6e', '#b55d00', '#1f5fa8', '#a3327a', '#4a7a12', '#7d6b00', '#b03010', '#5b46b0'];

/// Text and lines of charts, by theme.
export const inks = (dark: boolean) =>
  dark ? { text: '#dbe4e6', quiet: '#a9b8bb', line: '#37474b', surface: '#172023' } : { text: '#1b2a2d', quiet: '#55666a', line: '#d5dedf', surface: '#ffffff' };

export interface ChartProps {
  /// What it shows, for screen readers, and the name of its files.
  title: string;
  /// `undefined` draws nothing.
  option: (dark: boolean) => ChartOption;
  /// Changes when the option does.
  deps: readonly unknown[];
  /// Address of the same as CSV.
  csv?: string;
  height?: number;
}

export function Chart({ title, option, deps, csv, height = 280 }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
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
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <span class="downloads">
          {csv && (
            <a href={csv} download={`${title}.csv`} aria-label={`${title}: CSV`}>
              CSV
            </a>
          )}
          <button type="button" class="link" onClick={png} aria-label={`${title}: PNG`}>
            PNG
          </button>
        </span>
      </figcaption>
      {isBroken ? <p class="fault">{strings.errors.chart}</p> : <div ref={box} style={{ height: `${height}px` }} role="img" aria-label={title} />}
    </figure>
  );
}

function common(dark: boolean, option: ChartOption): ChartOption {
  const { text, quiet, line, surface } = inks(dark);
  return {
    color: palette(dark),
    animationDuration: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 300,
    textStyle: { color: text, fontFamily: 'inherit' },
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
