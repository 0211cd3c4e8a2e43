// SPDX-License-Identifier: Apache-2.0
/* holdfast inventory: what runs where and what is in it, as the store has it; scans put into it; a new advisory database matched against it. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/config.h"
#include "base/fs.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "cli/incident-cli.h"
#include "inventory/inventory.h"
#include "store/store.h"

enum { OUT_MAX = 256 << 20, PAGE = 1000 };

struct listing {
    bool json;
    struct hf_cli_place at;
    struct hf_buf out;
    struct hf_jw w;
    struct hf_span want; /* text that has to occur in name, image, id; empty: all */
    struct hf_buf after; /* last key of the page */
    unsigned in_page;
    /* findings */
    int min_severity;
    bool used_only, running_only;
    struct hf_span id;
    uint64_t n;
};

static void cell(struct hf_buf *out, struct hf_span text, size_t width)
{
    hf_cli_cell(out, text.n ? text : HF_S("-"), width);
}

static void when(struct hf_buf *out, int64_t ns)
{
    char text[24];
    time_t t = (time_t)(ns / 1000000000);
    struct tm tm;
    if (ns <= 0 || !gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm))
        snprintf(text, sizeof text, "-");
    cell(out, hf_span_z(text), 16);
}

static void json_time(struct hf_jw *w, const char *name, int64_t ns)
{
    char text[32];
    time_t t = (time_t)(ns / 1000000000);
    struct tm tm;
    if (ns > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        hf_jw_kstrz(w, name, text);
}

static void line_end(struct hf_buf *out)
{
    while (out->n && out->p[out->n - 1] == ' ')
        out->n--;
    hf_buf_addc(out, '\n');
}

/* A document of the store as a value; what is none is left out. */
static void json_doc(struct hf_jw *w, const char *name, struct hf_span doc)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_json_parse(doc, &d, &ignored) < 0)
        return;
    hf_jw_key(w, name);
    hf_inv_json(w, hf_json_root(d));
}

static bool has(struct hf_span text, struct hf_span part)
{
    return !part.n || hf_span_search(text, part) != SIZE_MAX;
}

static void key(struct listing *l, struct hf_span k)
{
    hf_buf_clear(&l->after);
    hf_buf_adds(&l->after, k);
    l->in_page++;
}

/* ---- rows ---- */

static int host(void *ctx, const struct hf_inv_host *h)
{
    struct listing *l = ctx;
    key(l, h->id);
    if (!has(h->name, l->want) && !has(h->id, l->want))
        return 0;
    l->n++;
    if (l->json) {
        hf_jw_object(&l->w);
        hf_jw_kstr(&l->w, "id", h->id);
        hf_jw_kstr(&l->w, "name", h->name);
        json_time(&l->w, "seen", h->seen);
        json_doc(&l->w, "doc", h->doc);
        hf_jw_object_end(&l->w);
        return 0;
    }
    cell(&l->out, h->name, 30);
    when(&l->out, h->seen);
    cell(&l->out, h->id, 40);
    line_end(&l->out);
    return 0;
}

static int container(void *ctx, const struct hf_inv_container *c)
{
    struct listing *l = ctx;
    key(l, c->id);
    if (!has(c->name, l->want) && !has(c->image, l->want) && !has(c->id, l->want) && !has(c->digest, l->want))
        return 0;
    l->n++;
    if (l->json) {
        hf_jw_object(&l->w);
        hf_jw_kstr(&l->w, "id", c->id);
        hf_jw_kstr(&l->w, "name", c->name);
        hf_jw_kstr(&l->w, "host", c->host);
        hf_jw_kstr(&l->w, "image", c->image);
        hf_jw_kstr(&l->w, "image_digest", c->digest);
        hf_jw_kbool(&l->w, "running", c->ended == 0);
        json_time(&l->w, "started", c->started);
        json_time(&l->w, "ended", c->ended);
        json_time(&l->w, "seen", c->seen);
        json_doc(&l->w, "doc", c->doc);
        hf_jw_object_end(&l->w);
        return 0;
    }
    cell(&l->out, hf_span_sub(c->id, 0, 12), 12);
    cell(&l->out, c->name, 28);
    cell(&l->out, c->image, 36);
    cell(&l->out, c->ended ? HF_S("ended") : HF_S("runs"), 5);
    when(&l->out, c->ended ? c->ended : c->started);
    line_end(&l->out);
    return 0;
}

