// What forms share: acts and how they went, questions before what cannot be undone, controls with their labels.

import { type ComponentChildren, type VNode, cloneElement } from 'preact';
import { useId, useState } from 'preact/hooks';
import type { Problem } from '../api';
import { strings } from '../strings';
import { asProblem, Fault } from './ask';
import { Dialog } from './dialog';
import './form.css';

export interface Act {
  /// Does something, and says whether it went well.
  run: (doing: () => Promise<void>) => Promise<boolean>;
  isBusy: boolean;
  problem?: Problem;
}

/// One thing at a time, with what went wrong.
export function useAct(): Act {
  const [state, setState] = useState<{ isBusy: boolean; problem?: Problem }>({ isBusy: false });
  const run = async (doing: () => Promise<void>) => {
    setState({ isBusy: true });
    try {
      await doing();
      setState({ isBusy: false });
      return true;
    } catch (error) {
      setState({ isBusy: false, problem: asProblem(error) });
      return false;
    }
  };
  return { run, ...state };
}

/// Asks before something is lost.
export function Confirm(props: { title: string; explained: string; act: string; doing: () => Promise<void>; onClose: () => void }) {
  const act = useAct();
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <p>{props.explained}</p>
      {act.problem && <Fault problem={act.problem} />}
      <div class="row ends">
        <button type="button" onClick={props.onClose}>
          {strings.cancel}
        </button>
        <button type="button" class="danger" disabled={act.isBusy} onClick={() => void act.run(props.doing).then((isDone) => isDone && props.onClose())}>
          {props.act}
        </button>
      </div>
    </Dialog>
  );
}

/// Boxes to tick: a set of values, any of them.
export function Checks(props: { legend: string; options: [value: string, label: string][]; chosen: string[]; onChange: (chosen: string[]) => void; isLong?: boolean }) {
  const toggle = (value: string) => props.onChange(props.options.map(([one]) => one).filter((one) => (one === value ? !props.chosen.includes(one) : props.chosen.includes(one))));
  return (
    <fieldset class={props.isLong ? 'checks long' : 'checks inline'}>
      <legend>{props.legend}</legend>
      <div>
        {props.options.map(([value, label]) => (
          <label>
            <input type="checkbox" checked={props.chosen.includes(value)} onChange={() => toggle(value)} /> {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/// A control with its label, and a hint that is read with it.
export function Field({ label, hint, children }: { label: string; hint?: string; children: VNode<{ 'aria-describedby'?: string }> }) {
  const id = useId();
  return (
    <div class="field">
      <label>
        <span>{label}</span>
        {hint ? cloneElement(children, { 'aria-describedby': id }) : children}
      </label>
      {hint && (
        <span id={id} class="quiet hint">
          {hint}
        </span>
      )}
    </div>
  );
}

/// The first line of a view's part, and what can be added there.
export function Head({ title, explained, children }: { title: string; explained?: string; children?: ComponentChildren }) {
  return (
    <div class="head">
      <div>
        <h2>{title}</h2>
        {explained && <p class="quiet">{explained}</p>}
      </div>
      {children}
    </div>
  );
}

/// The buttons that end a form.
export function Ends({ act, isBusy, onClose }: { act: string; isBusy: boolean; onClose: () => void }) {
  return (
    <div class="row ends">
      <button type="button" onClick={onClose}>
        {strings.cancel}
      </button>
      <button type="submit" class="primary" disabled={isBusy}>
        {act}
      </button>
    </div>
  );
}
