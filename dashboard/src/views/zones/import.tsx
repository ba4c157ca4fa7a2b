// Floors and zones from files that people have: first what they would change, then the change.

import { useState } from 'preact/hooks';
import { type FloorMap, loadPlaces, site } from '../../state';
import { strings } from '../../strings';
import { Fault } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';
import { Field, useAct } from '../../ui/form';
import { type ImportAnswer, importFile } from './upload';

const words = strings.zones.import;

/// Things that are listed; the counts tell of all.
const LISTED_MAX = 200;

interface ImportProps {
  floor?: FloorMap;
  onClose: () => void;
  onDone: (answer: ImportAnswer) => void;
}

export function ImportDialog({ floor, onClose, onDone }: ImportProps) {
  const act = useAct();
  const [file, setFile] = useState<File | undefined>();
  const [units, setUnits] = useState('');
  const [isOfFloor, setOfFloor] = useState(false);
  const [replace, setReplace] = useState(false);
  const [tried, setTried] = useState<ImportAnswer | undefined>();
  const run = (dry_run: boolean) => async () => {
    if (!file) return;
    const map = isOfFloor ? floor?.map_id : undefined;
    const answer = await importFile(file, { dry_run, replace, units: units || undefined, map, site: site.value?.site_id });
    if (dry_run) return setTried(answer);
    await loadPlaces();
    onDone(answer);
    onClose();
  };
  const changes = tried ? tried.new + tried.changed + tried.ended : 0;
  /// What was found is of another question then.
  const asking =
    <T,>(set: (value: T) => void) =>
    (value: T) => {
      set(value);
      setTried(undefined);
    };
  return (
    <Dialog title={words.title} onClose={onClose} isWide>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(run(!tried)))}>
        <p class="quiet">{words.explained}</p>
        <div class="columns">
          <Field label={words.file}>
            <input type="file" required accept=".json,.geojson,.zip,application/json,application/geo+json,application/zip" onChange={(event) => asking(setFile)(event.currentTarget.files?.[0])} />
          </Field>
          <Field label={words.units}>
            <select value={units} onChange={(event) => asking(setUnits)(event.currentTarget.value)}>
              {Object.entries(words.unit).map(([value, label]) => (
                <option value={value}>{label}</option>
              ))}
            </select>
          </Field>
        </div>
        <fieldset class="checks">
          {floor && (
            <label>
              <input type="checkbox" checked={isOfFloor} onChange={(event) => asking(setOfFloor)(event.currentTarget.checked)} /> {words.ofFloor(floor.name ?? floor.map_id)}
            </label>
          )}
          <label>
            <input type="checkbox" checked={replace} onChange={(event) => asking(setReplace)(event.currentTarget.checked)} /> {words.replace}
          </label>
        </fieldset>
        {act.problem && <Fault problem={act.problem} />}
        {tried && <Found answer={tried} />}
        <div class="row ends">
          <button type="button" onClick={onClose}>
            {strings.cancel}
          </button>
          <button type="submit" class="primary" disabled={act.isBusy || (tried !== undefined && changes === 0)}>
            {tried ? words.take(changes) : words.check}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Found({ answer }: { answer: ImportAnswer }) {
  return (
    <>
      <p role="status">
        <strong>{words.would}</strong> {words.counts(answer.new, answer.changed, answer.unchanged, answer.ended)}
      </p>
      {answer.notes.length > 0 && (
        <ul class="quiet">
          {answer.notes.map((note) => (
            <li>
              {note.file && <code>{note.file}</code>} {note.text}
            </li>
          ))}
        </ul>
      )}
      <div class="scroll things" tabIndex={0} role="region" aria-label={words.things}>
        <table>
          <caption class="hidden">{words.things}</caption>
          <thead>
            <tr>
              <th scope="col">{words.what}</th>
              <th scope="col">{strings.zones.name}</th>
              <th scope="col">{words.effect}</th>
            </tr>
          </thead>
          <tbody>
            {answer.things.slice(0, LISTED_MAX).map((thing) => (
              <tr>
                <td>{words.kinds[thing.what] ?? thing.what}</td>
                <th scope="row">{thing.name ?? thing.id}</th>
                <td>{words.effects[thing.effect] ?? thing.effect}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {answer.things.length > LISTED_MAX && <p class="quiet">{words.more(answer.things.length - LISTED_MAX)}</p>}
    </>
  );
}
