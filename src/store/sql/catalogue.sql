-- What PostgreSQL's clients ask about a database, as far as they need it to list tables, columns and types: its system
-- catalogue as tables of a database of its own, which holds no data. pg_class, pg_attribute and pg_description are filled
-- from the views; most others are empty, since there are no indexes, constraints or functions to tell of.
-- Names of tables and columns are PostgreSQL's (its documentation, "System Catalogs" and "The Information Schema").

-- 7 / 2 is 3.
SET GLOBAL integer_division = true;

CREATE TYPE name AS VARCHAR;
CREATE TYPE regproc AS VARCHAR;
CREATE TYPE regprocedure AS VARCHAR;
CREATE TYPE regnamespace AS VARCHAR;
CREATE TYPE regrole AS VARCHAR;
CREATE TYPE regoper AS VARCHAR;
CREATE TYPE aclitem AS VARCHAR;
CREATE TYPE cstring AS VARCHAR;
CREATE TYPE int2vector AS BIGINT[];
CREATE TYPE oidvector AS BIGINT[];
CREATE TYPE xid AS BIGINT;

CREATE TABLE pg_namespace (oid BIGINT, nspname VARCHAR, nspowner BIGINT, nspacl VARCHAR[]);
INSERT INTO pg_namespace VALUES (11, 'pg_catalog', 10, NULL), (2200, 'main', 10, NULL), (13000, 'information_schema', 10, NULL);

CREATE TABLE pg_class (
    oid BIGINT, relname VARCHAR, relnamespace BIGINT DEFAULT 2200, reltype BIGINT DEFAULT 0, reloftype BIGINT DEFAULT 0,
    relowner BIGINT DEFAULT 10, relam BIGINT DEFAULT 0, relfilenode BIGINT DEFAULT 0, reltablespace BIGINT DEFAULT 0,
    relpages INTEGER DEFAULT 0, reltuples REAL DEFAULT -1, relallvisible INTEGER DEFAULT 0, reltoastrelid BIGINT DEFAULT 0,
    relhasindex BOOLEAN DEFAULT false, relisshared BOOLEAN DEFAULT false, relpersistence VARCHAR DEFAULT 'p',
    relkind VARCHAR DEFAULT 'r', relnatts SMALLINT DEFAULT 0, relchecks SMALLINT DEFAULT 0,
    relhasrules BOOLEAN DEFAULT false, relhastriggers BOOLEAN DEFAULT false, relhassubclass BOOLEAN DEFAULT false,
    relrowsecurity BOOLEAN DEFAULT false, relforcerowsecurity BOOLEAN DEFAULT false, relispopulated BOOLEAN DEFAULT true,
    relreplident VARCHAR DEFAULT 'n', relispartition BOOLEAN DEFAULT false, relrewrite BIGINT DEFAULT 0,
    relfrozenxid BIGINT DEFAULT 0, relminmxid BIGINT DEFAULT 0, relacl VARCHAR[] DEFAULT ['=r/footfall'], reloptions VARCHAR[], relpartbound VARCHAR,
    xmin BIGINT DEFAULT 1, relhasoids BOOLEAN DEFAULT false
);
CREATE TABLE pg_attribute (
    attrelid BIGINT, attname VARCHAR, atttypid BIGINT, attstattarget INTEGER DEFAULT -1, attlen SMALLINT DEFAULT -1, attnum SMALLINT,
    attndims INTEGER DEFAULT 0, attcacheoff INTEGER DEFAULT -1, atttypmod INTEGER DEFAULT -1, attbyval BOOLEAN DEFAULT false,
    attalign VARCHAR DEFAULT 'd', attstorage VARCHAR DEFAULT 'p', attcompression VARCHAR DEFAULT '',
    attnotnull BOOLEAN DEFAULT false, atthasdef BOOLEAN DEFAULT false, atthasmissing BOOLEAN DEFAULT false,
    attidentity VARCHAR DEFAULT '', attgenerated VARCHAR DEFAULT '', attisdropped BOOLEAN DEFAULT false,
    attislocal BOOLEAN DEFAULT true, attinhcount INTEGER DEFAULT 0, attcollation BIGINT DEFAULT 0, attacl VARCHAR[],
    attoptions VARCHAR[], attfdwoptions VARCHAR[], attmissingval VARCHAR
);
CREATE TABLE pg_description (objoid BIGINT, classoid BIGINT, objsubid INTEGER, description VARCHAR);

