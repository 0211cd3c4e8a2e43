/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, and how an older store becomes a newer one.
 *
 * A version is a list of statements; a released one is never edited, only followed.  Written once for both databases: BIGINT for numbers and
 * times, "TEXT" gets the byte order of C on PostgreSQL.  A statement that begins with "sqlite:" or "postgresql:" is for that one only.
 * Keys of one column that is text are WITHOUT ROWID on SQLite when the row is small: one B-tree, not two. */
#include <errno.h>

#include "store/sql-internal.h"

static const char *const v1[] = {
        "CREATE TABLE hf_schema(version BIGINT NOT NULL PRIMARY KEY, applied BIGINT NOT NULL, program TEXT NOT NULL)",

        /* numbers are never given twice, also when the row that had the highest was deleted */
        "CREATE TABLE counters(name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",

        "CREATE TABLE incidents(id TEXT NOT NULL PRIMARY KEY, revision BIGINT NOT NULL, state BIGINT NOT NULL, severity BIGINT NOT NULL,"
        " assignee TEXT NOT NULL, opened BIGINT NOT NULL, updated BIGINT NOT NULL, last_alert BIGINT NOT NULL, bytes BIGINT NOT NULL,"
        " title TEXT NOT NULL, search TEXT NOT NULL, doc TEXT NOT NULL)",
        "CREATE INDEX incidents_updated ON incidents(updated, id)",
        "CREATE INDEX incidents_state ON incidents(state, updated, id, bytes)",

        /* bytes in the index of the age: how much there is must not cost reading all documents */
        "CREATE TABLE alerts(seq BIGINT NOT NULL PRIMARY KEY, time BIGINT NOT NULL, incident TEXT NOT NULL, rule TEXT NOT NULL,"
        " severity BIGINT NOT NULL, container TEXT NOT NULL, bytes BIGINT NOT NULL, doc TEXT NOT NULL)",
        "CREATE INDEX alerts_incident ON alerts(incident, seq)",
        "CREATE INDEX alerts_time ON alerts(time, seq, bytes)",

        "CREATE TABLE audit(seq BIGINT NOT NULL PRIMARY KEY, time BIGINT NOT NULL, who TEXT NOT NULL, via TEXT NOT NULL, what TEXT NOT NULL,"
        " target TEXT NOT NULL, old_value TEXT NOT NULL, new_value TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL)",
        "CREATE INDEX audit_target ON audit(target, seq)",
        "CREATE TABLE audit_head(id BIGINT NOT NULL PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL)",
        "sqlite:CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        "sqlite:CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        "postgresql:CREATE FUNCTION hf_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "postgresql:CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION hf_audit_refuse()",

        /* state: 0 waits, 1 claimed, 2 dead */
        "CREATE TABLE queue(seq BIGINT NOT NULL PRIMARY KEY, channel TEXT NOT NULL, fold_key TEXT NOT NULL, state BIGINT NOT NULL,"
        " not_before BIGINT NOT NULL, lease BIGINT NOT NULL, tries BIGINT NOT NULL, folded BIGINT NOT NULL, pushed BIGINT NOT NULL,"
        " error TEXT NOT NULL, body TEXT NOT NULL)",
        "CREATE INDEX queue_order ON queue(channel, state, seq)",
        /* few rows, asked at every claim: without it each would go through all that wait */
        "CREATE INDEX queue_retry ON queue(channel, state, seq, not_before) WHERE tries > 0",
        "CREATE INDEX queue_fold ON queue(channel, fold_key, state, seq)",

        "CREATE TABLE settings(name TEXT NOT NULL PRIMARY KEY, changed BIGINT NOT NULL, value TEXT NOT NULL)",

        "CREATE TABLE hosts(id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, seen BIGINT NOT NULL, doc TEXT NOT NULL)",
        "CREATE TABLE images(digest TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, scanned BIGINT NOT NULL, doc TEXT NOT NULL)",
        "CREATE TABLE containers(id TEXT NOT NULL PRIMARY KEY, host TEXT NOT NULL, name TEXT NOT NULL, image TEXT NOT NULL, digest TEXT NOT NULL,"
        " started BIGINT NOT NULL, ended BIGINT NOT NULL, seen BIGINT NOT NULL, doc TEXT NOT NULL)",
        "CREATE INDEX containers_digest ON containers(digest, ended)",
        "CREATE INDEX containers_ended ON containers(ended, id)",
        "CREATE TABLE packages(digest TEXT NOT NULL, ecosystem TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, source TEXT NOT NULL,"
        " used BIGINT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY(digest, ecosystem, name, version))",
        "CREATE INDEX packages_name ON packages(ecosystem, name)",
        "CREATE INDEX packages_source ON packages(ecosystem, source)",
        "CREATE TABLE findings(digest TEXT NOT NULL, id TEXT NOT NULL, ecosystem TEXT NOT NULL, package TEXT NOT NULL, version TEXT NOT NULL,"
        " fixed TEXT NOT NULL, severity BIGINT NOT NULL, used BIGINT NOT NULL, found BIGINT NOT NULL, doc TEXT NOT NULL,"
        " PRIMARY KEY(digest, id, ecosystem, package, version))",
        "CREATE INDEX findings_id ON findings(id, digest)",
        "CREATE TABLE seals(digest TEXT NOT NULL PRIMARY KEY, made BIGINT NOT NULL, doc TEXT NOT NULL)",
};

