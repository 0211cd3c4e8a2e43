/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast seal: make, verify, show, diff. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/base64.h"
#include "base/config.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/layer-cache.h"
#include "cli/open-image.h"
#include "cli/seal-cli.h"
#include "cli/state.h"
#include "formats/winsd/winsd.h"
#include "image/winpax.h"
#include "policy/glob.h"
#include "seal/prune.h"
#include "seal/seal.h"

enum { MAX_OPERANDS = 3, MAX_OUT = 512 << 20, MAX_KEY = 64 << 10, MAX_UNREAD = 16 << 20, IOPRIO_IDLE = 3 << 13 };

struct job {
    struct hf_seal_place place;
    const char *key, *password_file, *cache_dir, *platform;
    struct hf_strs ignore;
    bool json, idle, no_cache, dry_run;
    uint64_t max_bytes, older_days;
    struct hf_cache *cache; /* not for verify: what was known of a file before says nothing of it now */
    struct hf_config *config;
    struct hf_image_opts io;
    struct hf_buf key_pem, out, unread_paths; /* each with a NUL behind it */
    struct hf_jw w;
    struct hf_seal *seal;   /* what is compared with */
    struct hf_seal *target; /* the other side, while comparing */
    const struct hf_image *img;
    uint64_t found, runtime, ignored, unread, unseen;
};

static void missing(void *ctx, struct hf_span path, struct hf_span why)
{
    struct job *j = ctx;
    hf_autobuf text = HF_BUF_INIT(32 << 10);
    hf_buf_add_escaped(&text, path, 0);
    fprintf(stderr, "holdfast: %s: " HF_SPAN_FMT "\n", hf_buf_z(&text), HF_SPAN_ARG(why));
    hf_buf_adds(&j->unread_paths, path);
    hf_buf_addc(&j->unread_paths, 0);
    j->unread++;
}

static int make(struct job *j, struct hf_image *img, struct hf_buf *out, struct hf_err *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct hf_seal_opts o = {.threads = j->idle || cores < 1 ? 1 : (unsigned)cores, .max_memory = j->config->max_memory, .verify = true, .quiet = j->json, .cache = j->cache, .missing = missing, .ctx = j,
            .key_pem = hf_buf_span(&j->key_pem)};
    return hf_seal_make(img, &o, out, err);
}

/* Not every source has platforms to choose from; an image of another than was asked for is not the answer. */
static int of_platform(const struct job *j, const struct hf_image *img, struct hf_err *err)
{
    const struct hf_platform *p = &j->io.platform;
    if (!j->platform || ((!img->os.n || hf_span_eq(img->os, p->os)) && (!img->arch.n || hf_span_eq(img->arch, p->arch))))
        return 0;
    return hf_fail(err, HF_E_NOT_FOUND, "the image is for " HF_SPAN_FMT "/" HF_SPAN_FMT ", not for %s", HF_SPAN_ARG(img->os), HF_SPAN_ARG(img->arch), j->platform);
}

/* What a scan warns of: layers whose digests cannot be checked, a name that means another image elsewhere, folders that are left out.  That mounts of a container are not read is its nature. */
static void note_of(const struct hf_image *img)
{
    if (img->note.n && !hf_span_starts(img->target, HF_S("container:")))
        hf_log(HF_LOG_WARNING, "seal", HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(img->note, 0, 2000)));
}

static int seal_image(void *ctx, struct hf_image *img, struct hf_err *err)
{
    struct job *j = ctx;
    note_of(img);
    hf_autobuf bytes = HF_BUF_INIT(HF_SEAL_MAX_BYTES), path = HF_BUF_INIT(8192);
    hf_cleanup(hf_seal_closep) struct hf_seal *s = NULL;
    char root[65];
    int rc = of_platform(j, img, err);
    rc = rc < 0 ? rc : hf_seal_place_of(&j->place, img, &path, err); /* before the work: it may have none */
    rc = rc < 0 ? rc : make(j, img, &bytes, err);
    rc = rc < 0 ? rc : hf_seal_keep(&j->place, img, hf_buf_span(&bytes), err);
    rc = rc < 0 ? rc : hf_seal_open_mem(&s, hf_buf_span(&bytes), err);
    if (rc < 0)
        return rc;
    hf_hex(hf_seal_root(s), 32, root);
    hf_buf_addf(&j->out, "%s: %llu files, %zu bytes, root %s%s\n", hf_buf_z(&path), (unsigned long long)hf_seal_entries(s), bytes.n, root, j->key_pem.n ? ", signed" : "");
    return 0;
}

