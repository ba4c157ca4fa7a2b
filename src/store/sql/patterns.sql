-- LIKE and its kin for patterns that are not known beforehand, or have many wildcards: each stands in the way of the built-in of
-- its name. That one tries a pattern with two wildcards in all ways, and hears no interrupt; a regular expression takes one.
--
-- As in bounds.sql, the lambdas are there so that no argument is reckoned twice.

CREATE MACRO is_plain(p) AS strlen(p) <= 100 AND NOT regexp_matches(p, '%[^%].*%[^%]', 's');

CREATE MACRO like_regexp(p) AS CASE
    WHEN strlen(p) > 1000 THEN error('LIKE takes no pattern of more than 1000 bytes here: use regexp_matches()')
    ELSE replace(replace(regexp_escape(p), '\%', '.*'), '_', '.') END;

CREATE MACRO "~~"(s, p) AS list_transform([{'s': s::VARCHAR, 'p': p::VARCHAR}], lambda x:
    CASE WHEN is_plain(x['p']) THEN system.main."~~"(x['s'], x['p'])
         ELSE regexp_full_match(x['s'], like_regexp(x['p']), 's') END)[1];

CREATE MACRO "~~*"(s, p) AS list_transform([{'s': s::VARCHAR, 'p': p::VARCHAR}], lambda x:
    CASE WHEN is_plain(x['p']) THEN system.main."~~*"(x['s'], x['p'])
         ELSE regexp_full_match(x['s'], like_regexp(x['p']), 'si') END)[1];

CREATE MACRO "!~~"(s, p) AS NOT "~~"(s, p);

CREATE MACRO "!~~*"(s, p) AS NOT "~~*"(s, p);

CREATE MACRO "~~~"(s, p) AS list_transform([{'s': s::VARCHAR, 'p': p::VARCHAR}], lambda x:
    CASE WHEN strlen(x['p']) > 100 OR regexp_matches(x['p'], '\*[^*].*\*[^*]', 's')
         THEN error('GLOB takes at most 100 bytes and one * before its end here: use regexp_matches()')
         ELSE system.main."~~~"(x['s'], x['p']) END)[1];

CREATE MACRO plain(p) AS CASE WHEN is_plain(p) THEN p
    ELSE error('LIKE with ESCAPE takes at most 100 bytes and one % before its end here: use regexp_matches()') END;

CREATE MACRO like_escape(s, p, e) AS list_transform([{'s': s::VARCHAR, 'p': p::VARCHAR, 'e': e::VARCHAR}], lambda x:
    system.main.like_escape(x['s'], plain(x['p']), x['e']))[1];

CREATE MACRO ilike_escape(s, p, e) AS list_transform([{'s': s::VARCHAR, 'p': p::VARCHAR, 'e': e::VARCHAR}], lambda x:
    system.main.ilike_escape(x['s'], plain(x['p']), x['e']))[1];

CREATE MACRO not_like_escape(s, p, e) AS NOT like_escape(s, p, e);

CREATE MACRO not_ilike_escape(s, p, e) AS NOT ilike_escape(s, p, e);
