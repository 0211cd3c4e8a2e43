/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/config.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/inuse-join.h"
#include "cli/layer-cache.h"
#include "cli/open-image.h"
#include "cli/seal-cli.h"
#include "cli/state.h"
#include "image/examine.h"
#include "image/sbom.h"
#include "image/tree.h"
#include "matching/match.h"
#include "packages/eol.h"
#include "packages/purl.h"
#include "policy/gate.h"
#include "policy/ignore.h"
#include "report/report.h"

enum { MAX_ARGS = 512 };

struct job {
    struct hf_config *config;
    const struct hf_advdb *db;
    struct hf_cache *cache;
    const struct hf_writer *writers[8];
    const char *paths[8]; /* NULL: standard output */
    FILE *files[8];
    size_t n_writers;
    struct hf_report_opts report;
    struct hf_examine_opts examine;
    struct hf_ignore *ignore;
    const char *why_not;
    const struct hf_platform *platform; /* asked for; NULL: any that the source gives */
    enum hf_severity fail_on; /* HF_SEV_UNKNOWN: none */
    int exit_code;
    const char *state; /* where watch keeps what is in use */
    const char *seal;  /* NULL: no seal; "": a kept one; else its file */
    bool force;
    struct hf_span sign; /* key in PEM, or empty */
};

static int add_purls(struct hf_scan *s, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(64 << 10);
    for (size_t i = 0; i < s->n_packages; i++) {
        hf_buf_clear(&text);
        hf_purl_make(&s->packages[i].p, &s->release, &text);
        if (!hf_buf_ok(&text) || hf_arena_dup(&s->arena, hf_buf_span(&text), &s->packages[i].purl) < 0)
            return hf_fail(err, HF_E_LIMIT, "the result is over the memory limit; raise --max-memory");
    }
    return 0;
}

static void worst(struct job *j, int code)
{
    /* A finding is what --fail-on asked to hear of, even when something else could not be examined. */
    if (code == HF_EXIT_FINDINGS || j->exit_code == HF_EXIT_OK)
        j->exit_code = code;
}

/* A gate is passed by what nobody has rated: that must not look as if nothing was there. */
static int warn_uncounted(const struct job *j, struct hf_scan *s)
{
    size_t n = 0, exploited = 0;
    for (size_t i = 0; i < s->n_vulns && j->fail_on != HF_SEV_UNKNOWN; i++)
        if (s->vulns[i].severity == HF_SEV_UNKNOWN && hf_policy_counts(&s->vulns[i], j->report.only_fixed)) {
            n++;
            exploited += s->vulns[i].has_kev;
        }
    return n ? hf_scan_warn(s, "--fail-on does not count %zu vulnerabilities whose severity no source says (%zu of them known to be exploited)", n, exploited) : 0;
}

/* Archives that say neither name nor version are no packages, and so in no other count. */
static int warn_unnamed(struct hf_scan *s)
{
    struct hf_span first = hf_span("", 0);
    size_t n = 0;
    for (size_t i = 0; i < s->n_marks; i++)
        if (hf_span_eqz(s->marks[i].key, "java-unnamed") && n++ == 0)
            first = hf_span_sub(s->marks[i].text, 0, 300);
    return n ? hf_scan_warn(s, "%zu Java archive%s say%s no version, such as " HF_SPAN_FMT ": what is in them by themselves is not known", n, n == 1 ? "" : "s", n == 1 ? "s" : "",
                       HF_SPAN_ARG(first)) : 0;
}