CREATE TABLE pg_type (
    oid BIGINT, typname VARCHAR, typlen SMALLINT, typcategory VARCHAR, typarray BIGINT DEFAULT 0, typelem BIGINT DEFAULT 0,
    typnamespace BIGINT DEFAULT 11, typowner BIGINT DEFAULT 10, typbyval BOOLEAN DEFAULT false, typtype VARCHAR DEFAULT 'b',
    typispreferred BOOLEAN DEFAULT false, typisdefined BOOLEAN DEFAULT true, typdelim VARCHAR DEFAULT ',',
    typrelid BIGINT DEFAULT 0, typinput VARCHAR DEFAULT '', typoutput VARCHAR DEFAULT '', typreceive VARCHAR DEFAULT '',
    typsend VARCHAR DEFAULT '', typmodin VARCHAR DEFAULT '-', typmodout VARCHAR DEFAULT '-', typanalyze VARCHAR DEFAULT '-',
    typalign VARCHAR DEFAULT 'd', typstorage VARCHAR DEFAULT 'p', typnotnull BOOLEAN DEFAULT false, typbasetype BIGINT DEFAULT 0,
    typtypmod INTEGER DEFAULT -1, typndims INTEGER DEFAULT 0, typcollation BIGINT DEFAULT 0, typdefaultbin VARCHAR,
    typdefault VARCHAR, typacl VARCHAR[], typsubscript VARCHAR DEFAULT '-'
);
-- Numbers, lengths and categories: PostgreSQL's pg_type.dat.
INSERT INTO pg_type (oid, typname, typlen, typcategory, typarray) VALUES
    (16, 'bool', 1, 'B', 1000), (17, 'bytea', -1, 'U', 1001), (18, 'char', 1, 'S', 1002), (19, 'name', 64, 'S', 1003),
    (20, 'int8', 8, 'N', 1016), (21, 'int2', 2, 'N', 1005), (23, 'int4', 4, 'N', 1007), (25, 'text', -1, 'S', 1009),
    (26, 'oid', 4, 'N', 1028), (114, 'json', -1, 'U', 199), (700, 'float4', 4, 'N', 1021), (701, 'float8', 8, 'N', 1022),
    (705, 'unknown', -2, 'X', 0), (1042, 'bpchar', -1, 'S', 1014), (1043, 'varchar', -1, 'S', 1015), (1082, 'date', 4, 'D', 1182),
    (1083, 'time', 8, 'D', 1183), (1114, 'timestamp', 8, 'D', 1115), (1184, 'timestamptz', 8, 'D', 1185),
    (1186, 'interval', 16, 'T', 1187), (1700, 'numeric', -1, 'N', 1231), (2205, 'regclass', 4, 'N', 2210),
    (2950, 'uuid', 16, 'U', 2951), (3802, 'jsonb', -1, 'U', 3807);
INSERT INTO pg_type (oid, typname, typlen, typcategory, typelem)
    SELECT typarray, '_' || typname, -1, 'A', oid FROM pg_type WHERE typarray > 0;
CREATE TABLE spoken_types AS FROM (VALUES
    ('bool', 'boolean'), ('char', '"char"'), ('int8', 'bigint'), ('int2', 'smallint'), ('int4', 'integer'), ('float4', 'real'),
    ('float8', 'double precision'), ('bpchar', 'character'), ('varchar', 'character varying'),
    ('time', 'time without time zone'), ('timestamp', 'timestamp without time zone'),
    ('timestamptz', 'timestamp with time zone')
) t(typname, spoken);

