// SPDX-License-Identifier: Apache-2.0
#include "respond/active.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/fs.h"
#include "base/json.h"

#define FILE_MAX 16384u

uint64_t hf_active_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec;
}

static void boot_id(char out[40])
{
    hf_autobuf text = HF_BUF_INIT(64);
    struct hf_err ignored = HF_ERR_INIT;
    out[0] = 0;
    if (hf_read_file("/proc/sys/kernel/random/boot_id", &text, &ignored) == 0)
        snprintf(out, 40, "%.*s", HF_SPAN_ARG(hf_span_trim(hf_buf_span(&text))));
}

/* Ids are of runtimes, or made up by whoever named a container: nothing else than these goes into a file's name. */
static void path_of(const char *dir, const char *action, const char *id, char out[4096])
{
    char safe[129];
    size_t n = 0;
    for (const char *p = id; *p && n + 1 < sizeof safe; p++)
        safe[n++] = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '-' ? *p : '_';
    safe[n] = 0;
    snprintf(out, 4096, "%.3800s/active/%.15s-%s.json", dir, action, safe);
}

int hf_active_write(const char *dir, const struct hf_active *a, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(FILE_MAX);
    char path[4096], boot[40];
    struct hf_jw w;
    snprintf(path, sizeof path, "%.3800s/active", dir);
    int rc = hf_mkdirs(path, 0700, err);
    if (rc < 0)
        return rc;
    boot_id(boot);
    hf_jw_init(&w, &out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "action", a->action);
    hf_jw_kstrz(&w, "id", a->id);
    hf_jw_kstrz(&w, "name", a->name);
    hf_jw_kstrz(&w, "rung", a->rung);
    hf_jw_kstrz(&w, "settings", a->settings);
    hf_jw_kstrz(&w, "boot_id", boot);
    hf_jw_key(&w, "cgroup_id");
    hf_jw_u64(&w, a->cgroup_id);
    hf_jw_ku64(&w, "seq", a->seq);
    hf_jw_ku64(&w, "expires_s", a->expires_s);
    hf_jw_ku64(&w, "started_s", a->started_s);
    hf_jw_kbool(&w, "was", a->was);
    hf_jw_object_end(&w);
    hf_buf_addc(&out, '\n');
    path_of(dir, a->action, a->id, path);
    /* before something is done, which must not wait for a disk: what is in force ends with the host's run, and so does the file's use */
    return hf_buf_ok(&out) ? hf_write_file_soon(path, 0600, hf_buf_span(&out), err) : hf_fail(err, HF_E_LIMIT, "%s is too long", path);
}

static int number(hf_jnode root, const char *name, uint64_t *ret, struct hf_err *err)
{
    double d;
    if (!hf_jnum(hf_jget(root, name), &d) || d < 0 || d > 9e15)
        return hf_fail(err, HF_E_FORMAT, "no number \"%s\"", name);
    *ret = (uint64_t)d;
    return 0;
}

static int text(hf_jnode root, const char *name, char *out, size_t size, struct hf_err *err)
{
    struct hf_span s = hf_jgetstr(root, name);
    if (s.n >= size || !hf_jis_str(hf_jget(root, name)))
        return hf_fail(err, HF_E_FORMAT, "no text \"%s\", or a long one", name);
    snprintf(out, size, "%.*s", (int)s.n, s.p ? s.p : "");
    return 0;
}

int hf_active_parse(struct hf_span json, struct hf_active *ret, char boot[40], struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_active a = {.seq = 0};
    if (json.n > FILE_MAX)
        return hf_fail(err, HF_E_LIMIT, "over %u bytes", FILE_MAX);
    int rc = hf_json_parse_within(json, 1u << 20, &doc, err);
    hf_jnode root = rc < 0 ? NULL : hf_json_root(doc);
    rc = rc < 0 ? rc : text(root, "action", a.action, sizeof a.action, err);
    rc = rc < 0 ? rc : text(root, "id", a.id, sizeof a.id, err);
    rc = rc < 0 ? rc : text(root, "name", a.name, sizeof a.name, err);
    rc = rc < 0 ? rc : text(root, "rung", a.rung, sizeof a.rung, err);
    rc = rc < 0 ? rc : text(root, "settings", a.settings, sizeof a.settings, err);
    rc = rc < 0 ? rc : text(root, "boot_id", boot, 40, err);
    rc = rc < 0 ? rc : number(root, "cgroup_id", &a.cgroup_id, err);
    rc = rc < 0 ? rc : number(root, "seq", &a.seq, err);
    rc = rc < 0 ? rc : number(root, "expires_s", &a.expires_s, err);
    rc = rc < 0 ? rc : number(root, "started_s", &a.started_s, err);
    if (rc < 0)
        return rc;
    a.was = hf_jis_true(hf_jget(root, "was"));
    *ret = a;
    return 0;
}

static int read_one(const char *path, struct hf_active *ret, char boot[40], struct hf_err *err)
{
    hf_autobuf bytes = HF_BUF_INIT(FILE_MAX);
    int rc = hf_read_file(path, &bytes, err);
    return rc < 0 ? rc : hf_active_parse(hf_buf_span(&bytes), ret, boot, err);
}

int hf_active_read(const char *dir, const char *action, const char *id, struct hf_active *ret, struct hf_err *err)
{
    char path[4096], boot[40], now[40];
    path_of(dir, action, id, path);
    int rc = read_one(path, ret, boot, err);
    boot_id(now);
    if (rc == -ENOENT || (rc == 0 && strcmp(boot, now) != 0))
        return hf_fail(err, HF_E_NOT_FOUND, "no %s of it is in force", action);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : 0;
}

void hf_active_remove(const char *dir, const struct hf_active *a)
{
    char path[4096];
    path_of(dir, a->action, a->id, path);
    unlink(path);
}

int hf_active_all(const char *dir, struct hf_active **ret, size_t *ret_n, size_t *ret_bad, struct hf_err *err)
{
    char path[4096], file[8192], boot[40], now[40];
    snprintf(path, sizeof path, "%.3800s/active", dir);
    hf_autofree struct hf_active *all = calloc(HF_ACTIVE_MAX, sizeof *all);
    DIR *d = all ? opendir(path) : NULL;
    size_t n = 0, bad = 0;
    if (!all || (!d && errno != ENOENT))
        return hf_fail(err, all ? -errno : -ENOMEM, "%s: %s", path, all ? strerror(errno) : "no memory");
    boot_id(now);
    for (struct dirent *e; d && n < HF_ACTIVE_MAX && (e = readdir(d));) {
        struct hf_err ignored = HF_ERR_INIT;
        if (e->d_name[0] == '.' || !hf_span_ends(hf_span_z(e->d_name), HF_S(".json")))
            continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        int rc = read_one(file, &all[n], boot, &ignored);
        if (rc == 0 && strcmp(boot, now) != 0)
            unlink(file);
        else if (rc == 0)
            n++;
        else
            bad += rc != -ENOENT;
    }
    if (d)
        closedir(d);
    *ret = hf_take(all);
    *ret_n = n;
    *ret_bad = bad;
    return 0;
}
