/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <yaml.h>

#include "base/fs.h"

enum { MAX_FILE = 1 << 20 };

enum kind { TEXT, EMPTY /* a text that may be empty */, NUMBER, SIZE, YES_NO };
static const struct row {
    const char *key; /* section.name */
    enum kind kind;
    size_t offset;
    uint64_t min, max, preset;
    const char *root_preset, *user_preset; /* user: %s is the home of caches or data */
    const char *help;
} rows[] = {
        {"scan.cache_dir", TEXT, offsetof(struct hf_config, cache_dir), 0, 0, 0, "/var/lib/holdfast/cache", "XDG_CACHE_HOME:.cache:holdfast",
                "folder of the layer facts"},
        {"scan.max_memory", SIZE, offsetof(struct hf_config, max_memory), 16 << 20, UINT64_C(64) << 30, 256 << 20, NULL, NULL,
                "ceiling for everything sized by an image"},
        {"db.path", TEXT, offsetof(struct hf_config, db_path), 0, 0, 0, "/var/lib/holdfast/advisories.hfdb", "XDG_DATA_HOME:.local/share:holdfast/advisories.hfdb",
                "advisory database"},
        {"db.max_age_hours", NUMBER, offsetof(struct hf_config, db_max_age_h), 1, 24 * 366 * 100, 120, NULL, NULL,
                "older sources are reported as stale"},
        {"db.mirror", TEXT, offsetof(struct hf_config, db_mirror), 0, 0, 0, "public", "public",
                "where db update fetches from: public, or an https:// or file:// address laid out alike"},
        {"db.download_dir", TEXT, offsetof(struct hf_config, db_download_dir), 0, 0, 0, "/var/lib/holdfast/feeds", "XDG_DATA_HOME:.local/share:holdfast/feeds",
                "what db update fetched"},
        {"db.trusted_key", TEXT, offsetof(struct hf_config, db_trusted_key), 0, 0, 0, "/etc/holdfast/advisories.pub", "/etc/holdfast/advisories.pub",
                "public key (PEM, ed25519) of databases that db import takes"},
        {"store.url", TEXT, offsetof(struct hf_config, store_url), 0, 0, 0, "/var/lib/holdfast/store/holdfast.db", "XDG_DATA_HOME:.local/share:holdfast/holdfast.db",
                "where incidents, audit log, queues and inventory are kept: a file, sqlite:PATH or postgresql://..."},
        {"store.keep_alerts_days", NUMBER, offsetof(struct hf_config, keep_alerts_d), 0, 36500, 90, NULL, NULL,
                "days that alerts of resolved incidents are kept (0: for good)"},
        {"store.keep_alerts_size", SIZE, offsetof(struct hf_config, keep_alerts_max), 0, UINT64_C(1) << 50, UINT64_C(4) << 30, NULL, NULL,
                "bytes of alerts that are kept (0: no limit)"},
        {"store.keep_incidents_days", NUMBER, offsetof(struct hf_config, keep_incidents_d), 0, 36500, 730, NULL, NULL,
                "days that incidents are kept after they were resolved (0: for good)"},
        {"store.keep_containers_days", NUMBER, offsetof(struct hf_config, keep_containers_d), 0, 36500, 90, NULL, NULL,
                "days that containers are kept after they ended (0: for good)"},
        {"store.keep_dead_days", NUMBER, offsetof(struct hf_config, keep_dead_d), 0, 36500, 30, NULL, NULL,
                "days that messages are kept which no channel took (0: for good)"},
        {"inventory.incident_severity", TEXT, offsetof(struct hf_config, incident_severity), 0, 0, 0, "high", "high",
                "new advisories about what runs become incidents from this severity on: low, medium, high or critical"},
        {"inventory.incident_in_use", YES_NO, offsetof(struct hf_config, incident_in_use), 0, 1, 0, NULL, NULL,
                "only about packages whose files ran or were loaded, and what is known to be exploited"},
        {"inventory.incidents_alone", NUMBER, offsetof(struct hf_config, incidents_alone), 0, 20, 3, NULL, NULL,
                "up to so many new advisories of an image are an incident each; more are one"},
        {"docker.host", TEXT, offsetof(struct hf_config, docker_host), 0, 0, 0, "unix:///var/run/docker.sock", "unix:///var/run/docker.sock",
                "socket of the docker daemon"},
        {"containerd.root", EMPTY, offsetof(struct hf_config, containerd_root), 0, 0, 0, "", "",
                "root folder of containerd, where its images lie (empty: /var/lib/containerd, and those of k3s, RKE2, MicroK8s and k0s)"},
        {"podman.root", EMPTY, offsetof(struct hf_config, podman_root), 0, 0, 0, "", "",
                "storage of podman and CRI-O (empty: graphroot of /etc/containers/storage.conf, else /var/lib/containers/storage; of other users their own)"},
        {"daemon.user", TEXT, offsetof(struct hf_config, daemon_user), 0, 0, 0, "holdfast", "holdfast",
                "user that everything of the daemon runs as which needs no root"},
        {"daemon.state", TEXT, offsetof(struct hf_config, daemon_state), 0, 0, 0, "/var/lib/holdfast", "/var/lib/holdfast",
                "folder of what the daemon keeps beside the store: seals, actions in force, its lock"},
        {"daemon.rules", EMPTY, offsetof(struct hf_config, daemon_rules), 0, 0, 0, "", "",
                "rules, file or folder (empty: those that come with holdfast)"},
        {"daemon.exceptions", EMPTY, offsetof(struct hf_config, daemon_exceptions), 0, 0, 0, "/etc/holdfast/exceptions.d", "/etc/holdfast/exceptions.d",
                "folder of exceptions from rules; those of the console become exceptions.yaml there"},
        {"daemon.policy", EMPTY, offsetof(struct hf_config, daemon_policy), 0, 0, 0, "", "",
                "policies to put in force, file or folder (empty: none)"},
        {"daemon.respond", YES_NO, offsetof(struct hf_config, daemon_respond), 0, 1, 0, NULL, NULL,
                "whether what rules want done is done (freeze, kill, ...)"},
        {"daemon.scan", YES_NO, offsetof(struct hf_config, daemon_scan), 0, 1, 1, NULL, NULL,
                "whether images of running containers are scanned"},
        {"daemon.verify_hours", NUMBER, offsetof(struct hf_config, daemon_verify_h), 0, 24 * 366, 24, NULL, NULL,
                "hours after which the files of a running container are held against its seal again (0: never)"},
        {"daemon.verify_ignore", EMPTY, offsetof(struct hf_config, daemon_verify_ignore), 0, 0, 0, "/var/log/** /var/cache/** /run/** /tmp/** /var/tmp/**",
                "/var/log/** /var/cache/** /run/** /tmp/** /var/tmp/**", "paths that do not count then: patterns as of seal verify --ignore, with blanks between"},
        {"daemon.ignore_file", EMPTY, offsetof(struct hf_config, daemon_ignore_file), 0, 0, 0, "", "",
                "vulnerabilities that were accepted, for scans of what runs and new advisories: as --ignore-file of scan (empty: none)"},
        {"daemon.notify", EMPTY, offsetof(struct hf_config, daemon_notify), 0, 0, 0, "/etc/holdfast/notify.yaml", "/etc/holdfast/notify.yaml",
                "channels and routes (empty, or no such file: nobody is told)"},
        {"console.listen", EMPTY, offsetof(struct hf_config, console_listen), 0, 0, 0, "127.0.0.1:8470", "127.0.0.1:8470",
                "where the console listens: ADDRESS:PORT or unix:PATH (empty: no console)"},
        {"console.tls_cert", EMPTY, offsetof(struct hf_config, console_tls_cert), 0, 0, 0, "", "",
                "certificate of the console with those above it, PEM; needed beyond this machine"},
        {"console.tls_key", EMPTY, offsetof(struct hf_config, console_tls_key), 0, 0, 0, "", "",
                "its private key, PEM"},
        {"console.public_url", EMPTY, offsetof(struct hf_config, console_public_url), 0, 0, 0, "", "",
                "address by which people reach the console (empty: from console.listen)"},
        {"console.oidc", EMPTY, offsetof(struct hf_config, console_oidc), 0, 0, 0, "", "",
                "file with the OpenID Connect provider that people may sign in with (empty: none)"},
        {"console.behind_proxy", YES_NO, offsetof(struct hf_config, console_behind_proxy), 0, 1, 0, NULL, NULL,
                "whether a reverse proxy on this machine says in X-Forwarded-For who asks"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* The public part first, so that callers see only struct hf_config. */
struct config_full {
    struct hf_config c;
    char from[ROWS][128];
};

static char **text_at(struct hf_config *c, const struct row *r)
{
    return (char **)(void *)((char *)c + r->offset);
}
static uint64_t *number_at(struct hf_config *c, const struct row *r)
{
    return (uint64_t *)(void *)((char *)c + r->offset);
}

static bool is_text(const struct row *r)
{
    return r->kind == TEXT || r->kind == EMPTY;
}

/* The words of YAML 1.1 that mean one thing only. */
static int parse_yes_no(struct hf_span v, uint64_t *ret)
{
    bool yes = hf_span_eqz(v, "yes") || hf_span_eqz(v, "true"), no = hf_span_eqz(v, "no") || hf_span_eqz(v, "false");
    if (!yes && !no)
        return HF_E_FORMAT;
    *ret = yes;
    return 0;
}

/* Decimal; a size may end in K, M or G (1024). */
static int parse_number(const struct row *r, struct hf_span v, uint64_t *ret)
{
    if (r->kind == YES_NO)
        return parse_yes_no(v, ret);
    unsigned shift = 0;
    if (r->kind == SIZE && v.n) {
        char u = (char)toupper((unsigned char)v.p[v.n - 1]);
        shift = u == 'K' ? 10 : u == 'M' ? 20 : u == 'G' ? 30 : 0;
        v.n -= shift != 0;
    }
    uint64_t n;
    if (hf_parse_u64(v, 10, 0, UINT64_MAX, &n) < 0 || !hf_ckd_mul(&n, n, UINT64_C(1) << shift) || n < r->min || n > r->max)
        return HF_E_FORMAT;
    *ret = n;
    return 0;
}

static int assign(struct config_full *f, size_t i, struct hf_span value, const char *from, struct hf_err *err)
{
    const struct row *r = &rows[i];
    if (is_text(r)) {
        if (!value.n && r->kind == TEXT)
            return hf_fail(err, HF_E_USAGE, "%s is empty", r->key);
        char *z = hf_span_dupz(value);
        if (!z)
            return hf_fail(err, HF_E_USAGE, "%s: text with a NUL byte", r->key);
        free(*text_at(&f->c, r));
        *text_at(&f->c, r) = z;
    } else if (parse_number(r, value, number_at(&f->c, r)) < 0) {
        if (r->kind == YES_NO)
            return hf_fail(err, HF_E_USAGE, "%s wants yes or no, not \"" HF_SPAN_FMT "\"", r->key, HF_SPAN_ARG(value));
        return hf_fail(err, HF_E_USAGE, "%s wants a %s from %llu to %llu, not \"" HF_SPAN_FMT "\"", r->key,
                r->kind == SIZE ? "size such as 64M" : "number", (unsigned long long)r->min, (unsigned long long)r->max, HF_SPAN_ARG(value));
    }
    snprintf(f->from[i], sizeof f->from[i], "%s", from);
    return 0;
}

static int find_row(struct hf_span key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (hf_span_eqz(key, rows[i].key))
            return (int)i;
    return -1;
}

static int unknown_key(struct hf_span key, struct hf_err *err)
{
    const char *names[ROWS + 1] = {NULL};
    for (size_t i = 0; i < ROWS; i++)
        names[i] = rows[i].key;
    hf_autofree char *z = hf_span_dupz(key);
    const char *near = z ? hf_nearest(z, names) : NULL;
    if (near)
        return hf_fail(err, HF_E_USAGE, "unknown key \"" HF_SPAN_FMT "\"; did you mean %s?", HF_SPAN_ARG(key), near);
    return hf_fail(err, HF_E_USAGE, "unknown key \"" HF_SPAN_FMT "\"; \"holdfast config show\" lists them", HF_SPAN_ARG(key));
}

static int check_section(struct hf_span name, struct hf_err *err)
{
    char heads[ROWS][32];
    const char *names[ROWS + 1] = {NULL};
    for (size_t i = 0; i < ROWS; i++) {
        struct hf_span key = hf_span_z(rows[i].key), head = hf_span_sub(key, 0, hf_span_find(key, '.'));
        if (hf_span_eq(head, name))
            return 0;
        snprintf(heads[i], sizeof heads[i], HF_SPAN_FMT, HF_SPAN_ARG(head));
        names[i] = heads[i];
    }
    hf_autofree char *z = hf_span_dupz(name);
    const char *near = z ? hf_nearest(z, names) : NULL;
    return hf_fail(err, HF_E_USAGE, "unknown section \"" HF_SPAN_FMT "\"%s%s%s", HF_SPAN_ARG(name), near ? "; did you mean " : "", near ? near : "",
            near ? "?" : "; \"holdfast config show\" lists the keys");
}

static struct hf_span scalar(const yaml_event_t *e)
{
    return hf_span((const char *)e->data.scalar.value, e->data.scalar.length);
}

/* Where the reader of one file is.  Two levels: sections, and in each key: value. */
struct place {
    struct config_full *f;
    const char *path;
    struct hf_buf section, key; /* key with its section */
    size_t lines[ROWS];         /* where this file set it; 0: not yet */
    unsigned depth;             /* mappings open */
    bool have_key;              /* a section's or setting's name was read, its value is next */
};

static void place_done(struct place *w)
{
    hf_buf_done(&w->section);
    hf_buf_done(&w->key);
}

static int on_scalar(struct place *w, struct hf_span text, size_t line, struct hf_err *err)
{
    if (w->depth == 0) /* an empty file is one empty scalar */
        return text.n ? hf_fail(err, HF_E_USAGE, "expected sections such as \"scan:\"") : 0;
    if (w->depth == 1 && !w->have_key) {
        hf_buf_clear(&w->section);
        hf_buf_adds(&w->section, text);
        w->have_key = true;
        return hf_buf_ok(&w->section) ? check_section(text, err) : hf_fail(err, HF_E_USAGE, "section name too long");
    }
    if (w->depth == 1) { /* "scan:" with nothing in it */
        w->have_key = false;
        return text.n ? hf_fail(err, HF_E_USAGE, "expected keys below the section, not a value") : 0;
    }
    if (!w->have_key) {
        hf_buf_clear(&w->key);
        hf_buf_adds(&w->key, hf_buf_span(&w->section));
        hf_buf_addc(&w->key, '.');
        hf_buf_adds(&w->key, text);
        w->have_key = true;
        if (!hf_buf_ok(&w->key))
            return hf_fail(err, HF_E_USAGE, "key too long");
        return find_row(hf_buf_span(&w->key)) < 0 ? unknown_key(hf_buf_span(&w->key), err) : 0;
    }
    w->have_key = false;
    int i = find_row(hf_buf_span(&w->key));
    if (i < 0)
        return HF_E_USAGE;
    if (w->lines[i])
        return hf_fail(err, HF_E_USAGE, "%s was already set in line %zu", rows[i].key, w->lines[i]);
    char from[128];
    snprintf(from, sizeof from, "%s:%zu", w->path, line);
    w->lines[i] = line;
    return assign(w->f, (size_t)i, text, from, err);
}

static int on_yaml(struct place *w, const yaml_event_t *e, size_t line, struct hf_err *err)
{
    switch ((int)e->type) {
    case YAML_MAPPING_START_EVENT:
        if (w->depth == 2 || (w->depth == 1 && !w->have_key))
            return hf_fail(err, HF_E_USAGE, "nested too deep; settings are section, then key: value");
        w->depth++;
        w->have_key = false;
        return 0;
    case YAML_MAPPING_END_EVENT:
        w->depth--;
        w->have_key = false;
        return 0;
    case YAML_SEQUENCE_START_EVENT:
        return hf_fail(err, HF_E_USAGE, "a list is not expected here");
    case YAML_ALIAS_EVENT:
        return hf_fail(err, HF_E_USAGE, "an alias (*name) is not expected here");
    case YAML_SCALAR_EVENT:
        return on_scalar(w, scalar(e), line, err);
    default:
        return 0;
    }
}

static int parse_text(struct config_full *f, struct hf_span text, const char *path, struct hf_err *err)
{
    hf_cleanup(place_done) struct place w = {.f = f, .path = path, .section = HF_BUF_INIT(256), .key = HF_BUF_INIT(512)};
    hf_cleanup(yaml_parser_delete) yaml_parser_t p;
    if (!yaml_parser_initialize(&p))
        return hf_fail(err, -ENOMEM, "out of memory");
    yaml_parser_set_input_string(&p, (const unsigned char *)(text.p ? text.p : ""), text.n);
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&p, &e))
            return hf_fail(err, HF_E_USAGE, "%s:%zu: %s", path, HF_MAX(p.problem_mark.line, p.context_mark.line) + 1, p.problem ? p.problem : "not YAML");
        size_t line = e.start_mark.line + 1;
        bool end = e.type == YAML_STREAM_END_EVENT;
        int rc = on_yaml(&w, &e, line, err);
        yaml_event_delete(&e);
        if (rc < 0)
            return hf_wrap(err, rc, "%s:%zu", path, line);
        if (end)
            return 0;
    }
}