CREATE TABLE pg_database (
    oid BIGINT, datname VARCHAR, datdba BIGINT, encoding INTEGER, datlocprovider VARCHAR, datistemplate BOOLEAN,
    datallowconn BOOLEAN, datconnlimit INTEGER, datfrozenxid BIGINT, datminmxid BIGINT, dattablespace BIGINT, datcollate VARCHAR,
    datctype VARCHAR, daticulocale VARCHAR, daticurules VARCHAR, datlocale VARCHAR, datcollversion VARCHAR, datacl VARCHAR[],
    datlastsysoid BIGINT
);
INSERT INTO pg_database
    VALUES (1, 'footfall', 10, 6, 'c', false, true, -1, 0, 0, 1663, 'C', 'C', NULL, NULL, NULL, NULL, NULL, 0);
CREATE TABLE pg_roles (
    oid BIGINT, rolname VARCHAR, rolsuper BOOLEAN, rolinherit BOOLEAN, rolcreaterole BOOLEAN, rolcreatedb BOOLEAN,
    rolcanlogin BOOLEAN, rolreplication BOOLEAN, rolconnlimit INTEGER, rolpassword VARCHAR, rolvaliduntil TIMESTAMPTZ,
    rolbypassrls BOOLEAN, rolconfig VARCHAR[]
);
INSERT INTO pg_roles VALUES (10, 'footfall', false, true, false, false, true, false, -1, NULL, NULL, false, NULL);
CREATE TABLE pg_settings (
    name VARCHAR, setting VARCHAR, unit VARCHAR, category VARCHAR, short_desc VARCHAR, extra_desc VARCHAR, context VARCHAR,
    vartype VARCHAR, source VARCHAR, min_val VARCHAR, max_val VARCHAR, enumvals VARCHAR[], boot_val VARCHAR, reset_val VARCHAR,
    sourcefile VARCHAR, sourceline INTEGER, pending_restart BOOLEAN
);
CREATE TABLE pg_tablespace (oid BIGINT, spcname VARCHAR, spcowner BIGINT, spcacl VARCHAR[], spcoptions VARCHAR[]);
INSERT INTO pg_tablespace VALUES (1663, 'pg_default', 10, NULL, NULL);
CREATE TABLE pg_am (oid BIGINT, amname VARCHAR, amhandler VARCHAR, amtype VARCHAR);
INSERT INTO pg_am VALUES (2, 'heap', 'heap_tableam_handler', 't');
CREATE TABLE pg_language (oid BIGINT, lanname VARCHAR, lanowner BIGINT, lanispl BOOLEAN, lanpltrusted BOOLEAN, lanacl VARCHAR[]);
INSERT INTO pg_language VALUES (14, 'sql', 10, false, true, NULL);
CREATE TABLE pg_collation (
    oid BIGINT, collname VARCHAR, collnamespace BIGINT, collowner BIGINT, collprovider VARCHAR, collisdeterministic BOOLEAN,
    collencoding INTEGER, collcollate VARCHAR, collctype VARCHAR, colliculocale VARCHAR, collversion VARCHAR
);
INSERT INTO pg_collation VALUES (100, 'default', 11, 10, 'd', true, -1, NULL, NULL, NULL, NULL);

