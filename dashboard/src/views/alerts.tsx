// To come.

export function Alerts() {
  return <p class="quiet">…</p>;
}
