// To come.

export function Setup() {
  return <p class="quiet">…</p>;
}