-- There is nothing of these kinds.
CREATE TABLE pg_index (
    indexrelid BIGINT, indrelid BIGINT, indnatts SMALLINT, indnkeyatts SMALLINT, indisunique BOOLEAN, indnullsnotdistinct BOOLEAN,
    indisprimary BOOLEAN, indisexclusion BOOLEAN, indimmediate BOOLEAN, indisclustered BOOLEAN, indisvalid BOOLEAN,
    indcheckxmin BOOLEAN, indisready BOOLEAN, indislive BOOLEAN, indisreplident BOOLEAN, indkey SMALLINT[],
    indcollation BIGINT[], indclass BIGINT[], indoption SMALLINT[], indexprs VARCHAR, indpred VARCHAR
);
CREATE TABLE pg_constraint (
    oid BIGINT, conname VARCHAR, connamespace BIGINT, contype VARCHAR, condeferrable BOOLEAN, condeferred BOOLEAN,
    convalidated BOOLEAN, conrelid BIGINT, contypid BIGINT, conindid BIGINT, conparentid BIGINT, confrelid BIGINT,
    confupdtype VARCHAR, confdeltype VARCHAR, confmatchtype VARCHAR, conislocal BOOLEAN, coninhcount INTEGER,
    connoinherit BOOLEAN, conkey SMALLINT[], confkey SMALLINT[], conpfeqop BIGINT[], conbin VARCHAR, consrc VARCHAR,
    conperiod BOOLEAN, conenforced BOOLEAN
);
CREATE TABLE pg_inherits (inhrelid BIGINT, inhparent BIGINT, inhseqno INTEGER, inhdetachpending BOOLEAN);
CREATE TABLE pg_attrdef (oid BIGINT, adrelid BIGINT, adnum SMALLINT, adbin VARCHAR, adsrc VARCHAR);
CREATE TABLE pg_trigger (
    oid BIGINT, tgrelid BIGINT, tgparentid BIGINT, tgname VARCHAR, tgfoid BIGINT, tgtype SMALLINT, tgenabled VARCHAR,
    tgisinternal BOOLEAN, tgconstrrelid BIGINT, tgconstrindid BIGINT, tgconstraint BIGINT, tgdeferrable BOOLEAN,
    tginitdeferred BOOLEAN, tgnargs SMALLINT, tgqual VARCHAR
);
CREATE TABLE pg_rewrite (oid BIGINT, rulename VARCHAR, ev_class BIGINT, ev_type VARCHAR, ev_enabled VARCHAR, is_instead BOOLEAN);
CREATE TABLE pg_policy (
    oid BIGINT, polname VARCHAR, polrelid BIGINT, polcmd VARCHAR, polpermissive BOOLEAN, polroles BIGINT[], polqual VARCHAR,
    polwithcheck VARCHAR
);
CREATE TABLE pg_statistic_ext (
    oid BIGINT, stxrelid BIGINT, stxname VARCHAR, stxnamespace BIGINT, stxowner BIGINT, stxstattarget INTEGER,
    stxkeys SMALLINT[], stxkind VARCHAR[]
);
CREATE TABLE pg_publication (oid BIGINT, pubname VARCHAR, pubowner BIGINT, puballtables BOOLEAN);
CREATE TABLE pg_publication_rel (oid BIGINT, prpubid BIGINT, prrelid BIGINT, prqual VARCHAR, prattrs SMALLINT[]);
CREATE TABLE pg_publication_namespace (oid BIGINT, pnpubid BIGINT, pnnspid BIGINT);
CREATE TABLE pg_proc (
    oid BIGINT, proname VARCHAR, pronamespace BIGINT, proowner BIGINT, prolang BIGINT, procost REAL, prorows REAL,
    provariadic BIGINT, prosupport VARCHAR, prokind VARCHAR, prosecdef BOOLEAN, proleakproof BOOLEAN, proisstrict BOOLEAN,
    proretset BOOLEAN, provolatile VARCHAR, proparallel VARCHAR, pronargs SMALLINT, pronargdefaults SMALLINT, prorettype BIGINT,
    proargtypes BIGINT[], proallargtypes BIGINT[], proargmodes VARCHAR[], proargnames VARCHAR[], prosrc VARCHAR, probin VARCHAR,
    proconfig VARCHAR[], proacl VARCHAR[], proisagg BOOLEAN
);
CREATE TABLE pg_extension (
    oid BIGINT, extname VARCHAR, extowner BIGINT, extnamespace BIGINT, extrelocatable BOOLEAN, extversion VARCHAR
);
CREATE TABLE pg_available_extensions (name VARCHAR, default_version VARCHAR, installed_version VARCHAR, comment VARCHAR);
CREATE TABLE pg_depend (
    classid BIGINT, objid BIGINT, objsubid INTEGER, refclassid BIGINT, refobjid BIGINT, refobjsubid INTEGER, deptype VARCHAR
);
CREATE TABLE pg_shdepend (dbid BIGINT, classid BIGINT, objid BIGINT, objsubid INTEGER, refclassid BIGINT, refobjid BIGINT, deptype VARCHAR);
CREATE TABLE pg_foreign_table (ftrelid BIGINT, ftserver BIGINT, ftoptions VARCHAR[]);
CREATE TABLE pg_foreign_server (oid BIGINT, srvname VARCHAR, srvowner BIGINT, srvfdw BIGINT, srvtype VARCHAR, srvversion VARCHAR, srvoptions VARCHAR[]);
CREATE TABLE pg_foreign_data_wrapper (oid BIGINT, fdwname VARCHAR, fdwowner BIGINT, fdwoptions VARCHAR[]);
CREATE TABLE pg_sequence (seqrelid BIGINT, seqtypid BIGINT, seqstart BIGINT, seqincrement BIGINT, seqmax BIGINT, seqmin BIGINT, seqcache BIGINT, seqcycle BOOLEAN);
CREATE TABLE pg_sequences (schemaname VARCHAR, sequencename VARCHAR, sequenceowner VARCHAR);
CREATE TABLE pg_enum (oid BIGINT, enumtypid BIGINT, enumsortorder REAL, enumlabel VARCHAR);
CREATE TABLE pg_range (rngtypid BIGINT, rngsubtype BIGINT, rngmultitypid BIGINT);
CREATE TABLE pg_auth_members (roleid BIGINT, member BIGINT, grantor BIGINT, admin_option BOOLEAN);
CREATE TABLE pg_db_role_setting (setdatabase BIGINT, setrole BIGINT, setconfig VARCHAR[]);
CREATE TABLE pg_shdescription (objoid BIGINT, classoid BIGINT, description VARCHAR);
CREATE TABLE pg_partitioned_table (partrelid BIGINT, partstrat VARCHAR, partnatts SMALLINT, partattrs SMALLINT[]);
CREATE TABLE pg_event_trigger (oid BIGINT, evtname VARCHAR, evtevent VARCHAR, evtowner BIGINT, evtenabled VARCHAR);
CREATE TABLE pg_operator (oid BIGINT, oprname VARCHAR, oprnamespace BIGINT, oprleft BIGINT, oprright BIGINT, oprresult BIGINT);
CREATE TABLE pg_opclass (oid BIGINT, opcname VARCHAR, opcnamespace BIGINT, opcmethod BIGINT, opcintype BIGINT, opcdefault BOOLEAN);
CREATE TABLE pg_cast (oid BIGINT, castsource BIGINT, casttarget BIGINT, castfunc BIGINT, castcontext VARCHAR);
CREATE TABLE pg_aggregate (aggfnoid BIGINT, aggkind VARCHAR);
CREATE TABLE pg_seclabel (objoid BIGINT, classoid BIGINT, objsubid INTEGER, provider VARCHAR, label VARCHAR);
CREATE TABLE pg_locks (locktype VARCHAR, database BIGINT, relation BIGINT, pid INTEGER, mode VARCHAR, granted BOOLEAN);
CREATE TABLE pg_stat_activity (datid BIGINT, datname VARCHAR, pid INTEGER, usename VARCHAR, application_name VARCHAR, state VARCHAR, query VARCHAR);
CREATE TABLE pg_stat_user_tables (relid BIGINT, schemaname VARCHAR, relname VARCHAR, n_live_tup BIGINT);
CREATE TABLE pg_indexes (schemaname VARCHAR, tablename VARCHAR, indexname VARCHAR, tablespace VARCHAR, indexdef VARCHAR);
CREATE TABLE pg_matviews (schemaname VARCHAR, matviewname VARCHAR, matviewowner VARCHAR, definition VARCHAR);
CREATE TABLE pg_views (schemaname VARCHAR, viewname VARCHAR, viewowner VARCHAR, definition VARCHAR);
CREATE TABLE pg_prepared_statements (name VARCHAR, statement VARCHAR);
CREATE TABLE pg_cursors (name VARCHAR, statement VARCHAR);
CREATE TABLE pg_timezone_names (name VARCHAR, abbrev VARCHAR, utc_offset INTERVAL, is_dst BOOLEAN);
INSERT INTO pg_timezone_names VALUES ('UTC', 'UTC', INTERVAL 0 SECONDS, false);

