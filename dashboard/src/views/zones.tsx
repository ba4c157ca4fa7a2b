// To come.

export function Zones() {
  return <p class="quiet">…</p>;
}