/* --- differences --- */

static bool below(struct hf_span path, struct hf_span dir)
{
    return dir.n && hf_span_starts(path, dir) && (path.n == dir.n || path.p[dir.n] == '/');
}

/* What the runtime makes in every container, or lays something over: no drift. */
static bool of_runtime(const struct job *j, struct hf_span path, const struct hf_seal_entry *sealed, const struct hf_seal_entry *now)
{
    static const char *const own[] = {"/.dockerenv", "/run/.containerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/dev", "/proc", "/sys"};
    if (!j->img || !hf_span_starts(j->img->target, HF_S("container:")))
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(own); i++)
        if (below(path, hf_span_z(own[i])))
            return true;
    /* Of a running container's mounts some may be its own work: there only what runtimes make to mount upon is left out, an empty file or a folder that the image has not. */
    if (j->img->running && (sealed || !now || !(S_ISDIR(now->mode) || (S_ISREG(now->mode) && now->size == 0))))
        return false;
    for (size_t i = 0; i < j->img->n_mounts; i++)
        if (hf_span_eq(path, j->img->mounts[i]) || (now && S_ISDIR(now->mode) && below(j->img->mounts[i], path)))
            return true;
    return now && j->img->init_layer && now->layer == j->img->init_layer - 1;
}

static bool is_ignored(const struct job *j, struct hf_span path)
{
    for (size_t i = 0; i < j->ignore.n; i++)
        if (hf_glob_path(hf_span_z(j->ignore.v[i]), path))
            return true;
    return false;
}

/* Below what could not be read nothing is known to be missing. */
static bool is_unread(const struct job *j, struct hf_span path)
{
    for (struct hf_span rest = hf_buf_span(&j->unread_paths), one; hf_span_cut(&rest, 0, &one) && one.n;)
        if (one.n == 1 || below(path, one))
            return true;
    return !hf_buf_ok(&j->unread_paths);
}

static const struct {
    unsigned bit;
    const char *name;
} kinds[] = {{HF_SEAL_TYPE, "type"}, {HF_SEAL_CONTENT, "content"}, {HF_SEAL_MODE, "mode"}, {HF_SEAL_OWNER, "owner"}, {HF_SEAL_CAPS, "capability"}, {HF_SEAL_LINK, "link"}, {HF_SEAL_ATTRIBUTES, "attributes"},
        {HF_SEAL_ACCESS, "access"}};

/* Of a file of Windows; false: it has none. */
static bool windows_of(const struct hf_seal_entry *e, struct hf_winfile *ret, struct hf_winsd *ret_sd)
{
    *ret_sd = (struct hf_winsd){.control = 0};
    if (!e->windows.n || !hf_winfile_read(e->windows, ret))
        return false;
    if (hf_winsd_read(ret->sd, ret_sd, NULL) < 0)
        ret_sd->owner = ret_sd->group = hf_span("", 0);
    return true;
}

static void put_windows(struct hf_jw *w, const struct hf_seal_entry *e)
{
    struct hf_winfile f;
    struct hf_winsd sd;
    hf_autobuf owner = HF_BUF_INIT(512), group = HF_BUF_INIT(512), raw = HF_BUF_INIT(128 << 10);
    if (!windows_of(e, &f, &sd))
        return;
    if (f.has_attributes)
        hf_jw_ku64(w, "attributes", f.attributes);
    hf_winsd_sid(sd.owner, &owner);
    hf_winsd_sid(sd.group, &group);
    hf_base64(f.sd, &raw);
    hf_jw_kstr_opt(w, "owner_sid", hf_buf_span(&owner));
    hf_jw_kstr_opt(w, "group_sid", hf_buf_span(&group));
    hf_jw_kstr_opt(w, "security_descriptor", hf_buf_span(&raw));
}