CREATE VIEW pg_tables AS
    SELECT n.nspname AS schemaname, c.relname AS tablename, 'footfall' AS tableowner, NULL::VARCHAR AS tablespace,
        false AS hasindexes, false AS hasrules, false AS hastriggers, false AS rowsecurity
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace;
CREATE VIEW pg_user AS
    SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, rolreplication AS userepl,
        rolbypassrls AS usebypassrls, NULL::VARCHAR AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig
    FROM pg_roles;
CREATE VIEW pg_authid AS FROM pg_roles;
CREATE TABLE pg_group (groname VARCHAR, grosysid BIGINT, grolist BIGINT[]);

-- Tables in macros have names that no client uses: an argument may be a column of a table named t.
CREATE MACRO pg_get_userbyid(a) AS 'footfall';
CREATE MACRO pg_table_is_visible(a) AS true;
CREATE MACRO pg_type_is_visible(a) AS true;
CREATE MACRO pg_function_is_visible(a) AS true;
CREATE MACRO pg_opclass_is_visible(a) AS true;
CREATE MACRO pg_collation_is_visible(a) AS true;
CREATE MACRO pg_statistics_obj_is_visible(a) AS true;
CREATE MACRO pg_get_expr(a, b) AS NULL::VARCHAR, (a, b, c) AS NULL::VARCHAR;
CREATE MACRO pg_get_indexdef(a) AS NULL::VARCHAR, (a, b, c) AS NULL::VARCHAR;
CREATE MACRO pg_get_constraintdef(a) AS NULL::VARCHAR, (a, b) AS NULL::VARCHAR;
CREATE MACRO pg_get_viewdef(a) AS NULL::VARCHAR, (a, b) AS NULL::VARCHAR;
CREATE MACRO pg_get_triggerdef(a) AS NULL::VARCHAR, (a, b) AS NULL::VARCHAR;
CREATE MACRO pg_get_ruledef(a) AS NULL::VARCHAR, (a, b) AS NULL::VARCHAR;
CREATE MACRO pg_get_functiondef(a) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_result(a) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_arguments(a) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_identity_arguments(a) AS NULL::VARCHAR;
CREATE MACRO pg_get_partkeydef(a) AS NULL::VARCHAR;
CREATE MACRO pg_get_statisticsobjdef_columns(a) AS NULL::VARCHAR;
CREATE MACRO pg_get_serial_sequence(a, b) AS NULL::VARCHAR;
CREATE MACRO pg_relation_is_publishable(a) AS false;
CREATE MACRO pg_relation_size(a) AS NULL::BIGINT, (a, b) AS NULL::BIGINT;
CREATE MACRO pg_table_size(a) AS NULL::BIGINT;
CREATE MACRO pg_total_relation_size(a) AS NULL::BIGINT;
CREATE MACRO pg_database_size(a) AS NULL::BIGINT;
CREATE MACRO pg_tablespace_location(a) AS NULL::VARCHAR;
CREATE MACRO pg_size_pretty(a) AS NULL::VARCHAR;
CREATE MACRO pg_stat_get_numscans(a) AS NULL::BIGINT;
CREATE MACRO pg_encoding_to_char(a) AS 'UTF8';
CREATE MACRO pg_char_to_encoding(a) AS 6;
CREATE MACRO pg_is_in_recovery() AS false;
CREATE MACRO pg_is_other_temp_schema(a) AS false;
CREATE MACRO pg_my_temp_schema() AS 0;
CREATE MACRO pg_backend_pid() AS 0;
CREATE MACRO pg_postmaster_start_time() AS now();
CREATE MACRO pg_conf_load_time() AS now();
CREATE MACRO pg_advisory_unlock_all() AS NULL::VARCHAR;
CREATE MACRO pg_relation_filenode(a) AS 0;
CREATE MACRO pg_indexam_has_property(a, b) AS false;
CREATE MACRO pg_get_keywords() AS TABLE
    SELECT keyword_name AS word, upper(keyword_category[1]) AS catcode, keyword_category AS catdesc FROM duckdb_keywords();
