// SPDX-License-Identifier: Apache-2.0
/* holdfast inuse: which packages of an image were used in its containers; and the same beside the vulnerabilities of a scan. */
#include "cli/inuse-join.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/hash.h"
#include "cli/cli.h"
#include "cli/state.h"
#include "guard/inuse.h"
#include "report/report.h"

#define FILES_MAX 100000u

static void when(uint64_t s, struct hf_buf *out)
{
    char text[32];
    hf_buf_addz(out, hf_report_time(s, text));
}

/* ---- beside vulnerabilities ---- */

struct join {
    struct hf_scan *s;
    size_t known;
};

/* Vulnerabilities are sorted by package (matching); a package has few. */
static void joined(void *ctx, const struct hf_inuse_package *u)
{
    struct join *j = ctx;
    j->known++;
    for (size_t i = 0; i < j->s->n_vulns; i++) {
        struct hf_vuln *v = &j->s->vulns[i];
        const struct hf_package *p = &j->s->packages[v->package].p;
        if (u->package.n != p->name.n + 1 + p->version.n || !hf_span_starts(u->package, p->name) || !hf_span_ends(u->package, p->version) || u->package.p[p->name.n] != ' ')
            continue;
        bool listens = u->how & HF_INUSE_LISTENS, root = u->how & HF_INUSE_ROOT;
        v->use = listens && root ? HF_USED_NOW : listens ? HF_USED_REACHABLE : HF_USED;
        v->use_root = root;
        v->use_first_unix = u->first_s;
        v->use_last_unix = u->last_s;
    }
}

static bool is_of_system(const struct hf_package *p)
{
    return p->type == HF_PKG_DEB || p->type == HF_PKG_APK || p->type == HF_PKG_RPM;
}

int hf_inuse_join(struct hf_scan *s, const char *state_dir, struct hf_err *err)
{
    char path[4352];
    hf_autobuf text = HF_BUF_INIT(HF_INUSE_BYTES);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_span name;
    uint64_t since = 0;
    struct join j = {.s = s};
    const struct hf_span known[] = {s->digest, s->index, s->config}; /* by one of them its runtime knows the image */
    int rc = -ENOENT;
    for (size_t i = 0; i < HF_ARRAY_LEN(known) && rc == -ENOENT; i++)
        if (known[i].n && hf_inuse_path(state_dir, known[i], path)) {
            hf_buf_clear(&text);
            rc = hf_read_file(path, &text, err);
        }
    if (rc == -ENOENT || rc == -EACCES || rc == -ENOTDIR)
        return 0;
    rc = rc < 0 ? rc : hf_inuse_read(hf_buf_span(&text), &name, &since, joined, &j, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "%s", path);
    s->used_since_unix = since;
    for (size_t i = 0; i < s->n_vulns; i++)
        if (s->vulns[i].use == HF_USE_UNKNOWN && is_of_system(&s->packages[s->vulns[i].package].p))
            s->vulns[i].use = HF_USED_NEVER;
    return 1;
}

/* ---- the command ---- */

struct listing {
    struct hf_buf *out;
    struct hf_jw *w; /* NULL: text */
    size_t n;
};

static void each(void *ctx, const struct hf_inuse_package *p)
{
    struct listing *l = ctx;
    l->n++;
    if (!l->w) {
        size_t used = hf_buf_add_escaped(l->out, p->package, 48);
        for (; used < 50; used++)
            hf_buf_addc(l->out, ' ');
        when(p->last_s, l->out);
        hf_buf_addz(l->out, "  ");
        when(p->first_s, l->out);
        hf_buf_addf(l->out, "  %s%s%s%s\n", p->how & HF_INUSE_RAN ? "ran" : "loaded", p->how & HF_INUSE_RAN && p->how & HF_INUSE_MAPPED ? ", loaded" : "",
                p->how & HF_INUSE_LISTENS ? ", listens" : "", p->how & HF_INUSE_ROOT ? ", as root" : "");
        return;
    }
    hf_autobuf first = HF_BUF_INIT(64), last = HF_BUF_INIT(64);
    when(p->first_s, &first);
    when(p->last_s, &last);
    size_t blank = hf_span_rfind(p->package, ' ');
    hf_jw_object(l->w);
    hf_jw_kstr(l->w, "name", hf_span_sub(p->package, 0, blank));
    hf_jw_kstr(l->w, "version", blank == SIZE_MAX ? hf_span(NULL, 0) : hf_span_from(p->package, blank + 1));
    hf_jw_kstr(l->w, "first", hf_buf_span(&first));
    hf_jw_kstr(l->w, "last", hf_buf_span(&last));
    hf_jw_kbool(l->w, "ran", p->how & HF_INUSE_RAN);
    hf_jw_kbool(l->w, "loaded", p->how & HF_INUSE_MAPPED);
    hf_jw_kbool(l->w, "listens", p->how & HF_INUSE_LISTENS);
    hf_jw_kbool(l->w, "root", p->how & HF_INUSE_ROOT);
    hf_jw_object_end(l->w);
}