static void put_entry(struct hf_jw *w, struct hf_seal *s, const struct hf_seal_entry *e)
{
    char hex[2 * 64 + 1];
    snprintf(hex, sizeof hex, "%07o", e->mode);
    hf_jw_object(w);
    hf_jw_kstrz(w, "mode", hex);
    hf_jw_ku64(w, "uid", e->uid);
    hf_jw_ku64(w, "gid", e->gid);
    hf_jw_ku64(w, "size", e->size);
    if (e->has_sha256) {
        hf_hex(e->sha256, 32, hex);
        hf_jw_kstrz(w, "sha256", hex);
    }
    hf_jw_kstr_opt(w, "link", e->link);
    if (e->caps.n) {
        hf_hex((const uint8_t *)e->caps.p, HF_MIN(e->caps.n, (size_t)64), hex);
        hf_jw_kstrz(w, "capability", hex);
    }
    put_windows(w, e);
    hf_jw_kstr_opt(w, "package", hf_seal_purl(s, e->package));
    hf_jw_kstr_opt(w, "layer", hf_seal_layer(s, e->layer));
    hf_jw_object_end(w);
}

static void say_json(struct job *j, const struct hf_seal_entry *a, const struct hf_seal_entry *b, unsigned what)
{
    hf_jw_object(&j->w);
    hf_jw_kstr(&j->w, "path", a ? a->path : b->path);
    hf_jw_kstrz(&j->w, "change", !a ? "added" : !b ? "removed" : "modified");
    hf_jw_key(&j->w, "what");
    hf_jw_array(&j->w);
    for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
        if (what & kinds[i].bit)
            hf_jw_strz(&j->w, kinds[i].name);
    hf_jw_array_end(&j->w);
    if (a) {
        hf_jw_key(&j->w, "sealed");
        put_entry(&j->w, j->seal, a);
    }
    if (b) {
        hf_jw_key(&j->w, "found");
        put_entry(&j->w, j->target, b);
    }
    hf_jw_object_end(&j->w);
}

/* What it was and is: owners as numbers or SIDs, attributes in hexadecimal. */
static void say_change(struct hf_buf *out, const struct hf_seal_entry *a, const struct hf_seal_entry *b, unsigned bit)
{
    const struct hf_seal_entry *const both[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        struct hf_winfile f = {.has_attributes = false};
        struct hf_winsd sd;
        bool windows = windows_of(both[i], &f, &sd);
        hf_buf_addz(out, i ? " -> " : " ");
        if (bit == HF_SEAL_ATTRIBUTES) {
            hf_buf_addf(out, f.has_attributes ? "0x%x" : "none", f.attributes);
        } else if (windows) {
            hf_winsd_sid(sd.owner, out);
            hf_buf_addc(out, ':');
            hf_winsd_sid(sd.group, out);
        } else {
            hf_buf_addf(out, "%u:%u", both[i]->uid, both[i]->gid);
        }
    }
}

static void say_text(struct job *j, const struct hf_seal_entry *a, const struct hf_seal_entry *b, unsigned what)
{
    hf_buf_addz(&j->out, !a ? "added:     " : !b ? "removed:   " : "modified:  ");
    hf_buf_add_escaped(&j->out, a ? a->path : b->path, 0);
    const char *sep = " (";
    for (size_t i = 0; i < HF_ARRAY_LEN(kinds) && a && b; i++) {
        if (!(what & kinds[i].bit))
            continue;
        hf_buf_addf(&j->out, "%s%s", sep, kinds[i].name);
        if (kinds[i].bit == HF_SEAL_MODE)
            hf_buf_addf(&j->out, " %04o -> %04o", a->mode & 07777, b->mode & 07777);
        if (kinds[i].bit == HF_SEAL_OWNER || kinds[i].bit == HF_SEAL_ATTRIBUTES)
            say_change(&j->out, a, b, kinds[i].bit);
        sep = ", ";
    }
    hf_buf_addz(&j->out, a && b ? ")" : "");
    struct hf_span package = a ? hf_seal_package(j->seal, a->package) : hf_span("", 0);
    if (package.n) {
        hf_buf_addz(&j->out, "  ");
        hf_buf_add_escaped(&j->out, package, 0);
    }
    hf_buf_addc(&j->out, '\n');
}