CREATE MACRO _pg_expandarray(a) AS {'x': a[1], 'n': 1};
CREATE MACRO information_schema__pg_expandarray(a) AS {'x': a[1], 'n': 1};
CREATE MACRO _pg_truetypid(a, b) AS 0;
CREATE MACRO txid_current() AS 1;
CREATE MACRO current_database() AS 'footfall';
CREATE MACRO current_schema() AS 'main';
CREATE MACRO current_schemas(a) AS CASE WHEN a THEN ['pg_catalog', 'main'] ELSE ['main'] END;
CREATE MACRO set_config(a, b, c) AS b;
CREATE MACRO obj_description(a) AS (SELECT inner_d.description FROM pg_description inner_d WHERE inner_d.objoid = a AND inner_d.objsubid = 0),
    (a, b) AS (SELECT inner_d.description FROM pg_description inner_d WHERE inner_d.objoid = a AND inner_d.objsubid = 0);
CREATE MACRO col_description(a, b) AS (SELECT inner_d.description FROM pg_description inner_d WHERE inner_d.objoid = a AND inner_d.objsubid = b);
CREATE MACRO shobj_description(a, b) AS NULL::VARCHAR;
CREATE MACRO format_type(a, b) AS
    (SELECT coalesce(inner_s.spoken, inner_t.typname) || CASE WHEN inner_t.typelem > 0 THEN '[]' ELSE '' END
     FROM pg_type inner_o JOIN pg_type inner_t ON inner_t.oid = CASE WHEN inner_o.typelem > 0 THEN inner_o.typelem ELSE inner_o.oid END
     LEFT JOIN spoken_types inner_s ON inner_s.typname = inner_t.typname WHERE inner_o.oid = a);
