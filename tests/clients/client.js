// node-postgres against a running server: PGHOST, PGPORT, PGUSER, PGPASSWORD say where. Two clients are in Lobby.
const assert = require('node:assert');
const { Client } = require('pg');

(async () => {
  const client = new Client();
  await client.connect();
  const { rows } = await client.query(
    "SELECT 1::int AS a, 2::bigint AS b, '2026-07-01 08:00:00+00'::timestamptz AS c, true AS d, [1, 2] AS e, 1.50::decimal(5, 2) AS f");
  assert.deepStrictEqual(rows, [{ a: 1, b: '2', c: new Date('2026-07-01T08:00:00Z'), d: true, e: [1, 2], f: '1.50' }]);
  for (const [area, n] of [['Lobby', '2'], ["it's", '0'], ['Lobby', '2']]) {
    const asked = { name: 'count', text: 'SELECT count(*) AS n FROM visits WHERE area_name = $1 AND entered_at > $2', values: [area, new Date(0)] };
    assert.deepStrictEqual((await client.query(asked)).rows, [{ n }]);
  }
  await assert.rejects(client.query('DELETE FROM visits'), { code: '25006' });
  assert.strictEqual((await client.query('FROM range(50000)')).rows.length, 50000);
  await client.end();
})();