static const char *const v2[] = {
        /* The change number: what a process looks for that wants to know what others did.  Incidents of before get theirs in the order of their last change. */
        "ALTER TABLE incidents ADD COLUMN change BIGINT NOT NULL DEFAULT 0",
        "UPDATE incidents SET change = numbered.n FROM (SELECT id, row_number() OVER (ORDER BY updated, id) AS n FROM incidents) AS numbered WHERE numbered.id = incidents.id",
        "INSERT INTO counters(name, value) SELECT 'incident_changes', n FROM (SELECT count(*) AS n FROM incidents) AS c WHERE n > 0",
        "CREATE UNIQUE INDEX incidents_change ON incidents(change)",

        /* What pages count is answered from indexes alone, never by going through documents. */
        "CREATE INDEX incidents_counts ON incidents(state, severity)",
        "DROP INDEX alerts_time",
        "CREATE INDEX alerts_time ON alerts(time, seq, bytes, rule, severity)",
        "CREATE INDEX alerts_rule ON alerts(rule, time)",
        "CREATE INDEX alerts_container ON alerts(container, time)",
        "CREATE INDEX findings_counts ON findings(digest, severity, used)",
        /* Lists and their search go through this instead of through rows that are mostly document.  PostgreSQL keeps long documents elsewhere already, and has no
         * room in an index for long texts. */
        "sqlite:CREATE INDEX incidents_list ON incidents(updated, id, state, severity, assignee, revision, search)",
};

static const struct {
    const char *const *statements;
    size_t n;
} versions[] = {{v1, HF_ARRAY_LEN(v1)}, {v2, HF_ARRAY_LEN(v2)}};
_Static_assert(HF_ARRAY_LEN(versions) == HF_STORE_VERSION, "a version without statements");

const struct hf_table hf_tables[] = {
        {"counters", "name,value", "ti", 1},
        {"incidents", "id,revision,state,severity,assignee,opened,updated,last_alert,bytes,title,search,doc,change", "tiiitiiiittti", 1},
        {"alerts", "seq,time,incident,rule,severity,container,bytes,doc", "iittitit", 1},
        {"audit", "seq,time,who,via,what,target,old_value,new_value,prev_hash,hash", "iitttttttt", 1},
        {"audit_head", "id,seq,hash", "iit", 1},
        {"queue", "seq,channel,fold_key,state,not_before,lease,tries,folded,pushed,error,body", "ittiiiiiitt", 1},
        {"settings", "name,changed,value", "tit", 1},
        {"hosts", "id,name,seen,doc", "ttit", 1},
        {"images", "digest,name,scanned,doc", "ttit", 1},
        {"containers", "id,host,name,image,digest,started,ended,seen,doc", "tttttiiit", 1},
        {"packages", "digest,ecosystem,name,version,source,used,doc", "tttttit", 4},
        {"findings", "digest,id,ecosystem,package,version,fixed,severity,used,found,doc", "ttttttiiit", 5},
        {"seals", "digest,made,doc", "tit", 1},
};
const size_t hf_tables_n = HF_ARRAY_LEN(hf_tables);

