// To come.

export function History() {
  return <p class="quiet">…</p>;
}
