// Asks who it is. All else of the page waits until that is known.

import { useEffect, useRef, useState } from 'preact/hooks';
import { logIn, session } from '../session';
import { strings } from '../strings';
import { Fault } from './ask';
import { useAct } from './form';
import './login.css';

export function Login() {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const first = useRef<HTMLInputElement>(null);
  const act = useAct();
  useEffect(() => first.current?.focus(), []);
  const words = strings.login;
  const submit = (event: Event) => {
    event.preventDefault();
    void act.run(() => logIn(name, password)).then((isDone) => isDone || setPassword(''));
  };
  return (
    <main class="login" id="content">
      <h1>{strings.title}</h1>
      {session.value && !session.value.can_log_in ? (
        <p>{words.nobody}</p>
      ) : (
        <form onSubmit={submit} aria-label={words.title}>
          <p>{words.explained}</p>
          <label>
            <span>{words.name}</span>
            <input ref={first} name="username" autocomplete="username" required value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <label>
            <span>{words.password}</span>
            <input type="password" name="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
          </label>
          {act.problem && <Fault problem={act.problem} />}
          <button type="submit" class="primary" disabled={act.isBusy}>
            {words.submit}
          </button>
        </form>
      )}
    </main>
  );
}