static int on_difference(void *ctx, const struct hf_seal_entry *a, const struct hf_seal_entry *b, unsigned what, struct hf_err *err)
{
    struct job *j = ctx;
    struct hf_span path = a ? a->path : b->path;
    if (of_runtime(j, path, a, b))
        j->runtime++;
    else if (is_ignored(j, path))
        j->ignored++;
    else if (!b && is_unread(j, path))
        j->unseen++;
    else if (what != HF_SEAL_UNREAD) { /* that one was said when it could not be read */
        j->found++;
        if (j->json)
            say_json(j, a, b, what);
        else
            say_text(j, a, b, what);
    }
    return hf_buf_ok(&j->out) ? 0 : hf_fail(err, HF_E_LIMIT, "more differences than fit into memory");
}

static void put_about(struct hf_jw *w, const struct hf_seal *s)
{
    char text[HF_DIGEST_TEXT];
    hf_jw_object(w);
    hf_jw_kstr(w, "target", hf_seal_target(s));
    hf_hex(hf_seal_root(s), 32, text);
    hf_jw_kstrz(w, "root", text);
    if (hf_seal_config_digest(s)->n)
        hf_jw_kstrz(w, "config", hf_digest_text(hf_seal_config_digest(s), text));
    if (hf_seal_manifest_digest(s)->n)
        hf_jw_kstrz(w, "manifest", hf_digest_text(hf_seal_manifest_digest(s), text));
    if (hf_seal_index_digest(s)->n)
        hf_jw_kstrz(w, "index", hf_digest_text(hf_seal_index_digest(s), text));
    hf_jw_kstr(w, "created", hf_seal_created(s));
    hf_jw_ku64(w, "entries", hf_seal_entries(s));
    hf_jw_ku64(w, "signatures", hf_seal_signatures(s));
    hf_jw_object_end(w);
}

static int compare(struct job *j, struct hf_seal *b, struct hf_err *err)
{
    j->target = b;
    if (hf_seal_is_mounted(j->seal, b))
        hf_log(HF_LOG_NOTICE, "seal", "a mounted tree of Windows is compared with what the image has below /Files: content, kind and presence, not attributes, owners and access");
    if (j->json) {
        hf_jw_init(&j->w, &j->out, true);
        hf_jw_object(&j->w);
        hf_jw_kstrz(&j->w, "schema", "holdfast.seal-diff/1");
        hf_jw_key(&j->w, "seal");
        put_about(&j->w, j->seal);
        hf_jw_key(&j->w, "target");
        put_about(&j->w, b);
        hf_jw_key(&j->w, "differences");
        hf_jw_array(&j->w);
    }
    int rc = hf_seal_diff(j->seal, b, on_difference, j, err);
    if (rc < 0)
        return rc;
    if (j->json) {
        hf_jw_array_end(&j->w);
        hf_jw_ku64(&j->w, "runtime", j->runtime);
        hf_jw_ku64(&j->w, "ignored", j->ignored);
        hf_jw_ku64(&j->w, "unread", j->unread);
        hf_jw_ku64(&j->w, "unseen", j->unseen);
        hf_jw_object_end(&j->w);
        hf_buf_addc(&j->out, '\n');
        return 0;
    }
    hf_buf_addf(&j->out, "%llu difference%s", (unsigned long long)j->found, j->found == 1 ? "" : "s");
    if (j->runtime)
        hf_buf_addf(&j->out, "; %llu of the runtime's own files and mounts not compared", (unsigned long long)j->runtime);
    if (j->unseen)
        hf_buf_addf(&j->out, "; %llu not compared below what could not be read", (unsigned long long)j->unseen);
    if (j->ignored)
        hf_buf_addf(&j->out, "; %llu ignored", (unsigned long long)j->ignored);
    hf_buf_addc(&j->out, '\n');
    return 0;
}