static bool sqlite(const struct hf_store *s)
{
    return s->ops == &hf_sqlite_ops;
}

int hf_schema_version(struct hf_store *s, int64_t *ret, struct hf_err *err)
{
    int64_t there = 0;
    *ret = 0;
    /* Of PostgreSQL a table is asked, not to_regclass: that would answer from what it knew before it waited for its turn, and the tables be made twice. */
    int rc = sqlite(s) ? hf_sql_get_int(s, err, &there, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'hf_schema'", HF_NO_VALUES)
                       : hf_sql_get_int(s, err, &there, "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'hf_schema' AND relkind = 'r' AND pg_catalog.pg_table_is_visible(oid)", HF_NO_VALUES);
    if (rc < 0 || !there)
        return rc < 0 ? rc : 0;
    rc = hf_sql_get_int(s, err, ret, "SELECT max(version) FROM hf_schema", HF_NO_VALUES);
    return rc < 0 ? rc : 0;
}

static int statement(struct hf_store *s, const char *sql, struct hf_err *err)
{
    struct hf_span all = hf_span_z(sql), word;
    if (hf_span_starts(all, HF_S("sqlite:")))
        return sqlite(s) ? hf_sql_script(s, sql + 7, err) : 0;
    if (hf_span_starts(all, HF_S("postgresql:")))
        return sqlite(s) ? 0 : hf_sql_script(s, sql + 11, err);
    hf_autobuf out = HF_BUF_INIT(65536);
    if (sqlite(s) || !hf_span_starts(all, HF_S("CREATE TABLE")))
        return hf_sql_script(s, sql, err);
    while (hf_span_cut(&all, ' ', &word)) {
        hf_buf_adds(&out, word);
        hf_buf_addz(&out, hf_span_eqz(word, "TEXT") ? " COLLATE \"C\" " : " ");
    }
    return hf_sql_script(s, hf_buf_z(&out), err);
}

static int too_new(struct hf_store *s, int64_t version, struct hf_err *err)
{
    return hf_fail(err, HF_E_UNSUPPORTED, "store %s has schema version %lld, this holdfast (%s) knows versions up to %d: use the newer holdfast that wrote it",
            hf_store_name(s), (long long)version, HF_VERSION, HF_STORE_VERSION);
}

int hf_schema_update(struct hf_store *s, struct hf_err *err)
{
    int64_t version;
    int rc = hf_schema_version(s, &version, err);
    if (rc < 0 || version == HF_STORE_VERSION)
        return rc;
    if (version > HF_STORE_VERSION)
        return too_new(s, version, err);
    if (s->read_only)
        return hf_fail(err, HF_E_UNSUPPORTED, version ? "store %s has schema version %lld: open it once for writing (any command that changes it) to bring it to %d"
                                                      : "store %s holds no tables of holdfast (version %lld of %d)", hf_store_name(s), (long long)version, HF_STORE_VERSION);
    hf_autotx tx = {0};
    rc = hf_tx_begin(&tx, s, err);
    if (rc == 0) /* again: another process may have been first */
        rc = hf_schema_version(s, &version, err);
    if (rc == 0 && version > HF_STORE_VERSION)
        return too_new(s, version, err);
    for (; rc == 0 && version < HF_STORE_VERSION; version++) {
        for (size_t i = 0; i < versions[version].n && rc == 0; i++)
            rc = statement(s, versions[version].statements[i], err);
        if (rc == 0)
            rc = hf_sql_run(s, err, "INSERT INTO hf_schema(version, applied, program) VALUES(?, ?, ?)",
                    HF_V(HF_INT(version + 1), HF_INT(hf_store_now()), HF_TEXTZ("holdfast " HF_VERSION)));
        rc = rc < 0 ? hf_wrap(err, rc, "schema version %lld", (long long)version + 1) : 0;
    }
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}
