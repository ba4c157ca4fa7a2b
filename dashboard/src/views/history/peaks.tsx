// When there were the most, each with a way to see it.

import { address, client, told } from '../../api';
import { isWithheld } from '../../session';
import { strings } from '../../strings';
import { DAY, HOUR, rfc3339 } from '../../time';
import { Answer, Empty, useAsk } from '../../ui/ask';
import { setParams } from '../../url';
import { length, moment } from './labels';
import { playbackId } from './playback';
import type { Question } from './question';

const words = strings.history;

const PEAKS = 6;

export function Peaks({ question }: { question: Question }) {
  const { range, when, where, who, min_dwell } = question;
  const query = { ...where, ...who, ...when, min_dwell, bucket: range.to - range.from <= 2 * DAY ? '1h' : '1d', limit: PEAKS };
  const asked = useAsk((signal) => told(client.GET('/v1/occupancy/peaks', { params: { query }, signal })), [question]);
  const play = (at: string) => {
    setParams({ play: rfc3339(Date.parse(at) - HOUR / 2), at });
    const heading = document.getElementById(playbackId);
    heading?.scrollIntoView();
    heading?.focus();
  };
  return (
    <section class="card peaks">
      <div class="heading">
        <h3>{words.peaks}</h3>
        <a href={address('/v1/occupancy/peaks', { ...query, format: 'csv' })} download={`${words.peaks}.csv`} aria-label={`${words.peaks}: CSV`}>
          {strings.chart.csv}
        </a>
      </div>
      <Answer asked={asked}>
        {({ peaks }) =>
          peaks.every((one) => one.max === 0) ? (
            <Empty>{words.noPeaks}</Empty>
          ) : (
            <table>
              <caption class="hidden">{words.peaks}</caption>
              <thead>
                <tr>
                  <th scope="col">{words.time}</th>
                  <th scope="col" class="number">
                    {words.clients}
                  </th>
                  <th scope="col" class="number">
                    {words.lasted}
                  </th>
                  {!isWithheld.value && (
                    <th scope="col">
                      <span class="hidden">{words.play}</span>
                    </th>
                  )}
                </tr>
              </thead>
              <tbody>
                {peaks
                  .filter((one) => one.max > 0)
                  .map((one) => (
                    <tr key={one.at}>
                      <th scope="row">{moment(one.at)}</th>
                      <td class="number">{one.max.toLocaleString('en')}</td>
                      <td class="number">{length(Math.max(1, one.lasted_s))}</td>
                      {!isWithheld.value && (
                        <td class="number">
                          <button type="button" class="link" aria-label={words.playPeak(moment(one.at))} onClick={() => play(one.at)}>
                            {words.play}
                          </button>
                        </td>
                      )}
                    </tr>
                  ))}
              </tbody>
            </table>
          )
        }
      </Answer>
    </section>
  );
}