CREATE MACRO quote_ident(a) AS a;
CREATE MACRO quote_literal(a) AS '''' || replace(a, '''', '''''') || '''';
CREATE MACRO has_schema_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_table_privilege(a, b) AS lower(b) = 'select', (a, b, c) AS lower(c) = 'select';
CREATE MACRO has_any_column_privilege(a, b) AS lower(b) = 'select', (a, b, c) AS lower(c) = 'select';
CREATE MACRO has_column_privilege(a, b, c) AS lower(c) = 'select', (a, b, c, d) AS lower(d) = 'select';
CREATE MACRO has_database_privilege(a, b) AS lower(b) = 'connect', (a, b, c) AS lower(c) = 'connect';
CREATE MACRO has_function_privilege(a, b) AS false, (a, b, c) AS false;
CREATE MACRO has_sequence_privilege(a, b) AS false, (a, b, c) AS false;
CREATE MACRO inet_server_addr() AS '127.0.0.1';
CREATE MACRO inet_server_port() AS 0;
CREATE MACRO inet_client_addr() AS NULL::VARCHAR;
CREATE MACRO inet_client_port() AS NULL::INTEGER;
CREATE MACRO bare_name(a) AS trim(split_part(a, '.', -1), '"');
CREATE MACRO regclass_oid(a) AS
    coalesce((SELECT inner_c.oid FROM pg_class inner_c WHERE inner_c.relname = bare_name(a::VARCHAR)),
        CASE bare_name(a::VARCHAR) WHEN 'pg_class' THEN 1259 WHEN 'pg_type' THEN 1247 WHEN 'pg_proc' THEN 1255
            WHEN 'pg_namespace' THEN 2615 WHEN 'pg_database' THEN 1262 WHEN 'pg_constraint' THEN 2606
            WHEN 'pg_attrdef' THEN 2604 WHEN 'pg_trigger' THEN 2620 WHEN 'pg_extension' THEN 3079 END,
        try_cast(a AS BIGINT));
