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

enum kind { TEXT, NUMBER, SIZE };
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
        {"docker.host", TEXT, offsetof(struct hf_config, docker_host), 0, 0, 0, "unix:///var/run/docker.sock", "unix:///var/run/docker.sock",
                "socket of the docker daemon"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };


/* The public part first, so that callers see only struct hf_config. */
struct config_full {
    struct hf_config c;
    char from[ROWS][64];
};

static char **text_at(struct hf_config *c, const struct row *r)
{
    return (char **)(void *)((char *)c + r->offset);
}
static uint64_t *number_at(struct hf_config *c, const struct row *r)
{
    return (uint64_t *)(void *)((char *)c + r->offset);
}

static int parse_number(const struct row *r, struct hf_span v, uint64_t *ret)
{
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
    if (r->kind == TEXT) {
        char *z = hf_span_dupz(value);
        if (!z)
            return hf_fail(err, HF_E_USAGE, "%s: bad text", r->key);
        free(*text_at(&f->c, r));
        *text_at(&f->c, r) = z;
    } else if (parse_number(r, value, number_at(&f->c, r)) < 0) {
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
    return hf_fail(err, HF_E_USAGE, "unknown key \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(key));
}

static struct hf_span scalar(const yaml_event_t *e)
{
    return hf_span((const char *)e->data.scalar.value, e->data.scalar.length);
}

/* Two levels: section, then key and scalar. */
static int parse_events(struct config_full *f, yaml_parser_t *p, const char *path, struct hf_err *err)
{
    hf_autobuf section = HF_BUF_INIT(256);
    hf_autobuf key = HF_BUF_INIT(512);
    unsigned depth = 0;
    bool have_key = false;
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(p, &e))
            return hf_fail(err, HF_E_USAGE, "%s:%zu: %s", path, p->problem_mark.line + 1, p->problem ? p->problem : "not YAML");
        size_t line = e.start_mark.line + 1;
        int rc = 0;
        bool end = e.type == YAML_STREAM_END_EVENT;
        if (e.type == YAML_MAPPING_START_EVENT) {
            if (++depth > 2)
                rc = hf_fail(err, HF_E_USAGE, "%s:%zu: nested too deep; settings are section, then key: value", path, line);
            have_key = false;
        } else if (e.type == YAML_MAPPING_END_EVENT) {
            depth--;
            have_key = false;
        } else if (e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_ALIAS_EVENT) {
            rc = hf_fail(err, HF_E_USAGE, "%s:%zu: a list is not expected here", path, line);
        } else if (e.type == YAML_SCALAR_EVENT && depth == 0) {
            if (scalar(&e).n)
                rc = hf_fail(err, HF_E_USAGE, "%s:%zu: expected sections such as \"scan:\"", path, line);
        } else if (e.type == YAML_SCALAR_EVENT && depth == 1) {
            hf_buf_clear(&section);
            hf_buf_adds(&section, scalar(&e));
            if (have_key && scalar(&e).n)
                rc = hf_fail(err, HF_E_USAGE, "%s:%zu: expected a section with keys, not a value", path, line);
            have_key = !have_key;
        } else if (e.type == YAML_SCALAR_EVENT && !have_key) {
            hf_buf_clear(&key);
            hf_buf_adds(&key, hf_buf_span(&section));
            hf_buf_addc(&key, '.');
            hf_buf_adds(&key, scalar(&e));
            have_key = true;
            if (find_row(hf_buf_span(&key)) < 0)
                rc = unknown_key(hf_buf_span(&key), err);
        } else if (e.type == YAML_SCALAR_EVENT) {
            char from[64];
            int i = find_row(hf_buf_span(&key));
            snprintf(from, sizeof from, "%s:%zu", path, line);
            rc = i < 0 ? HF_E_USAGE : assign(f, (size_t)i, scalar(&e), from, err);
            have_key = false;
        }
        yaml_event_delete(&e);
        if (rc < 0)
            return strncmp(err ? err->msg : "", path, strlen(path)) == 0 ? rc : hf_wrap(err, rc, "%s:%zu", path, line);
        if (end)
            return 0;
    }
}

static int load_file(struct config_full *f, const char *path, bool must_exist, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(MAX_FILE);
    yaml_parser_t p;
    int rc = hf_read_file(path, &text, err);
    if (rc == -ENOENT && !must_exist)
        return 0;
    if (rc < 0)
        return hf_fail(err, HF_E_USAGE, "configuration %s: %s", path, hf_err_name(rc));
    if (!yaml_parser_initialize(&p))
        return hf_fail(err, -ENOMEM, "out of memory");
    yaml_parser_set_input_string(&p, (const unsigned char *)(text.p ? text.p : ""), text.n);
    rc = parse_events(f, &p, path, err);
    yaml_parser_delete(&p);
    return rc;
}

static int presets(struct config_full *f, struct hf_err *err)
{
    bool root = geteuid() == 0;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        snprintf(f->from[i], sizeof f->from[i], "default");
        if (r->kind != TEXT) {
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

static int conf_d(struct config_full *f, struct hf_err *err)
{
    struct dirent **v = NULL;
    int n = scandir("/etc/holdfast/conf.d", &v, is_yaml, by_name), rc = 0;
    for (int i = 0; i < n; i++) {
        hf_autobuf path = HF_BUF_INIT(8192);
        hf_buf_addf(&path, "/etc/holdfast/conf.d/%s", v[i]->d_name);
        if (rc >= 0)
            rc = load_file(f, hf_buf_z(&path), true, err);
        free(v[i]);
    }
    free(v);
    return rc;
}

int hf_config_load(struct hf_config **ret, const char *file, struct hf_err *err)
{
    struct config_full *f = calloc(1, sizeof *f);
    if (!f)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = presets(f, err);
    if (rc >= 0)
        rc = file ? load_file(f, file, true, err) : load_file(f, "/etc/holdfast/holdfast.yaml", false, err);
    if (rc >= 0 && !file)
        rc = conf_d(f, err);
    if (rc >= 0)
        rc = environment(f, err);
    if (rc < 0) {
        hf_config_free(&f->c);
        return rc;
    }
    *ret = &f->c;
    return 0;
}

void hf_config_free(struct hf_config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].kind == TEXT)
            free(*text_at(c, &rows[i]));
    free(c); /* c is the first member of what was allocated */
}

void hf_config_show(const struct hf_config *c, struct hf_buf *out)
{
    const struct config_full *f = (const struct config_full *)(const void *)c;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        const char *at = (const char *)c + r->offset;
        if (r->kind == TEXT)
            hf_buf_addf(out, "%-18s %-44s", r->key, *(char *const *)(const void *)at);
        else
            hf_buf_addf(out, "%-18s %-44llu", r->key, (unsigned long long)*(const uint64_t *)(const void *)at);
        hf_buf_addf(out, " %-20s %s\n", f->from[i], r->help);
    }
}
