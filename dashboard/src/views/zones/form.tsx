// One zone: its name, tags and limit, its corners, and what can be done with its shape.

import { useRef } from 'preact/hooks';
import type { Point } from '../../plan/geometry';
import { strings } from '../../strings';
import { Fault } from '../../ui/ask';
import { Field, useAct } from '../../ui/form';
import { Corners } from './corners';
import { type Draft, type Edit, areaOf, changed, redone, undone } from './draft';

const words = strings.zones;

export type Mode = 'shape' | 'outline' | 'hole';

interface FormProps {
  edit: Edit;
  /// Whether the server has it already.
  isKnown: boolean;
  mode: Mode;
  onEdit: (edit: Edit) => void;
  onMode: (mode: Mode) => void;
  onSquare: () => void;
  onSave: () => Promise<void>;
  onWhatIf: () => void;
  onDelete: () => void;
  onCancel: () => void;
}

export function ZoneForm({ edit, isKnown, mode, onEdit, onMode, onSquare, onSave, onWhatIf, onDelete, onCancel }: FormProps) {
  const act = useAct();
  const typing = useRef('');
  const { now } = edit;
  const hasShape = (now.rings[0]?.length ?? 0) >= 3;
  /// Characters of one field are one step.
  const type = (changes: Partial<Draft>) => {
    const field = Object.keys(changes)[0] ?? '';
    onEdit(changed(edit, changes, typing.current === field));
    typing.current = field;
  };
  const step = (next: Edit) => {
    typing.current = '';
    onEdit(next);
  };
  const setRings = (rings: Point[][]) => step(changed(edit, { rings }));
  return (
    <section aria-label={isKnown ? words.editNamed(now.name) : words.fresh}>
      <h2>{isKnown ? words.editNamed(now.name) : words.fresh}</h2>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(onSave))}>
        <Field label={words.name}>
          <input required pattern=".*\S.*" maxLength={200} value={now.name} onInput={(event) => type({ name: event.currentTarget.value })} />
        </Field>
        <div class="columns">
          <Field label={words.tags} hint={words.tagsHint}>
            <input value={now.tags} onInput={(event) => type({ tags: event.currentTarget.value })} />
          </Field>
          <Field label={words.limit} hint={words.limitHint}>
            <input
              type="number"
              min={0}
              max={1_000_000_000}
              step={1}
              value={now.limit ?? ''}
              onInput={(event) => type({ limit: event.currentTarget.value === '' ? undefined : event.currentTarget.valueAsNumber })}
            />
          </Field>
        </div>
        <div role="group" aria-label={words.shape} class="row">
          <button type="button" aria-pressed={mode === 'outline'} onClick={() => onMode(mode === 'outline' ? 'shape' : 'outline')}>
            {hasShape ? words.redraw : words.draw}
          </button>
          {hasShape ? (
            <button type="button" aria-pressed={mode === 'hole'} onClick={() => onMode(mode === 'hole' ? 'shape' : 'hole')}>
              {words.hole}
            </button>
          ) : (
            <button type="button" onClick={onSquare}>
              {words.square}
            </button>
          )}
          <button type="button" disabled={edit.past.length === 0} title={words.undoKeys} onClick={() => step(undone(edit))}>
            {words.undo}
          </button>
          <button type="button" disabled={edit.future.length === 0} title={words.redoKeys} onClick={() => step(redone(edit))}>
            {words.redo}
          </button>
        </div>
        <p class="quiet" role="status">
          {words.modes[mode]} {hasShape && mode === 'shape' && words.isBig(areaOf(now.rings))}
        </p>
        {hasShape && <Corners rings={now.rings} onChange={setRings} />}
        {act.problem && <Fault problem={act.problem} />}
        <div class="row">
          <button type="submit" class="primary" disabled={act.isBusy || !hasShape}>
            {strings.save}
          </button>
          <button type="button" onClick={onCancel}>
            {strings.cancel}
          </button>
          <span class="spring" />
          <button type="button" disabled={!hasShape} onClick={onWhatIf}>
            {words.whatIf.open}
          </button>
          {isKnown && (
            <button type="button" class="danger" onClick={onDelete}>
              {strings.remove}
            </button>
          )}
        </div>
      </form>
    </section>
  );
}