static int image(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    struct listing *l = ctx;
    struct hf_finding_counts c = {0};
    struct hf_err err = HF_ERR_INIT;
    key(l, i->digest);
    if (!has(i->name, l->want) && !has(i->digest, l->want))
        return 0;
    int rc = hf_store_finding_counts(l->at.store, i->digest, false, &c, &err);
    if (rc < 0)
        return rc;
    l->n++;
    if (l->json) {
        hf_jw_object(&l->w);
        hf_jw_kstr(&l->w, "digest", i->digest);
        hf_jw_kstr(&l->w, "name", i->name);
        json_time(&l->w, "scanned", i->scanned);
        hf_jw_ku64(&l->w, "running", running);
        hf_jw_key(&l->w, "findings");
        hf_jw_object(&l->w);
        for (int s = 6; s >= 0; s--)
            hf_jw_ku64(&l->w, hf_inv_severity_name(s), c.n[s]);
        hf_jw_object_end(&l->w);
        json_doc(&l->w, "doc", i->doc);
        hf_jw_object_end(&l->w);
        return 0;
    }
    cell(&l->out, hf_span_sub(hf_span_from(i->digest, 7), 0, 12), 12);
    cell(&l->out, i->name, 40);
    hf_buf_addf(&l->out, "%7llu  ", (unsigned long long)running);
    for (int s = 6; s >= 3; s--)
        hf_buf_addf(&l->out, "%8llu  ", (unsigned long long)c.n[s]);
    when(&l->out, i->scanned);
    line_end(&l->out);
    return 0;
}

static int package(void *ctx, struct hf_span digest, const struct hf_inv_package *p, uint64_t running)
{
    struct listing *l = ctx;
    (void)digest;
    (void)running;
    if (l->used_only && !p->used)
        return 0;
    l->n++;
    if (l->json) {
        hf_jw_object(&l->w);
        hf_jw_kstr(&l->w, "ecosystem", p->ecosystem);
        hf_jw_kstr(&l->w, "name", p->name);
        hf_jw_kstr(&l->w, "version", p->version);
        hf_jw_kstr_opt(&l->w, "source", p->source);
        hf_jw_kbool(&l->w, "in_use", p->used);
        hf_jw_object_end(&l->w);
        return 0;
    }
    cell(&l->out, p->name, 40);
    cell(&l->out, p->version, 36);
    cell(&l->out, p->ecosystem, 16);
    hf_buf_addz(&l->out, p->used ? "in use" : "");
    line_end(&l->out);
    return 0;
}

static int finding(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    struct listing *l = ctx;
    if (f->severity < l->min_severity || (l->used_only && !f->used) || (l->running_only && !running) || (l->id.n && !hf_span_eq(l->id, f->id)))
        return 0;
    l->n++;
    if (l->json) {
        hf_jw_object(&l->w);
        hf_jw_kstr(&l->w, "id", f->id);
        hf_jw_kstr(&l->w, "image_digest", digest);
        hf_jw_kstrz(&l->w, "severity", hf_inv_severity_name(f->severity));
        hf_jw_kstr(&l->w, "ecosystem", f->ecosystem);
        hf_jw_kstr(&l->w, "package", f->package);
        hf_jw_kstr(&l->w, "version", f->version);
        hf_jw_kstr_opt(&l->w, "fixed", f->fixed);
        hf_jw_kbool(&l->w, "in_use", f->used);
        json_time(&l->w, "found", f->found);
        hf_jw_ku64(&l->w, "running", running);
        json_doc(&l->w, "vulnerability", f->doc);
        hf_jw_object_end(&l->w);
        return 0;
    }
    cell(&l->out, f->id, 20);
    cell(&l->out, hf_span_z(hf_inv_severity_name(f->severity)), 10);
    cell(&l->out, f->package, 28);
    cell(&l->out, f->version, 24);
    cell(&l->out, f->fixed, 24);
    hf_buf_addf(&l->out, "%s%s", f->used ? "in use" : "", running ? f->used ? ", runs" : "runs" : "");
    line_end(&l->out);
    return 0;
}

