-- Footfall's rules of presence (../../README.md) in one statement, for all clients and zones: a visit goes on from one fix
-- inside to the next inside if no silence between them was longer than the timeout, and if the client was outside for less than
-- the grace. It ends when the client went outside, or with its last fix inside where nothing came for too long.
-- Parameters: grace and timeout, seconds.
-- Where fixes are is found apart from their order, since only so do both processors look.
CREATE TABLE visits AS
WITH told AS (
    SELECT client, at,
        row_number() OVER way AS place,
        lead(at) OVER way AS next_at,
        at - lag(at) OVER way > make_interval(secs => %(timeout_s)s) AS is_after_silence
    FROM fixes
    WINDOW way AS (PARTITION BY client ORDER BY at)
), counted AS (
    SELECT *, count(*) FILTER (WHERE is_after_silence) OVER (PARTITION BY client ORDER BY at) AS silences FROM told
), located AS (
    SELECT z.zone, f.client, f.at FROM fixes f JOIN zones z ON ST_Covers(z.geom, f.geom)
), inside AS (
    SELECT l.zone, f.client, f.at, f.place, f.next_at, f.silences,
        lag(f.place) OVER stay AS last_place, lag(f.next_at) OVER stay AS went_out_at, lag(f.silences) OVER stay AS last_silences
    FROM counted f JOIN located l USING (client, at)
    WINDOW stay AS (PARTITION BY l.zone, f.client ORDER BY f.at)
), begun AS (
    SELECT *, coalesce(silences <> last_silences
            OR place <> last_place + 1 AND at - went_out_at >= make_interval(secs => %(grace_s)s), true) AS is_first
    FROM inside
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY zone, client ORDER BY at) AS visit FROM begun
), lasting AS (
    SELECT zone, client, visit, min(at) AS entered_at, max(at) AS last_at, max(next_at) AS next_at
    FROM numbered GROUP BY zone, client, visit
)
SELECT zone, client, entered_at,
    CASE WHEN next_at - last_at <= make_interval(secs => %(timeout_s)s) THEN next_at ELSE last_at END AS exited_at
FROM lasting
