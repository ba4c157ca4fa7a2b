// To come.

export function Sql() {
  return <p class="quiet">…</p>;
}