static bool is_of(const struct hf_seal *s, const struct hf_image *img)
{
    /* Not by its index: that is of images for other platforms, too. */
    return !img->digest.n || hf_seal_is_of(s, &img->digest) || (img->config.n && hf_seal_is_of(s, &img->config)) ||
            (!hf_seal_config_digest(s)->n && !hf_seal_manifest_digest(s)->n); /* a directory may be held against any seal */
}

static int verify_image(void *ctx, struct hf_image *img, struct hf_err *err)
{
    struct job *j = ctx;
    hf_autobuf path = HF_BUF_INIT(8192), bytes = HF_BUF_INIT(HF_SEAL_MAX_BYTES);
    hf_cleanup(hf_seal_closep) struct hf_seal *now = NULL;
    note_of(img);
    int rc = of_platform(j, img, err);
    if (rc >= 0 && j->place.file) {
        hf_buf_addz(&path, j->place.file);
        rc = hf_seal_open_path(j->place.file, &j->seal, err);
    } else if (rc >= 0) {
        rc = hf_seal_open_kept(j->place.state, img->config.n ? &img->config : &img->digest, &path, &j->seal, err);
    }
    if (rc >= 0 && !j->place.file)
        (void)utimensat(AT_FDCWD, hf_buf_z(&path), NULL, 0); /* used: prune.h */
    if (rc == -ENOENT && !j->place.file)
        return hf_fail(err, rc, "there is no seal of this image yet (%s); make one with: holdfast seal IMAGE", hf_buf_z(&path));
    /* Other runtimes than docker know images by the digest of an index, which a seal of an archive may not have: with one that was named it is said, not refused. */
    if (rc >= 0 && img->running && j->place.file && !is_of(j->seal, img)) {
        char text[HF_DIGEST_TEXT];
        hf_log(HF_LOG_WARNING, "seal", "whether %s is of the container's image is not known: its runtime knows that as %s", hf_buf_z(&path), img->digest.n ? hf_digest_text(&img->digest, text) : "nothing");
    } else if (rc >= 0 && !is_of(j->seal, img))
        return hf_fail(err, HF_E_DIGEST, "%s is the seal of another image: " HF_SPAN_FMT, hf_buf_z(&path), HF_SPAN_ARG(hf_span_sub(hf_seal_target(j->seal), 0, 200)));
    struct hf_span key = hf_buf_span(&j->key_pem);
    rc = rc >= 0 && key.n ? hf_seal_check_signature(j->seal, key, err) : rc;
    hf_buf_done(&j->key_pem); /* a public key signs nothing */
    rc = rc < 0 ? rc : make(j, img, &bytes, err);
    rc = rc < 0 ? rc : hf_seal_open_mem(&now, hf_buf_span(&bytes), err);
    j->img = img;
    rc = rc < 0 ? rc : compare(j, now, err);
    j->img = NULL;
    return rc;
}

