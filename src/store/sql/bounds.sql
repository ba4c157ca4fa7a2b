-- Functions that make much of little, within bounds: each stands in the way of the built-in of its name.
--
-- They work outside of the memory that DuckDB limits, and hear no interrupt. The lambdas are there so that no argument is
-- reckoned twice; members are taken in brackets, since after FROM a name with a point in it is taken for a text.

CREATE MACRO refused(what, most) AS error(what || '() makes no more than ' || most || ' here');

CREATE MACRO repeat(s, n) AS list_transform([{'s': s, 'n': n}], lambda x:
    CASE WHEN strlen(x['s']::VARCHAR)::DOUBLE * x['n']::BIGINT > 1e6 THEN refused('repeat', '1000000 bytes')
         ELSE system.main.repeat(x['s'], x['n']::BIGINT) END)[1];

CREATE MACRO lpad(s, n, p) AS list_transform([{'s': s, 'n': n, 'p': p}], lambda x:
    CASE WHEN x['n']::INTEGER > 1000000 THEN refused('lpad', '1000000 characters')
         ELSE system.main.lpad(x['s'], x['n']::INTEGER, x['p']) END)[1];

CREATE MACRO rpad(s, n, p) AS list_transform([{'s': s, 'n': n, 'p': p}], lambda x:
    CASE WHEN x['n']::INTEGER > 1000000 THEN refused('rpad', '1000000 characters')
         ELSE system.main.rpad(x['s'], x['n']::INTEGER, x['p']) END)[1];

CREATE MACRO bitstring(b, n) AS list_transform([{'b': b, 'n': n}], lambda x:
    CASE WHEN x['n']::INTEGER > 1000000 THEN refused('bitstring', '1000000 bits')
         ELSE system.main.bitstring(x['b'], x['n']::INTEGER) END)[1];

-- Of numbers or of instants, which have no difference in common. What cannot be reckoned is too many.
CREATE MACRO steps(a, b, step) AS CASE WHEN a IS NULL OR b IS NULL OR step IS NULL THEN 0 ELSE coalesce(
    (TRY_CAST(b::VARCHAR AS DOUBLE) - TRY_CAST(a::VARCHAR AS DOUBLE)) / TRY_CAST(step::VARCHAR AS DOUBLE),
    (epoch(TRY_CAST(b::VARCHAR AS TIMESTAMPTZ)) - epoch(TRY_CAST(a::VARCHAR AS TIMESTAMPTZ)))
        / epoch(TRY_CAST(step::VARCHAR AS INTERVAL)),
    'inf'::DOUBLE) END;

CREATE MACRO range(n) AS list_transform([{'n': n}], lambda x:
    CASE WHEN x['n']::BIGINT > 1000000 THEN refused('range', '1000000 elements')
         ELSE system.main.range(x['n']::BIGINT) END)[1],
(a, b) AS list_transform([{'a': a, 'b': b}], lambda x:
    CASE WHEN x['b']::DOUBLE - x['a']::DOUBLE > 1e6 THEN refused('range', '1000000 elements')
         ELSE system.main.range(x['a']::BIGINT, x['b']::BIGINT) END)[1],
(a, b, step) AS list_transform([{'a': a, 'b': b, 's': step}], lambda x:
    CASE WHEN steps(x['a'], x['b'], x['s']) > 1e6 THEN refused('range', '1000000 elements')
         ELSE system.main.range(x['a'], x['b'], x['s']) END)[1];

CREATE MACRO generate_series(n) AS list_transform([{'n': n}], lambda x:
    CASE WHEN x['n']::BIGINT > 1000000 THEN refused('generate_series', '1000000 elements')
         ELSE system.main.generate_series(x['n']::BIGINT) END)[1],
(a, b) AS list_transform([{'a': a, 'b': b}], lambda x:
    CASE WHEN x['b']::DOUBLE - x['a']::DOUBLE > 1e6 THEN refused('generate_series', '1000000 elements')
         ELSE system.main.generate_series(x['a']::BIGINT, x['b']::BIGINT) END)[1],
(a, b, step) AS list_transform([{'a': a, 'b': b, 's': step}], lambda x:
    CASE WHEN steps(x['a'], x['b'], x['s']) > 1e6 THEN refused('generate_series', '1000000 elements')
         ELSE system.main.generate_series(x['a'], x['b'], x['s']) END)[1];

CREATE MACRO list_resize(l, n) AS list_transform([{'l': l, 'n': n}], lambda x:
    CASE WHEN x['n']::BIGINT > 1000000 THEN refused('list_resize', '1000000 elements')
         ELSE system.main.list_resize(x['l'], x['n']) END)[1],
(l, n, v) AS list_transform([{'l': l, 'n': n, 'v': v}], lambda x:
    CASE WHEN x['n']::BIGINT > 1000000 THEN refused('list_resize', '1000000 elements')
         ELSE system.main.list_resize(x['l'], x['n'], x['v']) END)[1];

CREATE MACRO array_resize(l, n) AS list_resize(l, n), (l, n, v) AS list_resize(l, n, v);

CREATE MACRO equi_width_bins(a, b, n, is_nice) AS list_transform([{'a': a, 'b': b, 'n': n, 'i': is_nice}], lambda x:
    CASE WHEN x['n']::BIGINT > 1000000 THEN refused('equi_width_bins', '1000000 bins')
         ELSE system.main.equi_width_bins(x['a'], x['b'], x['n'], x['i']) END)[1];

-- These take memory or time by the product of two lengths.
CREATE MACRO levenshtein(a, b) AS list_transform([{'a': a, 'b': b}], lambda x:
    CASE WHEN strlen(x['a'])::DOUBLE * strlen(x['b']) > 1e7 THEN error('levenshtein() takes no texts of this length here')
         ELSE system.main.levenshtein(x['a'], x['b']) END)[1];

CREATE MACRO editdist3(a, b) AS levenshtein(a, b);

CREATE MACRO damerau_levenshtein(a, b) AS list_transform([{'a': a, 'b': b}], lambda x:
    CASE WHEN strlen(x['a'])::DOUBLE * strlen(x['b']) > 1e7
         THEN error('damerau_levenshtein() takes no texts of this length here')
         ELSE system.main.damerau_levenshtein(x['a'], x['b']) END)[1];