/* ---- an image by digest, the beginning of one, or its name ---- */

struct looking {
    struct hf_span want;
    struct hf_buf digest, after;
    unsigned found, in_page;
};

static int looked(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    struct looking *k = ctx;
    struct hf_span hex = hf_span_from(i->digest, 7), plain = hf_span_starts(k->want, HF_S("sha256:")) ? hf_span_from(k->want, 7) : k->want;
    (void)running;
    hf_buf_clear(&k->after);
    hf_buf_adds(&k->after, i->digest);
    k->in_page++;
    bool is = hf_span_eq(i->name, k->want) || (plain.n >= 8 && hf_span_starts(hex, plain)) || (i->name.n == k->want.n + 7 && hf_span_starts(i->name, k->want) && hf_span_ends(i->name, HF_S(":latest")));
    if (is && !k->found++)
        hf_buf_adds(&k->digest, i->digest);
    return 0;
}

static int find_image(struct hf_store *s, const char *want, struct hf_buf *ret_digest, struct hf_err *err)
{
    struct looking k = {.want = hf_span_z(want), .digest = HF_BUF_INIT(8192), .after = HF_BUF_INIT(8192)};
    int rc;
    do {
        k.in_page = 0;
        rc = hf_store_image_list(s, hf_buf_span(&k.after), PAGE, looked, &k, err);
    } while (rc == 0 && k.in_page == PAGE);
    hf_buf_adds(ret_digest, hf_buf_span(&k.digest));
    hf_buf_done(&k.digest);
    hf_buf_done(&k.after);
    if (rc == 0 && !k.found)
        rc = hf_fail(err, HF_E_NOT_FOUND, "there is no image \"%.200s\" in the inventory; \"holdfast inventory images\" lists them", want);
    if (rc == 0 && k.found > 1)
        rc = hf_fail(err, HF_E_USAGE, "%u images of the inventory are called \"%.200s\"; give its digest", k.found, want);
    return rc;
}

/* ---- commands ---- */

static void begin(struct listing *l, const char *name, const char *head)
{
    hf_buf_init(&l->out, OUT_MAX);
    hf_buf_init(&l->after, 8192);
    hf_jw_init(&l->w, &l->out, true);
    if (!l->json) {
        hf_buf_addz(&l->out, head);
        return;
    }
    hf_jw_object(&l->w);
    hf_jw_kstrz(&l->w, "schema", "holdfast.inventory/1");
    hf_jw_key(&l->w, name);
    hf_jw_array(&l->w);
}

static int end(struct listing *l, int rc, struct hf_err *err)
{
    if (l->json && rc == 0) {
        hf_jw_array_end(&l->w);
        hf_jw_object_end(&l->w);
        hf_buf_addc(&l->out, '\n');
    }
    int code = rc == 0 ? hf_cli_print(&l->out, HF_EXIT_OK) : hf_cli_fail(err, rc);
    hf_buf_done(&l->out);
    hf_buf_done(&l->after);
    hf_cli_place_done(&l->at);
    return code;
}

enum list { HOSTS, CONTAINERS, IMAGES };

static int pages(struct listing *l, enum list which, struct hf_err *err)
{
    int rc;
    do {
        struct hf_buf after = l->after; /* the callback writes the next one into l->after: what is read must stay */
        hf_buf_init(&l->after, 8192);
        l->in_page = 0;
        rc = which == HOSTS        ? hf_store_host_list(l->at.store, hf_buf_span(&after), PAGE, host, l, err)
             : which == CONTAINERS ? hf_store_container_list(l->at.store, l->running_only, hf_span(NULL, 0), hf_buf_span(&after), PAGE, container, l, err)
                                   : hf_store_image_list(l->at.store, hf_buf_span(&after), PAGE, image, l, err);
        hf_buf_done(&after);
    } while (rc == 0 && l->in_page == PAGE);
    return rc;
}