/* Layers of a container that cannot be put together from the store (files of which only the metadata was copied up: overlay metacopy) are put together by the kernel while it runs. */
static int verify_running(struct job *j, const char *name, struct hf_err *err)
{
    struct hf_err why = HF_ERR_INIT;
    hf_seal_close(j->seal);
    j->seal = NULL;
    j->found = j->runtime = j->ignored = j->unread = j->unseen = 0;
    hf_buf_clear(&j->unread_paths);
    hf_buf_clear(&j->out);
    int rc = hf_cli_open_running(name, verify_image, j, &why);
    if (rc == HF_E_NOT_FOUND)
        return hf_fail(err, HF_E_UNSUPPORTED, "%.200s; it can be verified while it runs", err ? err->msg : "");
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* A file, or the image whose seal is kept, by its digest or the beginning of it (as `list` shows it). */
static int find(struct job *j, const char *name, struct hf_seal **ret, struct hf_err *err)
{
    struct hf_digest d;
    hf_autobuf path = HF_BUF_INIT(8192);
    if (hf_digest_parse(hf_span_z(name), &d) < 0) {
        int rc = access(name, F_OK) == 0 ? -ENOENT : hf_seal_kept_begins(j->place.state, hf_span_z(name), &path, err);
        return rc == -ENOENT ? hf_seal_open_path(name, ret, err) : rc < 0 ? rc : hf_seal_open_path(hf_buf_z(&path), ret, err);
    }
    return hf_seal_open_kept(j->place.state, &d, &path, ret, err);
}

static void show_entry(struct job *j, const struct hf_seal_entry *e)
{
    char hex[65] = "-";
    if (j->json) {
        hf_jw_object(&j->w);
        hf_jw_kstr(&j->w, "path", e->path);
        hf_jw_key(&j->w, "entry");
        put_entry(&j->w, j->seal, e);
        hf_jw_object_end(&j->w);
        return;
    }
    if (e->has_sha256)
        hf_hex(e->sha256, 32, hex);
    hf_buf_addf(&j->out, "%06o %5u:%-5u %11llu %-64s ", e->mode, e->uid, e->gid, (unsigned long long)e->size, hex);
    hf_buf_add_escaped(&j->out, e->path, 0);
    if (e->link.n) {
        hf_buf_addz(&j->out, " -> ");
        hf_buf_add_escaped(&j->out, e->link, 0);
    }
    struct hf_span package = hf_seal_package(j->seal, e->package);
    if (package.n) {
        hf_buf_addz(&j->out, "  of ");
        hf_buf_add_escaped(&j->out, package, 0);
    }
    hf_buf_addc(&j->out, '\n');
}

static int show(struct job *j, const char *name, const char *pattern, struct hf_err *err)
{
    struct hf_seal_iter it = {0};
    struct hf_seal_entry e;
    int rc = find(j, name, &j->seal, err);
    if (rc < 0)
        return rc;
    hf_jw_init(&j->w, &j->out, true);
    if (j->json) {
        hf_jw_object(&j->w);
        hf_jw_kstrz(&j->w, "schema", "holdfast.seal/1");
        hf_jw_key(&j->w, "seal");
        put_about(&j->w, j->seal);
        hf_jw_key(&j->w, "entries");
        hf_jw_array(&j->w);
    }
    while ((rc = hf_seal_next(j->seal, &it, &e, err)) == 1 && hf_buf_ok(&j->out))
        if (!pattern || hf_glob_path(hf_span_z(pattern), e.path))
            show_entry(j, &e);
    if (j->json) {
        hf_jw_array_end(&j->w);
        hf_jw_object_end(&j->w);
        hf_buf_addc(&j->out, '\n');
    }
    return rc;
}

static int diff(struct job *j, const char *a, const char *b, struct hf_err *err)
{
    hf_cleanup(hf_seal_closep) struct hf_seal *other = NULL;
    int rc = find(j, a, &j->seal, err);
    rc = rc < 0 ? rc : find(j, b, &other, err);
    return rc < 0 ? rc : compare(j, other, err);
}

static void pruned(void *ctx, const char *name, uint64_t bytes, uint64_t unused_s)
{
    struct job *j = ctx;
    hf_buf_addf(&j->out, "%s ", j->dry_run ? "would remove" : "removed");
    hf_buf_add_escaped(&j->out, hf_span_z(name), 0);
    hf_buf_addf(&j->out, ": %llu bytes, last used %llu days ago\n", (unsigned long long)bytes, (unsigned long long)(unused_s / 86400));
}

static int prune(struct job *j, struct hf_err *err)
{
    hf_autobuf dir = HF_BUF_INIT(8192);
    struct hf_seal_pruned n;
    hf_buf_addf(&dir, "%s/seals", j->place.state);
    struct hf_seal_prune_opts o = {.dir = hf_buf_z(&dir), .max_bytes = j->max_bytes, .older_than_s = j->older_days * 86400, .dry_run = j->dry_run, .gone = pruned, .ctx = j};
    int rc = hf_buf_ok(&dir) ? hf_seal_prune(&o, &n, err) : hf_fail(err, HF_E_LIMIT, "the name of the state is too long");
    if (rc >= 0)
        hf_buf_addf(&j->out, "%llu seals of watch left, %llu bytes; %llu made by people are not touched\n", (unsigned long long)n.kept, (unsigned long long)n.kept_bytes, (unsigned long long)n.of_people);
    return rc;
}

static void idle(void)
{
    struct sched_param p = {.sched_priority = 0};
    (void)sched_setscheduler(0, SCHED_IDLE, &p); /* nice to have: without it the result is the same */
    (void)syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE);
}