static int load_file(struct config_full *f, const char *path, bool must_exist, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(MAX_FILE);
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_read_file(path, &text, &why);
    if (rc == -ENOENT && !must_exist)
        return 0;
    if (rc < 0)
        return hf_fail(err, HF_E_USAGE, "configuration %s", why.msg);
    return parse_text(f, hf_buf_span(&text), path, err);
}

static int presets(struct config_full *f, struct hf_err *err)
{
    bool root = geteuid() == 0;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        snprintf(f->from[i], sizeof f->from[i], "default");
        if (!is_text(r)) {
            *number_at(&f->c, r) = r->preset;
            continue;
        }
        hf_autobuf path = HF_BUF_INIT(8192);
        struct hf_span rest = hf_span_z(root ? r->root_preset : r->user_preset), base, under, tail;
        if (!root && hf_span_starts(rest, HF_S("XDG_")) && hf_span_cut(&rest, ':', &base) && hf_span_cut(&rest, ':', &under) && hf_span_cut(&rest, ':', &tail)) {
            hf_autofree char *name = hf_span_dupz(base);
            const char *xdg = name ? getenv(name) : NULL, *home = getenv("HOME");
            if (xdg && *xdg)
                hf_buf_addf(&path, "%s/" HF_SPAN_FMT, xdg, HF_SPAN_ARG(tail));
            else
                hf_buf_addf(&path, "%s/" HF_SPAN_FMT "/" HF_SPAN_FMT, home ? home : "/tmp", HF_SPAN_ARG(under), HF_SPAN_ARG(tail));
        } else {
            hf_buf_adds(&path, rest);
        }
        int rc = assign(f, i, hf_buf_span(&path), "default", err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int environment(struct config_full *f, struct hf_err *err)
{
    for (size_t i = 0; i < ROWS; i++) {
        char name[80] = "HOLDFAST_";
        size_t n = strlen(name);
        for (const char *k = rows[i].key; *k && n + 1 < sizeof name; k++)
            name[n++] = *k == '.' ? '_' : (char)toupper((unsigned char)*k);
        name[n] = 0;
        const char *v = getenv(name);
        int rc = v ? assign(f, i, hf_span_z(v), name, err) : 0;
        if (rc < 0)
            return hf_wrap(err, rc, "environment variable %s", name);
    }
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_yaml(const struct dirent *d)
{
    return d->d_name[0] != '.' && hf_span_ends(hf_span_z(d->d_name), HF_S(".yaml"));
}

static int conf_d(struct config_full *f, const char *dir, struct hf_err *err)
{
    struct dirent **v = NULL;
    hf_autobuf path = HF_BUF_INIT(8192);
    hf_buf_addf(&path, "%s/conf.d", dir);
    int n = scandir(hf_buf_z(&path), &v, is_yaml, by_name), rc = 0;
    if (n < 0 && errno != ENOENT) /* settings that cannot be read are not settings that are not there */
        return hf_fail(err, HF_E_USAGE, "configuration %s: %s", hf_buf_z(&path), hf_err_name(-errno));
    for (int i = 0; i < n; i++) {
        hf_buf_clear(&path);
        hf_buf_addf(&path, "%s/conf.d/%s", dir, v[i]->d_name);
        if (rc >= 0)
            rc = load_file(f, hf_buf_z(&path), true, err);
        free(v[i]);
    }
    free(v);
    return rc;
}

static int give(struct config_full *f, int rc, struct hf_config **ret)
{
    if (rc < 0)
        hf_config_free(&f->c);
    else
        *ret = &f->c;
    return rc < 0 ? rc : 0;
}

int hf_config_load_from(struct hf_config **ret, const char *dir, const char *file, struct hf_err *err)
{
    struct config_full *f = calloc(1, sizeof *f);
    if (!f)
        return hf_fail(err, -ENOMEM, "out of memory");
    hf_autobuf path = HF_BUF_INIT(8192);
    hf_buf_addf(&path, "%s/holdfast.yaml", dir);
    int rc = presets(f, err);
    if (rc >= 0)
        rc = file ? load_file(f, file, true, err) : load_file(f, hf_buf_z(&path), false, err);
    if (rc >= 0 && !file)
        rc = conf_d(f, dir, err);
    if (rc >= 0)
        rc = environment(f, err);
    return give(f, rc, ret);
}

int hf_config_load(struct hf_config **ret, const char *file, struct hf_err *err)
{
    return hf_config_load_from(ret, "/etc/holdfast", file, err);
}

int hf_config_parse(struct hf_config **ret, struct hf_span text, const char *name, struct hf_err *err)
{
    struct config_full *f = calloc(1, sizeof *f);
    if (!f)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = presets(f, err);
    if (rc >= 0)
        rc = parse_text(f, text, name, err);
    return give(f, rc, ret);
}

void hf_config_free(struct hf_config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < ROWS; i++)
        if (is_text(&rows[i]))
            free(*text_at(c, &rows[i]));
    free(c); /* c is the first member of what was allocated */
}

void hf_config_show(const struct hf_config *c, struct hf_buf *out)
{
    const struct config_full *f = (const struct config_full *)(const void *)c;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        const char *at = (const char *)c + r->offset;
        if (is_text(r))
            hf_buf_addf(out, "%-24s %-44s", r->key, **(char *const *)(const void *)at ? *(char *const *)(const void *)at : "\"\"");
        else if (r->kind == YES_NO)
            hf_buf_addf(out, "%-24s %-44s", r->key, *(const uint64_t *)(const void *)at ? "yes" : "no");
        else
            hf_buf_addf(out, "%-24s %-44llu", r->key, (unsigned long long)*(const uint64_t *)(const void *)at);
        hf_buf_addf(out, " %-20s %s\n", f->from[i], r->help);
    }
}