static int judge(struct job *j, struct hf_scan *s, struct hf_err *err)
{
    hf_autobuf why_not = HF_BUF_INIT(1 << 20);
    struct hf_match_opts mo = {.now_unix = s->started_unix, .stale_after_s = j->config->db_max_age_h * 3600};
    if (j->why_not)
        mo.why_not = hf_span_z(j->why_not);
    for (size_t i = 0; i < s->n_marks; i++)
        mo.ubuntu_pro |= hf_span_eqz(s->marks[i].key, "ubuntu-pro");
    for (size_t i = 0; i < s->n_packages && hf_span_eqz(s->release.id, "ubuntu"); i++)
        mo.ubuntu_pro |= s->packages[i].p.type == HF_PKG_DEB && hf_span_search(s->packages[i].p.version, HF_S("+esm")) != SIZE_MAX;
    int rc = add_purls(s, err);
    if (rc >= 0 && warn_unnamed(s) < 0)
        rc = hf_fail(err, HF_E_LIMIT, "the result is over the memory limit; raise --max-memory");
    s->eol_unix = hf_os_eol(&s->release);
    if (rc >= 0 && s->eol_unix && s->eol_unix < s->started_unix) {
        char when[32];
        s->eol = true;
        hf_scan_warn(s, "support of this release ended on %.10s: what was found since is not in its advisories, so results are unknown from then on", hf_report_time(s->eol_unix, when));
    }
    if (rc >= 0 && j->db)
        rc = hf_match(s, j->db, &mo, &why_not, err);
    if (rc < 0)
        return rc;
    if (j->why_not) {
        fwrite(why_not.p, 1, why_not.n, stdout);
        return 0;
    }
    if (j->ignore)
        rc = hf_ignore_apply(j->ignore, s, s->started_unix);
    struct hf_err why = HF_ERR_INIT;
    if (rc >= 0 && hf_inuse_join(s, j->state, &why) < 0)
        rc = hf_scan_warn(s, "which packages are in use is not known: %s", why.msg);
    if (rc >= 0)
        rc = warn_uncounted(j, s);
    if (rc < 0)
        return hf_fail(err, rc, "the result is over the memory limit; raise --max-memory");
    for (size_t i = 0; i < j->n_writers && rc >= 0; i++)
        rc = j->writers[i]->write(s, &j->report, hf_cli_stdout, j->files[i]);
    if (rc < 0)
        return hf_fail(err, rc, "writing the result: %s", hf_err_name(rc));
    worst(j, hf_policy_exit(s, j->fail_on, j->report.only_fixed));
    return 0;
}

static void unsealed(void *ctx, struct hf_span path, struct hf_span why)
{
    struct job *j = ctx;
    hf_autobuf text = HF_BUF_INIT(32 << 10);
    hf_buf_add_escaped(&text, path, 0);
    hf_log(HF_LOG_WARNING, "seal", "%s: " HF_SPAN_FMT, hf_buf_z(&text), HF_SPAN_ARG(why));
    worst(j, HF_EXIT_INCOMPLETE);
}

/* The seal of what was just examined, kept: nothing is read again for it. */
static int seal(struct job *j, const struct hf_tree *tree, const struct hf_image *img, const struct hf_scan *s, struct hf_err *err)
{
    hf_autobuf bytes = HF_BUF_INIT(HF_SEAL_MAX_BYTES), path = HF_BUF_INIT(8192);
    struct hf_seal_place place = {.state = j->state, .file = *j->seal ? j->seal : NULL, .force = j->force};
    struct hf_seal_opts o = {.max_memory = j->config->max_memory, .missing = unsealed, .ctx = j, .key_pem = j->sign};
    int rc = hf_seal_place_of(&place, img, &path, err);
    rc = rc < 0 ? rc : hf_seal_of_tree(tree, img, &s->release, &o, &bytes, err);
    rc = rc < 0 ? rc : hf_seal_keep(&place, img, hf_buf_span(&bytes), err);
    if (rc >= 0)
        hf_log(HF_LOG_INFO, "seal", "%s: %zu bytes%s", hf_buf_z(&path), bytes.n, j->sign.n ? ", signed" : "");
    return rc < 0 ? hf_wrap(err, rc, "the seal") : 0;
}