static void nothing(void *ctx, const struct hf_inuse_package *p)
{
    (void)p;
    ++*(size_t *)ctx;
}

/* One file: whether it is of the image that is asked for ("": any), by digest or by name. */
static bool is_asked(struct hf_span want, struct hf_span file, struct hf_span name)
{
    struct hf_span hex = hf_span_sub(hf_span_from(file, 7), 0, 64), plain = hf_span_starts(want, HF_S("sha256:")) ? hf_span_from(want, 7) : want;
    if (!want.n || (plain.n >= 8 && hf_span_starts(hex, plain)) || hf_span_eq(name, want))
        return true;
    return name.n == want.n + 7 && hf_span_starts(name, want) && hf_span_ends(name, HF_S(":latest"));
}

static int show(const char *path, struct hf_span file, struct hf_span want, bool json, struct hf_jw *w, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_INUSE_BYTES), since_text = HF_BUF_INIT(64);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL, *again = NULL;
    struct hf_span name;
    uint64_t since;
    size_t n = 0;
    struct listing l = {.out = out, .w = json ? w : NULL};
    int rc = hf_read_file(path, &text, err);
    rc = rc < 0 ? rc : hf_inuse_read(hf_buf_span(&text), &name, &since, nothing, &n, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "%s", path);
    if (!is_asked(want, file, name))
        return 0;
    when(since, &since_text);
    struct hf_span hex = hf_span_sub(hf_span_from(file, 7), 0, 64);
    if (json) {
        hf_autobuf image = HF_BUF_INIT(128);
        hf_buf_addf(&image, "sha256:%.*s", (int)hex.n, hex.p);
        hf_jw_object(w);
        hf_jw_kstr(w, "image", hf_buf_span(&image));
        hf_jw_kstr(w, "name", name);
        hf_jw_kstr(w, "since", hf_buf_span(&since_text));
        hf_jw_key(w, "packages");
        hf_jw_array(w);
    } else {
        hf_buf_add_escaped(out, name, 100);
        hf_buf_addf(out, "  sha256:%.*s\n%zu packages used since " HF_SPAN_FMT "\n\n%-48s  %-20s  %-20s  HOW\n", (int)hex.n, hex.p, n, HF_SPAN_ARG(hf_buf_span(&since_text)), "PACKAGE", "LAST", "FIRST");
    }
    rc = hf_inuse_read(hf_buf_span(&text), &name, &since, each, &l, &again, err);
    if (json) {
        hf_jw_array_end(w);
        hf_jw_object_end(w);
    } else {
        hf_buf_addc(out, '\n');
    }
    return rc < 0 ? rc : 1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int all(const char *state, const char *want, bool json, struct hf_buf *out, struct hf_err *err)
{
    char dir[4300], path[4600];
    struct hf_jw w;
    char **names = NULL;
    size_t n = 0, cap = 0, shown = 0;
    snprintf(dir, sizeof dir, "%.4000s/inuse", state);
    DIR *d = opendir(dir);
    int rc = d ? 0 : errno == ENOENT ? 0 : hf_fail(err, -errno, "%s: %s", dir, strerror(errno));
    for (struct dirent *e; d && (e = readdir(d));)
        if (hf_span_starts(hf_span_z(e->d_name), HF_S("sha256-")) && strlen(e->d_name) == 76) {
            char **slot = hf_grow((void **)&names, &n, &cap, sizeof *names, FILES_MAX);
            if (slot && !(*slot = strdup(e->d_name)))
                n--;
        }
    if (d)
        closedir(d);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    if (json) {
        hf_jw_init(&w, out, true);
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "schema", "holdfast.inuse/1");
        hf_jw_key(&w, "images");
        hf_jw_array(&w);
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        int one = rc < 0 ? rc : show(path, hf_span_z(names[i]), hf_span_z(want), json, &w, out, err);
        rc = one < 0 ? one : 0;
        shown += one > 0;
        free(names[i]);
    }
    free(names);
    if (json) {
        hf_jw_array_end(&w);
        hf_jw_object_end(&w);
        hf_buf_addc(out, '\n');
    }
    if (rc == 0 && !shown && *want)
        rc = hf_fail(err, HF_E_NOT_FOUND, "no container of %.200s has been watched; \"holdfast watch\" keeps which packages run", want);
    if (rc == 0 && !shown && !json)
        hf_buf_addf(out, "no image has been watched with the state in %s; \"holdfast watch\" keeps which packages run\n", state);
    return rc;
}

int hf_cmd_inuse(int argc, char **argv)
{
    const char *state = HF_STATE_DIR;
    bool json = false;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "one JSON document (docs/schema/inuse-1.json)"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder where watch keeps it (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"inuse", "[options] [IMAGE]", "which packages of an image ran or were loaded in its containers",
            "IMAGE is a name as containers were started with, or a digest or the beginning of one; without it: all.", opts, 0, 1};
    const char *args[1];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(64u << 20);
    rc = all(state, n ? args[0] : "", json, &out, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    return hf_cli_print(&out, HF_EXIT_OK);
}
