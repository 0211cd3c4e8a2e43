/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>

#include "store/sql-internal.h"

static bool has_password(struct hf_span url)
{
    struct hf_span rest = hf_span_from(url, hf_span_search(url, HF_S("://")) + 3);
    size_t query = hf_span_find(rest, '?');
    struct hf_span front = hf_span_sub(rest, 0, query);
    struct hf_span user = hf_span_sub(front, 0, hf_span_find(front, '@'));
    return (user.n < front.n && hf_span_find(user, ':') != SIZE_MAX) || (query != SIZE_MAX && hf_span_search(hf_span_from(rest, query), HF_S("password=")) != SIZE_MAX);
}

/* The address as it may stand in messages: no password in the user part or the parameters. */
static void name_of(struct hf_buf *out, struct hf_span url)
{
    size_t scheme = hf_span_search(url, HF_S("://"));
    if (scheme == SIZE_MAX) {
        hf_buf_add_escaped(out, url, 0);
        return;
    }
    struct hf_span rest = hf_span_from(url, scheme + 3), part;
    hf_buf_adds(out, hf_span_sub(url, 0, scheme + 3));
    size_t query = hf_span_find(rest, '?');
    struct hf_span front = hf_span_sub(rest, 0, query), params = query == SIZE_MAX ? (struct hf_span){NULL, 0} : hf_span_from(rest, query + 1);
    size_t at = hf_span_rfind(front, '@');
    if (at != SIZE_MAX) {
        struct hf_span user = hf_span_sub(front, 0, at);
        hf_buf_add_escaped(out, hf_span_sub(user, 0, hf_span_find(user, ':')), 0);
        front = hf_span_from(front, at);
    }
    hf_buf_add_escaped(out, front, 0);
    for (char sep = '?'; hf_span_cut(&params, '&', &part);) {
        if (hf_span_search(part, HF_S("password")) != SIZE_MAX) /* also sslpassword */
            continue;
        hf_buf_addc(out, sep);
        hf_buf_add_escaped(out, part, 0);
        sep = '&';
    }
}

/* %2F and the like. */
static char *decoded(struct hf_span s)
{
    hf_autobuf b = HF_BUF_INIT(4096);
    while (s.n) {
        uint64_t c = (unsigned char)s.p[0];
        bool code = s.n >= 3 && s.p[0] == '%' && hf_parse_u64(hf_span_sub(s, 1, 2), 16, 1, 255, &c) == 0;
        hf_buf_addc(&b, (char)c);
        s = hf_span_from(s, code ? 3 : 1);
    }
    return hf_buf_ok(&b) && b.n ? hf_span_dupz(hf_buf_span(&b)) : NULL;
}

size_t hf_store_reads(const char *url, char *ret[HF_STORE_READS])
{
    static const char *const of_url[] = {"passfile", "sslrootcert", "sslcert", "sslkey", "sslcrl"};
    struct hf_span all = hf_span_z(url), part, name;
    const char *home = getenv("HOME");
    size_t n = 0;
    if (!hf_span_starts(all, HF_S("postgresql://")) && !hf_span_starts(all, HF_S("postgres://")))
        return 0;
    if (home && *home) /* .pgpass, .postgresql: they may come later */
        n += (ret[n] = hf_span_dupz(hf_span_z(home))) != NULL;
    all = hf_span_from(all, hf_span_find(all, '?') == SIZE_MAX ? all.n : hf_span_find(all, '?') + 1);
    while (n < HF_STORE_READS && hf_span_cut(&all, '&', &part)) {
        size_t i = 0;
        if (!hf_span_cut(&part, '=', &name))
            continue;
        while (i < HF_ARRAY_LEN(of_url) && !hf_span_eqz(name, of_url[i]))
            i++;
        n += i < HF_ARRAY_LEN(of_url) && (ret[n] = decoded(part)) != NULL;
    }
    return n;
}

int hf_store_open(struct hf_store **ret, const char *url, struct hf_err *err)
{
    return hf_store_open_with(ret, url, 0, err);
}

int hf_store_open_with(struct hf_store **ret, const char *url, unsigned flags, struct hf_err *err)
{
    struct hf_span u = hf_span_z(url);
    const char *path = NULL;
    hf_cleanup(hf_store_closep) struct hf_store *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "out of memory");
    hf_buf_init(&s->name, 8192);
    if (u.n > 2048)
        return hf_fail(err, HF_E_LIMIT, "the address of the store has %zu bytes; the limit is 2048", u.n);
    if (hf_span_starts(u, HF_S("sqlite:")) && u.n > 7)
        path = url + 7;
    else if (hf_span_starts(u, HF_S("/")))
        path = url;
    if (path)
        hf_buf_addz(&s->name, "sqlite:");
    name_of(&s->name, path ? hf_span_z(path) : u);
    (void)hf_buf_z(&s->name); /* ends it with NUL */
    s->read_only = flags & HF_STORE_READ_ONLY;
    int rc;
    if (path) {
        s->ops = &hf_sqlite_ops;
        rc = hf_sqlite_open(&s->db, path, flags, err);
    } else if (hf_span_starts(u, HF_S("postgresql://")) || hf_span_starts(u, HF_S("postgres://"))) {
        if (has_password(u))
            return hf_fail(err, HF_E_USAGE, "store %s: a password does not belong into the address, where process lists and \"config show\" print it; put it into a file: "
                                            "~/.pgpass or ?passfile=FILE (mode 0600)", hf_store_name(s));
        s->ops = &hf_pg_ops;
        rc = hf_pg_open(&s->db, url, flags, err);
    } else {
        return hf_fail(err, HF_E_USAGE, "\"%s\" is not the address of a store: /PATH, sqlite:PATH or postgresql://...", hf_store_name(s));
    }
    if (rc < 0)
        return hf_wrap(err, rc, "store %s", hf_store_name(s));
    rc = hf_schema_update(s, err);
    if (rc < 0)
        return rc;
    *ret = hf_take(s);
    return 0;
}

void hf_store_close(struct hf_store *s)
{
    if (!s)
        return;
    if (s->ops && s->db) {
        if (s->depth)
            (void)s->ops->script(s->db, "ROLLBACK", NULL);
        s->ops->close(s->db);
    }
    hf_buf_done(&s->name);
    free(s);
}

const char *hf_store_name(const struct hf_store *s)
{
    return s->name.n && hf_buf_ok(&s->name) ? s->name.p : "";
}