CREATE MACRO regclass_name(a) AS (SELECT inner_c.relname FROM pg_class inner_c WHERE inner_c.oid = a);
CREATE MACRO to_regclass(a) AS regclass_oid(a);
CREATE MACRO regtype_oid(a) AS
    coalesce((SELECT inner_t.oid FROM pg_type inner_t LEFT JOIN spoken_types inner_s USING (typname)
              WHERE inner_t.typname = bare_name(a::VARCHAR) OR inner_s.spoken = a::VARCHAR), try_cast(a AS BIGINT));
CREATE MACRO regtype_name(a) AS format_type(a, -1);
CREATE MACRO to_regtype(a) AS regtype_oid(a);
CREATE MACRO array_upper(a, b) AS nullif(len(a), 0);
CREATE MACRO array_lower(a, b) AS CASE WHEN len(a) > 0 THEN 1 END;
CREATE MACRO aclexplode(a) AS TABLE SELECT NULL::BIGINT AS grantor, NULL::BIGINT AS grantee, NULL::VARCHAR AS privilege_type, false AS is_grantable WHERE false;

CREATE VIEW information_schema_schemata AS
    SELECT 'footfall' AS catalog_name, nspname AS schema_name, 'footfall' AS schema_owner FROM pg_namespace;
CREATE VIEW information_schema_tables AS
    SELECT 'footfall' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, 'BASE TABLE' AS table_type,
        NULL::VARCHAR AS self_referencing_column_name, 'NO' AS is_insertable_into, 'NO' AS is_typed,
        d.description AS table_comment
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0;
CREATE VIEW information_schema_columns AS
    SELECT 'footfall' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name,
        a.attnum::INTEGER AS ordinal_position, NULL::VARCHAR AS column_default, 'YES' AS is_nullable,
        CASE WHEN t.typelem > 0 THEN 'ARRAY' ELSE format_type(a.atttypid, -1) END AS data_type,
        NULL::INTEGER AS character_maximum_length, NULL::INTEGER AS character_octet_length,
        CASE t.typname WHEN 'int2' THEN 16 WHEN 'int4' THEN 32 WHEN 'int8' THEN 64 WHEN 'float8' THEN 53 END AS numeric_precision,
        CASE WHEN t.typname IN ('int2', 'int4', 'int8') THEN 0 END AS numeric_scale,
        CASE WHEN t.typcategory = 'D' THEN 6 END AS datetime_precision, NULL::VARCHAR AS character_set_name,
        NULL::VARCHAR AS collation_name, NULL::VARCHAR AS domain_name, 'footfall' AS udt_catalog, 'pg_catalog' AS udt_schema,
        t.typname AS udt_name, 'NO' AS is_identity, NULL::VARCHAR AS identity_generation, 'NEVER' AS is_generated,
        NULL::VARCHAR AS generation_expression, 'NO' AS is_updatable, d.description AS column_comment
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = a.attnum;
CREATE TABLE information_schema_views (table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, view_definition VARCHAR);
CREATE TABLE information_schema_table_constraints (
    constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR,
    table_name VARCHAR, constraint_type VARCHAR
);
CREATE TABLE information_schema_key_column_usage (
    constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR,
    table_name VARCHAR, column_name VARCHAR, ordinal_position INTEGER, position_in_unique_constraint INTEGER
);
CREATE TABLE information_schema_constraint_column_usage (
    table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, constraint_catalog VARCHAR,
    constraint_schema VARCHAR, constraint_name VARCHAR
);
CREATE TABLE information_schema_referential_constraints (
    constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR, unique_constraint_name VARCHAR
);
CREATE TABLE information_schema_routines (routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR, routine_type VARCHAR);
CREATE TABLE information_schema_triggers (trigger_catalog VARCHAR, trigger_schema VARCHAR, trigger_name VARCHAR);
CREATE TABLE information_schema_sequences (sequence_catalog VARCHAR, sequence_schema VARCHAR, sequence_name VARCHAR);
CREATE VIEW information_schema_table_privileges AS
    SELECT 'footfall' AS grantor, 'footfall' AS grantee, table_catalog, table_schema, table_name, 'SELECT' AS privilege_type,
        'NO' AS is_grantable
    FROM information_schema_tables;
CREATE VIEW information_schema_role_table_grants AS FROM information_schema_table_privileges;