#define COMMON HF_CLI_PLACE_OPTS(l.at), {"json", 0, HF_OPT_FLAG, &l.json, NULL, NULL, 0, 0, "as JSON"}

static int list(enum list which, int argc, char **argv)
{
    static const char *const names[] = {"hosts", "containers", "images"};
    static const char *const heads[] = {
            "HOST                            SEEN              ID\n",
            "CONTAINER     NAME                          IMAGE                                 STATE  SINCE\n",
            "IMAGE         NAME                                      RUNNING  CRITICAL      HIGH    MEDIUM       LOW  SCANNED\n",
    };
    struct listing l = {.n = 0};
    const char *args[2];
    size_t n;
    const struct hf_opt some[] = {COMMON, HF_CLI_OPTS_END}, more[] = {COMMON, {"running", 0, HF_OPT_FLAG, &l.running_only, NULL, NULL, 0, 0, "only those that run"}, HF_CLI_OPTS_END};
    const struct hf_command cmds[] = {
            {"inventory hosts", "[options] [TEXT]", "machines whose containers are known", "TEXT: only those whose name or id has it.", some, 0, 1},
            {"inventory containers", "[options] [TEXT]", "containers that run or ran", "TEXT: only those whose name, image, id or digest has it.", more, 0, 1},
            {"inventory images", "[options] [TEXT]", "images with their vulnerabilities", "TEXT: only those whose name or digest has it. Accepted vulnerabilities are not counted.", some, 0, 1},
    };
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_cli_place_open(&l.at, &cmds[which], argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    l.want = n ? hf_span_z(args[0]) : hf_span(NULL, 0);
    begin(&l, names[which], heads[which]);
    return end(&l, pages(&l, which, &err), &err);
}

static int hosts(int argc, char **argv)
{
    return list(HOSTS, argc, argv);
}

static int containers(int argc, char **argv)
{
    return list(CONTAINERS, argc, argv);
}

static int images(int argc, char **argv)
{
    return list(IMAGES, argc, argv);
}

static int packages(int argc, char **argv)
{
    struct listing l = {.n = 0};
    const char *args[2];
    size_t n;
    const struct hf_opt opts[] = {COMMON, {"in-use", 0, HF_OPT_FLAG, &l.used_only, NULL, NULL, 0, 0, "only those whose files ran or were loaded"}, HF_CLI_OPTS_END};
    const struct hf_command cmd = {"inventory packages", "[options] IMAGE", "what is installed in an image", "IMAGE is a name, a digest or the beginning of one.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf digest = HF_BUF_INIT(8192);
    int rc = hf_cli_place_open(&l.at, &cmd, argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    begin(&l, "packages", "PACKAGE                                   VERSION                               ECOSYSTEM\n");
    rc = find_image(l.at.store, args[0], &digest, &err);
    rc = rc < 0 ? rc : hf_store_packages(l.at.store, hf_buf_span(&digest), package, &l, &err);
    return end(&l, rc, &err);
}

static int findings(int argc, char **argv)
{
    struct listing l = {.n = 0};
    const char *args[2];
    size_t n;
    int severity = -1;
    const struct hf_opt opts[] = {COMMON,
            {"in-use", 0, HF_OPT_FLAG, &l.used_only, NULL, NULL, 0, 0, "only in packages whose files ran or were loaded"},
            {"min-severity", 0, HF_OPT_ENUM, &severity, "SEVERITY", "negligible|low|medium|high|critical", 0, 0, "only from this severity on"},
            {"running", 0, HF_OPT_FLAG, &l.running_only, NULL, NULL, 0, 0, "only in images of containers that run"}, HF_CLI_OPTS_END};
    const struct hf_command cmd = {"inventory findings", "[options] IMAGE|ID", "vulnerabilities of an image, or where one is",
            "IMAGE is a name, a digest or the beginning of one; ID a vulnerability such as CVE-2024-3094, which is looked for in every image.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf digest = HF_BUF_INIT(8192);
    int rc = hf_cli_place_open(&l.at, &cmd, argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    l.min_severity = severity < 0 ? 0 : severity + 2;
    begin(&l, "findings", "VULNERABILITY         SEVERITY    PACKAGE                       VERSION                   FIXED                     USE\n");
    struct hf_span want = hf_span_z(args[0]);
    bool id = want.n > 4 && hf_span_find(want, '-') != SIZE_MAX && want.p[0] >= 'A' && want.p[0] <= 'Z';
    if (id) {
        rc = hf_store_findings_of(l.at.store, want, finding, &l, &err);
    } else {
        rc = find_image(l.at.store, args[0], &digest, &err);
        rc = rc < 0 ? rc : hf_store_findings(l.at.store, hf_buf_span(&digest), finding, &l, &err);
    }
    return end(&l, rc, &err);
}

static int add(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *args[1];
    size_t n;
    const struct hf_opt opts[] = {
            HF_CLI_PLACE_OPTS(at), HF_CLI_OPTS_END};
    const struct hf_command cmd = {"inventory add", "[options] FILE", "put a scan into the inventory",
            "FILE is what \"holdfast scan --format json\" wrote of an image, or what \"holdfast inuse --json\" wrote; - is standard input.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(HF_INV_SCAN_MAX), digest = HF_BUF_INIT(256);
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_read_file(!strcmp(args[0], "-") ? "/dev/stdin" : args[0], &text, &err);
    rc = rc < 0 ? rc : hf_cli_store(at.url, at.file, 0, &at.store, &err);
    bool use = hf_span_search(hf_span_sub(hf_buf_span(&text), 0, 200), HF_S("\"holdfast.inuse/1\"")) != SIZE_MAX;
    rc = rc < 0 ? rc : use ? hf_inv_inuse(at.store, hf_buf_span(&text), &err) : hf_inv_scan(at.store, hf_buf_span(&text), hf_span(NULL, 0), &digest, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (use)
        hf_buf_addf(&digest, "%d packages marked", rc);
    hf_buf_addc(&digest, '\n');
    return hf_cli_print(&digest, HF_EXIT_OK);
}

struct rematching {
    struct hf_buf *out; /* text: what is new */
    uint64_t shown;
    struct hf_inv_news *news; /* NULL: no incidents are asked for */
    int made, ended;
};

static int is_new(void *ctx, const struct hf_inv_new *n)
{
    struct rematching *r = ctx;
    int rc = r->news ? hf_inv_collect(r->news, n) : 0;
    if (rc < 0 || !n->known_image)
        return rc;
    if (r->shown++ < 1000) {
        cell(r->out, n->finding->id, 20);
        cell(r->out, hf_span_z(hf_inv_severity_name(n->finding->severity)), 10);
        cell(r->out, n->finding->package, 28);
        cell(r->out, n->image, 36);
        hf_buf_addf(r->out, "%s%s", n->kev ? "exploited " : "", n->running ? "runs" : "");
        line_end(r->out);
    }
    return 0;
}

static int make_incidents(struct rematching *r, struct hf_store *s, struct hf_err *err)
{
    char host[256] = "";
    int64_t now = hf_store_now();
    if (!r->news)
        return 0;
    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = 0;
    r->made = hf_inv_incidents(r->news, hf_span_z(host), now, err);
    r->ended = r->made < 0 ? r->made : hf_inv_settle(s, now, err);
    return HF_MIN(r->ended, 0);
}

static int rematch(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *db = NULL, *ignore = NULL, *args[1];
    bool json = false, all = false, incidents = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"all", 0, HF_OPT_FLAG, &all, NULL, NULL, 0, 0, "also images that were matched against this database before"},
            {"db", 0, HF_OPT_STR, &db, "FILE", NULL, 0, 0, "advisory database"},
            {"ignore-file", 0, HF_OPT_STR, &ignore, "FILE", NULL, 0, 0, "vulnerabilities that were accepted, as for scan"},
            {"incidents", 0, HF_OPT_FLAG, &incidents, NULL, NULL, 0, 0, "make incidents of what is new and runs, end those that are over"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "counts as JSON"},
            HF_CLI_PLACE_OPTS(at), HF_CLI_OPTS_END};
    const struct hf_command cmd = {"inventory rematch", "[options]", "match the inventory against the advisory database",
            "Every image of the inventory is matched by the packages that are kept of it; no image is read. Prints the vulnerabilities that are new in images which were matched "
            "before, and how many were added, changed and removed.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    hf_autobuf out = HF_BUF_INIT(4 << 20);
    struct rematching r = {.out = &out};
    hf_cleanup(hf_inv_news_freep) struct hf_inv_news *news = NULL;
    struct hf_inv_rematched done = {0};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_config_load(&config, at.file, &err);
    rc = rc < 0 ? rc : hf_cli_store(at.url, at.file, 0, &at.store, &err);
    struct hf_inv_policy policy;
    if (rc == 0 && incidents && (rc = hf_inv_policy_of(config, &policy, &err)) == 0 && (rc = hf_inv_news_new(&news, at.store, &policy)) < 0)
        hf_fail(&err, rc, "out of memory");
    r.news = news;
    if (rc == 0)
        rc = hf_inv_rematch(at.store, &(struct hf_inv_rematch_opts){.db_path = db ? db : config->db_path, .stale_after_s = config->db_max_age_h * 3600, .ignore_file = ignore, .all = all}, is_new, &r, &done, &err);
    rc = rc < 0 ? rc : make_incidents(&r, at.store, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (json) {
        struct hf_jw w;
        hf_buf_clear(&out);
        hf_jw_init(&w, &out, true);
        hf_jw_object(&w);
        const struct {
            const char *name;
            uint64_t n;
        } counts[] = {{"images", done.images}, {"packages", done.packages}, {"findings", done.findings}, {"added", done.added}, {"changed", done.changed}, {"removed", done.removed},
                {"current", done.current}, {"unscanned", done.unscanned}, {"failed", done.failed}, {"incidents", (uint64_t)r.made}, {"incidents_ended", (uint64_t)r.ended}};
        for (size_t i = 0; i < HF_ARRAY_LEN(counts); i++)
            hf_jw_ku64(&w, counts[i].name, counts[i].n);
        hf_jw_object_end(&w);
        hf_buf_addc(&out, '\n');
    } else {
        if (r.shown > 1000)
            hf_buf_addf(&out, "... and %llu more\n", (unsigned long long)(r.shown - 1000));
        hf_buf_addf(&out, "%llu images with %llu packages matched, %llu were current; %llu vulnerabilities: %llu new, %llu changed, %llu gone\n", (unsigned long long)done.images,
                (unsigned long long)done.packages, (unsigned long long)done.current, (unsigned long long)done.findings, (unsigned long long)done.added, (unsigned long long)done.changed,
                (unsigned long long)done.removed);
        if (news)
            hf_buf_addf(&out, "%d incidents are new or have more, %d ended\n", r.made, r.ended);
    }
    return hf_cli_print(&out, done.failed ? HF_EXIT_INCOMPLETE : HF_EXIT_OK);
}

int hf_cmd_inventory(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"add", add, "put a scan into the inventory"},
            {"containers", containers, "containers that run or ran"},
            {"findings", findings, "vulnerabilities of an image, or where one is"},
            {"hosts", hosts, "machines whose containers are known"},
            {"images", images, "images with their vulnerabilities"},
            {"packages", packages, "what is installed in an image"},
            {"rematch", rematch, "match the inventory against the advisory database"},
    };
    return hf_cli_group("inventory", "what runs where and what is in it", commands, HF_ARRAY_LEN(commands), argc, argv);
}