/* A target's scan from its start to what is said of it; img NULL: the SBOM at path. */
static int one(struct job *j, struct hf_image *img, const char *path, struct hf_err *err)
{
    struct hf_scan s;
    struct hf_examined examined = {NULL, 0};
    struct timespec a, b;
    hf_scan_init(&s, (size_t)(img ? j->config->max_memory / 2 : j->config->max_memory)); /* the other half is for what is known of layers */
    s.started_unix = (uint64_t)time(NULL);
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    if (epoch && hf_parse_u64(hf_span_z(epoch), 10, 0, UINT64_MAX / 2, &s.started_unix) < 0)
        s.started_unix = (uint64_t)time(NULL);
    clock_gettime(CLOCK_MONOTONIC, &a);
    struct hf_examine_opts eo = j->examine;
    hf_cleanup(hf_tree_freep) struct hf_tree *tree = img && j->seal ? hf_tree_new((size_t)j->config->max_memory) : NULL;
    eo.tree = tree;
    int rc = j->seal && !tree ? hf_fail(err, img ? -ENOMEM : HF_E_USAGE, img ? "out of memory" : "--seal wants an image: a list of packages has no files") : 0;
    if (rc >= 0)
        rc = img ? hf_examine(img, &eo, &s, &examined, err) : hf_sbom_read(path, &s, err);
    if (rc >= 0 && tree)
        rc = seal(j, tree, img, &s, err);
    if (rc >= 0)
        rc = judge(j, &s, err);
    clock_gettime(CLOCK_MONOTONIC, &b);
    hf_log(HF_LOG_INFO, "scan", HF_SPAN_FMT " took %.3f s", HF_SPAN_ARG(s.target), (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    hf_scan_done(&s);
    hf_examined_done(&examined);
    return rc;
}

static bool differs(struct hf_span want, struct hf_span have)
{
    return want.n && have.n && !hf_span_eq(want, have);
}

/* Not every source has platforms to choose from; an image of another than was asked for is not the answer. */
static int on_image(void *ctx, struct hf_image *img, struct hf_err *err)
{
    struct job *j = ctx;
    const struct hf_platform *p = j->platform;
    if (p && (differs(p->os, img->os) || differs(p->arch, img->arch) || differs(p->variant, img->variant)))
        return hf_fail(err, HF_E_NOT_FOUND, "the image is for " HF_SPAN_FMT "/" HF_SPAN_FMT ", not for " HF_SPAN_FMT "/" HF_SPAN_FMT, HF_SPAN_ARG(img->os), HF_SPAN_ARG(img->arch),
                HF_SPAN_ARG(p->os), HF_SPAN_ARG(p->arch));
    return one(j, img, NULL, err);
}

static int scan_target(struct job *j, const char *target, const struct hf_image_opts *io, bool all_platforms, struct hf_err *err)
{
    if (!strncmp(target, "sbom:", 5))
        return target[5] ? one(j, NULL, target + 5, err) : hf_fail(err, HF_E_USAGE, "target \"sbom:\" names no file; sbom:- is standard input");
    if (hf_sbom_is(target))
        return one(j, NULL, target, err);
    return hf_cli_open_image(target, io, all_platforms, on_image, j, err);
}

/* "--format NAME[=FILE]"; without a file the first goes to --output or standard output. */
static int choose_writers(struct job *j, const struct hf_strs *formats, const char *output, struct hf_err *err)
{
    static const char *const fallback[] = {"table"};
    size_t n = formats->n ? formats->n : 1;
    if (n > HF_ARRAY_LEN(j->writers))
        return hf_fail(err, HF_E_USAGE, "more than %zu formats", HF_ARRAY_LEN(j->writers));
    bool plain = false;
    for (size_t i = 0; i < n; i++) {
        const char *f = formats->n ? formats->v[i] : fallback[0];
        size_t eq = hf_span_find(hf_span_z(f), '=');
        const struct hf_writer *w = hf_writer_by_name(hf_span_sub(hf_span_z(f), 0, eq));
        const char *file = eq != SIZE_MAX ? f + eq + 1 : NULL;
        if (!w)
            return hf_fail(err, HF_E_USAGE, "unknown format \"%s\"; there are table, json, cyclonedx", f);
        if (!file && plain)
            return hf_fail(err, HF_E_USAGE, "two formats for standard output; give all but one a file: --format %s=FILE", f);
        if (!file) {
            plain = true;
            file = output;
        }
        j->paths[j->n_writers] = file && strcmp(file, "-") != 0 ? file : NULL;
        j->writers[j->n_writers++] = w;
    }
    return 0;
}

static int open_writers(struct job *j, struct hf_err *err)
{
    for (size_t i = 0; i < j->n_writers; i++)
        if (j->paths[i] && !(j->files[i] = fopen(j->paths[i], "we")))
            return hf_fail(err, -errno, "%s: %s", j->paths[i], hf_err_name(-errno));
    return 0;
}

static int close_writers(struct job *j, int rc, struct hf_err *err)
{
    for (size_t i = 0; i < j->n_writers; i++)
        if (j->files[i] && fclose(j->files[i]) != 0 && rc >= 0)
            rc = hf_fail(err, -errno, "writing the result: %s", hf_err_name(-errno));
    return rc;
}

static unsigned terminal_width(void)
{
    struct winsize w;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

int hf_cmd_scan(int argc, char **argv)
{
    const char *db_path = NULL, *cache_dir = NULL, *platform = NULL, *output = NULL, *config_file = NULL, *why_not = NULL, *ignore_file = NULL, *state = HF_STATE_DIR, *args[MAX_ARGS];
    const char *sign = NULL, *password_file = NULL;
    struct hf_strs formats = {.n = 0};
    bool no_cache = false, no_verify = false, all_platforms = false, only_fixed = false, why = false, quiet = false, all_rows = false, no_vulns = false, verbose = false;
    uint64_t max_memory = 0, threads = 0;
    int fail_on = -1, color = 0;
    struct job j = {.exit_code = HF_EXIT_OK};
    const struct hf_opt opts[] = {
            {"format", 'f', HF_OPT_LIST, &formats, "NAME[=FILE]", NULL, 0, 0, "table (default), json or cyclonedx; may be repeated"},
            {"output", 'o', HF_OPT_STR, &output, "FILE", NULL, 0, 0, "where the result goes (default: standard output)"},
            {"db", 0, HF_OPT_STR, &db_path, "FILE", NULL, 0, 0, "advisory database"},
            {"no-vulnerabilities", 0, HF_OPT_FLAG, &no_vulns, NULL, NULL, 0, 0, "only list what is there; needs no database"},
            {"platform", 0, HF_OPT_STR, &platform, "OS/ARCH", NULL, 0, 0, "which image of an index (default: this machine's)"},
            {"all-platforms", 0, HF_OPT_FLAG, &all_platforms, NULL, NULL, 0, 0, "every image of an index"},
            {"fail-on", 0, HF_OPT_ENUM, &fail_on, "SEVERITY", "negligible|low|medium|high|critical", 0, 0, "exit 1 when something at least this bad is found"},
            {"only-fixed", 0, HF_OPT_FLAG, &only_fixed, NULL, NULL, 0, 0, "only vulnerabilities that have a fix"},
            {"ignore-file", 0, HF_OPT_STR, &ignore_file, "FILE", NULL, 0, 0, "vulnerabilities that were accepted: id, purl, path, reason, owner, expiry"},
            {"why", 0, HF_OPT_FLAG, &why, NULL, NULL, 0, 0, "say which rule and record made each match"},
            {"why-not", 0, HF_OPT_STR, &why_not, "ID", NULL, 0, 0, "explain why this vulnerability is not reported"},
            {"long", 'l', HF_OPT_FLAG, &all_rows, NULL, NULL, 0, 0, "all rows of the table"},
            {"no-verify", 0, HF_OPT_FLAG, &no_verify, NULL, NULL, 0, 0, "trust the digests in the archive; results stay out of the cache"},
            {"cache-dir", 0, HF_OPT_STR, &cache_dir, "DIR", NULL, 0, 0, "where facts of layers are kept"},
            {"no-cache", 0, HF_OPT_FLAG, &no_cache, NULL, NULL, 0, 0, "neither read nor write the cache"},
            {"max-memory", 0, HF_OPT_SIZE, &max_memory, "SIZE", NULL, 16 << 20, 0, "ceiling for what an image can make it use (256M)"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder of the kept state: seals, and which packages are in use (" HF_STATE_DIR ")"},
            {"seal", 0, HF_OPT_MAYBE, &j.seal, "FILE", NULL, 0, 0, "seal the image in the same pass, into this file or the kept state"},
            {"sign", 0, HF_OPT_STR, &sign, "KEY", NULL, 0, 0, "sign the seal with this private key (PEM or cosign's)"},
            {"password-file", 0, HF_OPT_STR, &password_file, "FILE", NULL, 0, 0, "its first line opens an encrypted key (default: COSIGN_PASSWORD, or asked)"},
            {"force", 0, HF_OPT_FLAG, &j.force, NULL, NULL, 0, 0, "replace a seal with other content"},
            {"jobs", 'j', HF_OPT_U64, &threads, "N", NULL, 1, 64, "threads (default: the machine's)"},
            {"color", 0, HF_OPT_ENUM, &color, "WHEN", "auto|always|never", 0, 0, "colours"},
            {"quiet", 'q', HF_OPT_FLAG, &quiet, NULL, NULL, 0, 0, "no progress on the terminal"},
            {"verbose", 'v', HF_OPT_FLAG, &verbose, NULL, NULL, 0, 0, "say more on standard error"},
            {"config", 0, HF_OPT_STR, &config_file, "FILE", NULL, 0, 0, "read this file instead of /etc/holdfast"},
            {0},
    };
    const struct hf_command cmd = {"scan", "[options] TARGET", "what is in an image, and what of it is vulnerable",
            "TARGET is docker-archive:FILE[:REF], oci-archive:FILE[:TAG], oci:DIR[:TAG], docker:REF, containerd:REF, podman:REF, image:REF,\n"
            "container:ID, dir:PATH or "
            "sbom:FILE (CycloneDX JSON or a list of purls; - is standard input);\n"
            "a bare path is recognised by its content, a bare reference is looked for in docker, containerd and podman.",
            opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    size_t n;
    if (argc > MAX_ARGS)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "too many arguments"));
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (why_not && !*why_not)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--why-not names no vulnerability"));
    if (no_vulns && (fail_on >= 0 || why_not)) /* would pass without having looked */
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--%s asks for what --no-vulnerabilities leaves out", why_not ? "why-not" : "fail-on"));
    if ((!j.seal && (sign || password_file || j.force)) || (j.seal && ((*j.seal && all_platforms) || no_verify)))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, !j.seal ? "--sign, --password-file and --force are for --seal" : no_verify ? "a seal is made of what was verified; leave out --no-verify"
                                                                   : "--seal=FILE holds one seal; --all-platforms --seal keeps one for each image"));
    if (verbose)
        hf_log_setup(HF_LOG_INFO, false);
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    hf_cleanup(hf_ignore_freep) struct hf_ignore *ignore = NULL;
    hf_cleanup(hf_seal_wipe) struct hf_buf key = HF_BUF_INIT(64 << 10);
    struct hf_cache *cache = NULL;
    struct hf_image_opts io = {.platform = hf_platform_host(), .verify = !no_verify};
    if ((rc = hf_config_load(&config, config_file, &err)) < 0 || (platform && (rc = hf_platform_parse(hf_span_z(platform), &io.platform, &err)) < 0))
        return hf_cli_fail(&err, rc);
    if ((rc = choose_writers(&j, &formats, output, &err)) < 0)
        return hf_cli_fail(&err, rc);
    if (ignore_file && (rc = hf_ignore_load(&ignore, ignore_file, &err)) < 0)
        return hf_cli_fail(&err, rc);
    if (sign && (rc = hf_seal_private_key(sign, password_file, &key, &err)) < 0)
        return hf_cli_fail(&err, rc);
    j.sign = hf_buf_span(&key);
    if (max_memory)
        config->max_memory = max_memory;
    if (!no_vulns && (rc = hf_advdb_open(&db, db_path ? db_path : config->db_path, &err)) < 0) {
        if (rc == -ENOENT)
            hf_fail(&err, rc, "there is no advisory database at %s; make one with: holdfast db update, or: holdfast db build --from DIR; --no-vulnerabilities only lists packages",
                    db_path ? db_path : config->db_path);
        return hf_cli_fail(&err, rc);
    }
    if (!no_cache)
        cache = hf_cli_layer_cache(cache_dir ? cache_dir : config->cache_dir);
    io.docker_host = config->docker_host;
    io.containerd_root = config->containerd_root;
    io.storage_root = config->podman_root;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    j.config = config;
    j.state = state;
    j.db = db;
    j.why_not = why_not;
    j.platform = platform && !all_platforms ? &io.platform : NULL;
    j.ignore = ignore;
    j.fail_on = fail_on < 0 ? HF_SEV_UNKNOWN : (enum hf_severity)(fail_on + 1); /* the choices begin at negligible */
    j.report = (struct hf_report_opts){.why = why, .only_fixed = only_fixed, .all_rows = all_rows, .width = terminal_width(),
            .color = color == 1 || (color == 0 && isatty(STDOUT_FILENO) && !output && !getenv("NO_COLOR"))};
    j.examine = (struct hf_examine_opts){.threads = threads ? (unsigned)threads : cores > 0 ? (unsigned)cores : 1, .max_memory = config->max_memory, .verify = !no_verify,
            .quiet = quiet, .cache = cache};
    rc = open_writers(&j, &err);
    if (rc >= 0)
        rc = scan_target(&j, args[0], &io, all_platforms, &err);
    rc = close_writers(&j, rc, &err);
    hf_cache_close(cache);
    return rc < 0 ? hf_cli_fail(&err, rc) : j.exit_code;
}