static int work(struct job *j, int verb, const char **args, size_t n, struct hf_err *err)
{
    if (j->key) {
        int rc = verb == 0 ? hf_seal_private_key(j->key, j->password_file, &j->key_pem, err) : hf_read_file(j->key, &j->key_pem, err);
        if (rc < 0)
            return rc;
    }
    if (verb == 2)
        return show(j, args[0], n > 1 ? args[1] : NULL, err);
    if (verb == 3)
        return diff(j, args[0], args[1], err);
    if (verb == 4)
        return prune(j, err);
    if (verb == 5)
        return hf_seal_list(j->place.state, j->json, &j->out, &j->unread, err);
    int rc = hf_config_load(&j->config, NULL, err);
    if (rc < 0)
        return rc;
    j->io = (struct hf_image_opts){.platform = hf_platform_host(), .verify = true, .docker_host = j->config->docker_host, .containerd_root = j->config->containerd_root,
            .storage_root = j->config->podman_root};
    rc = j->platform ? hf_platform_parse(hf_span_z(j->platform), &j->io.platform, err) : 0;
    if (rc < 0)
        return rc;
    if (j->idle)
        idle();
    if (verb == 0 && !j->no_cache)
        j->cache = hf_cli_layer_cache(j->cache_dir ? j->cache_dir : j->config->cache_dir);
    rc = hf_cli_open_image(args[0], &j->io, false, verb == 1 ? verify_image : seal_image, j, err);
    if (rc == HF_E_UNSUPPORTED && verb == 1 && !strncmp(args[0], "container:", 10))
        rc = verify_running(j, args[0] + 10, err);
    hf_cache_close(j->cache);
    return rc;
}

static int run(struct job *j, int verb, const struct hf_command *cmd, int argc, char **argv)
{
    const char *args[MAX_OPERANDS + 1];
    size_t n;
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_opts_parse(cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_buf_init(&j->key_pem, MAX_KEY);
    hf_buf_init(&j->out, MAX_OUT);
    hf_buf_init(&j->unread_paths, MAX_UNREAD);
    rc = work(j, verb, args, n, &err);
    if (rc >= 0 && (!hf_buf_ok(&j->out) || hf_cli_stdout(NULL, hf_buf_span(&j->out)) < 0))
        rc = hf_fail(&err, -EIO, "the result could not be written");
    hf_seal_wipe(&j->key_pem);
    hf_buf_done(&j->out);
    hf_buf_done(&j->unread_paths);
    hf_seal_close(j->seal);
    hf_config_free(j->config);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    return j->found ? HF_EXIT_FINDINGS : j->unread ? HF_EXIT_INCOMPLETE : HF_EXIT_OK;
}

int hf_cmd_seal(int argc, char **argv)
{
    struct job j = {.place = {.state = HF_STATE_DIR}, .max_bytes = HF_SEAL_KEEP_BYTES};
    const struct hf_opt state = {"state", 0, HF_OPT_STR, &j.place.state, "DIR", NULL, 0, 0, "folder of the kept state (" HF_STATE_DIR ")"};
    const struct hf_opt json = {"json", 0, HF_OPT_FLAG, &j.json, NULL, NULL, 0, 0, "as one JSON object"};
    const struct hf_opt idle_opt = {"idle", 0, HF_OPT_FLAG, &j.idle, NULL, NULL, 0, 0, "only with processor and disk time that nobody else wants"};
    const struct hf_opt platform = {"platform", 0, HF_OPT_STR, &j.platform, "OS/ARCH", NULL, 0, 0, "which image of an index (default: this machine's)"};
    const struct hf_opt ignore = {"ignore", 0, HF_OPT_LIST, &j.ignore, "PATTERN", NULL, 0, 0, "paths whose differences do not count; may be repeated"};
    const struct hf_opt make_opts[] = {{"output", 'o', HF_OPT_STR, &j.place.file, "FILE", NULL, 0, 0, "where the seal goes (default: the kept state)"},
            {"sign", 0, HF_OPT_STR, &j.key, "KEY", NULL, 0, 0, "sign with this private key (PEM or cosign's; Ed25519 or ECDSA P-256)"},
            {"password-file", 0, HF_OPT_STR, &j.password_file, "FILE", NULL, 0, 0, "its first line opens an encrypted key (default: COSIGN_PASSWORD, or asked)"},
            {"force", 0, HF_OPT_FLAG, &j.place.force, NULL, NULL, 0, 0, "replace a seal with other content"},
            {"cache-dir", 0, HF_OPT_STR, &j.cache_dir, "DIR", NULL, 0, 0, "where facts of layers are kept"}, {"no-cache", 0, HF_OPT_FLAG, &j.no_cache, NULL, NULL, 0, 0, "neither read nor write the cache"}, platform, idle_opt, state, {0}};
    const struct hf_opt verify_opts[] = {{"seal", 0, HF_OPT_STR, &j.place.file, "FILE", NULL, 0, 0, "this seal instead of the kept one"},
            {"key", 0, HF_OPT_STR, &j.key, "PUB", NULL, 0, 0, "the seal must be signed by this public key (PEM)"}, platform, ignore, json, idle_opt, state, {0}};
    const struct hf_opt prune_opts[] = {{"max-bytes", 0, HF_OPT_SIZE, &j.max_bytes, "SIZE", NULL, 0, 0, "what those that stay may take together (512M)"},
            {"older-than", 0, HF_OPT_U64, &j.older_days, "DAYS", NULL, 1, 36500, "remove what was not used for as long in any case"},
            {"dry-run", 'n', HF_OPT_FLAG, &j.dry_run, NULL, NULL, 0, 0, "say what it would do, change nothing"}, state, {0}};
    const struct hf_opt show_opts[] = {json, state, {0}}, diff_opts[] = {ignore, json, state, {0}};
    const struct hf_command make_cmd = {"seal make", "[options] IMAGE", "every file of an image with its digest, sealed",
            "IMAGE is a target as of \"holdfast scan\".", make_opts, 1, 1};
    const struct hf_command verify_cmd = {"seal verify", "[options] TARGET", "every difference between a seal and what is there",
            "TARGET is an image, container:ID or dir:PATH. Exit code 1 when something differs.", verify_opts, 1, 1};
    const struct hf_command show_cmd = {"seal show", "[options] SEAL [PATTERN]", "what is in a seal", "SEAL is a file, or the digest of an image whose seal is kept.", show_opts, 1, 2};
    const struct hf_command diff_cmd = {"seal diff", "[options] SEAL SEAL", "what differs between two seals", "Exit code 1 when something differs.", diff_opts, 2, 2};
    const struct hf_command prune_cmd = {"seal prune", "[options]", "remove seals that watch made, those used longest ago first", "What people made with \"seal\" or \"scan --seal\" is not touched.", prune_opts, 0, 0};
    const struct hf_command list_cmd = {"seal list", "[options]", "the seals that are kept", "Those that watch made and those that people made, each with the image it is of.", show_opts, 0, 0};
    const struct hf_command *cmds[] = {&make_cmd, &verify_cmd, &show_cmd, &diff_cmd, &prune_cmd, &list_cmd};
    static const char *const verbs[] = {"make", "verify", "show", "diff", "prune", "list"};
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        puts("holdfast seal - every file of an image with its digest\n\nUsage: holdfast seal [make] [options] IMAGE\n       holdfast seal COMMAND [options] ...\n\nCommands:");
        for (size_t i = 0; i < HF_ARRAY_LEN(verbs); i++)
            printf("  %-8s %s\n", verbs[i], cmds[i]->summary);
        return HF_EXIT_OK;
    }
    for (int i = 0; i < (int)HF_ARRAY_LEN(verbs) && argc > 1; i++)
        if (!strcmp(argv[1], verbs[i]))
            return run(&j, i, cmds[i], argc - 1, argv + 1);
    return run(&j, 0, cmds[0], argc, argv);
}
