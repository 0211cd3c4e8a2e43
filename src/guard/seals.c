// SPDX-License-Identifier: Apache-2.0
#include "guard/seals.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/config.h"
#include "base/fs.h"
#include "base/sandbox.h"
#include "image/image.h"
#include "seal/prune.h"

#define PATH_MAX_ 4096u
#define FILE_MAX (PATH_MAX_ + 2 * HF_DIGEST_TEXT)
#define DIRS_MAX 512u         /* layers of an image */
#define STORES_MAX 16u        /* folders in which stores of images lie */
#define OPAQUE_BYTES (16u << 20)
#define KEEP_DAC_READ_SEARCH 2

struct open_seal {
    struct hf_seal *seal;
    struct hf_digest image;
    unsigned users;
};

struct hf_seals {
    char dir[PATH_MAX_];
    struct hf_config *config; /* where stores of images lie; NULL: the usual places */
    struct open_seal open[HF_SEALS_OPEN];
    /* what is being made */
    pid_t child;
    int child_fd, out_fd, why_fd; /* pidfd; the new file; what the child says when it fails */
    uint64_t deadline_ns;
    char temp[FILE_MAX], image[HF_DIGEST_TEXT];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int hf_seals_new(struct hf_seals **ret, const char *state_dir, struct hf_err *err)
{
    hf_autofree struct hf_seals *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory for seals");
    s->child_fd = s->out_fd = s->why_fd = -1;
    if ((size_t)snprintf(s->dir, sizeof s->dir, "%s/seals", state_dir) >= sizeof s->dir)
        return hf_fail(err, -ENAMETOOLONG, "%.200s: the name is too long", state_dir);
    int rc = hf_mkdirs(s->dir, 0700, err);
    if (rc < 0)
        return rc;
    if (hf_config_load(&s->config, NULL, NULL) < 0) /* who reads it for more than this says what is wrong with it */
        s->config = NULL;
    *ret = hf_take(s);
    return 0;
}

/* "sha256-HEX.seal" */
static int file_name(const struct hf_seals *s, struct hf_span image, struct hf_digest *ret_digest, char ret[FILE_MAX])
{
    char text[HF_DIGEST_TEXT];
    if (hf_digest_parse(image, ret_digest) < 0 || ret_digest->kind != HF_SHA256)
        return HF_E_FORMAT;
    hf_digest_text(ret_digest, text);
    snprintf(ret, FILE_MAX, "%s/sha256-%s.seal", s->dir, text + 7);
    return 0;
}

int hf_seals_get(struct hf_seals *s, struct hf_span image, struct hf_seal **ret, struct hf_err *err)
{
    char path[FILE_MAX];
    struct hf_digest d;
    struct open_seal *free_one = NULL;
    struct hf_seal *seal = NULL;
    struct stat st;
    if (file_name(s, image, &d, path) < 0)
        return 0;
    for (size_t i = 0; i < HF_SEALS_OPEN; i++) {
        if (s->open[i].users && hf_digest_eq(&s->open[i].image, &d)) {
            s->open[i].users++;
            *ret = s->open[i].seal;
            return 1;
        }
        free_one = !free_one && !s->open[i].users ? &s->open[i] : free_one;
    }
    if (!free_one)
        return hf_fail(err, HF_E_LIMIT, "more than %u images run", HF_SEALS_OPEN);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? 0 : hf_fail(err, -errno, "%.200s: %s", path, hf_err_name(-errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022)) {
        close(fd);
        return hf_fail(err, -EPERM, "%.200s is not root's alone to write", path);
    }
    int rc = hf_seal_open(&seal, fd, err);
    if (rc == 0 && !hf_seal_is_of(seal, &d)) {
        hf_seal_close(seal);
        rc = hf_fail(err, HF_E_DIGEST, "it is the seal of another image");
    }
    if (rc < 0)
        return hf_wrap(err, rc, "%.200s", path);
    *free_one = (struct open_seal){.seal = seal, .image = d, .users = 1};
    *ret = seal;
    (void)utimensat(AT_FDCWD, path, NULL, 0); /* when it was used last: prune.h */
    return 1;
}

static bool in_use(void *ctx, const char *name)
{
    const struct hf_seals *s = ctx;
    char text[HF_DIGEST_TEXT];
    struct hf_span hex = hf_span_sub(hf_span_z(name), 7, 64); /* sha256-HEX.seal */
    bool used = hf_span_eqz(hex, s->image + 7); /* the one just made */
    for (size_t i = 0; i < HF_SEALS_OPEN && !used; i++)
        used = s->open[i].users && hf_span_eqz(hex, hf_digest_text(&s->open[i].image, text) + 7);
    return used;
}

/* Images come and go: of the seals that were made here those used longest ago go, when there are too many. */
static void prune(struct hf_seals *s)
{
    struct hf_seal_prune_opts o = {.dir = s->dir, .max_bytes = HF_SEAL_KEEP_BYTES, .in_use = in_use, .ctx = s};
    struct hf_seal_pruned pruned;
    if (hf_seal_prune(&o, &pruned, NULL) < 0) /* they take room, no more */
        return;
}

void hf_seals_remove(struct hf_seals *s, struct hf_span image)
{
    char path[FILE_MAX];
    struct hf_digest d;
    if (file_name(s, image, &d, path) == 0)
        (void)unlink(path);
}

void hf_seals_put(struct hf_seals *s, struct hf_seal *seal)
{
    for (size_t i = 0; seal && i < HF_SEALS_OPEN; i++)
        if (s->open[i].users && s->open[i].seal == seal && --s->open[i].users == 0) {
            hf_seal_close(seal);
            s->open[i] = (struct open_seal){.seal = NULL};
        }
}

/* ---- where an image's layers lie ---- */

/* "dir:dir", where a backslash keeps the colon behind it. */
static int split_dirs(struct hf_span list, unsigned *n, struct hf_buf *ret, struct hf_err *err)
{
    bool began = false;
    for (size_t i = 0; i <= list.n; i++) {
        bool end = i == list.n || list.p[i] == ':';
        if (end && !began)
            return hf_fail(err, HF_E_UNSUPPORTED, "an overlay with layers of data only");
        if (!began && list.p[i] != '/')
            return hf_fail(err, HF_E_UNSUPPORTED, "an overlay whose lower directories are relative to where they were mounted from");
        if (end) {
            hf_buf_addc(ret, 0);
            began = false;
            if (++*n > DIRS_MAX)
                return hf_fail(err, HF_E_LIMIT, "more than %u layers", DIRS_MAX);
            continue;
        }
        if (list.p[i] == '\\' && i + 1 < list.n)
            i++;
        hf_buf_addc(ret, list.p[i]);
        began = true;
    }
    return 0;
}

static int lower_of(struct hf_span options, struct hf_buf *ret, struct hf_err *err)
{
    struct hf_span one;
    unsigned n = 0;
    while (hf_span_cut(&options, ',', &one)) {
        size_t skip = hf_span_starts(one, HF_S("lowerdir=")) ? 9 : hf_span_starts(one, HF_S("lowerdir+=")) ? 10 : 0;
        if (hf_span_starts(one, HF_S("datadir+=")))
            return hf_fail(err, HF_E_UNSUPPORTED, "an overlay with layers of data only");
        if (!skip)
            continue;
        hf_autobuf plain = HF_BUF_INIT(1u << 20);
        hf_mountinfo_field(hf_span_from(one, skip), &plain);
        if (plain.n && memchr(plain.p, 0, plain.n)) /* the kernel writes none; it would end a folder's name early */
            return hf_fail(err, HF_E_FORMAT, "a layer's folder with a byte 0 in its name");
        int rc = split_dirs(hf_buf_span(&plain), &n, ret, err);
        if (rc < 0)
            return rc;
    }
    return n && hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_UNSUPPORTED, "an overlay without lower directories");
}

int hf_overlay_lower(struct hf_span mountinfo, struct hf_buf *ret, struct hf_err *err)
{
    struct hf_span line, options = {NULL, 0}, type = {NULL, 0};
    while (hf_span_line(&mountinfo, &line)) { /* id parent maj:min root point options [tags] - type source super; the last one at / counts */
        struct hf_span field[5], rest = line, source;
        size_t dash = hf_span_search(line, HF_S(" - "));
        bool good = dash != SIZE_MAX;
        for (size_t i = 0; good && i < 5; i++)
            good = hf_span_cut(&rest, ' ', &field[i]);
        if (!good || !hf_span_eqz(field[4], "/"))
            continue;
        rest = hf_span_from(line, dash + 3);
        if (hf_span_cut(&rest, ' ', &type) && hf_span_cut(&rest, ' ', &source))
            options = rest;
    }
    if (!hf_span_eqz(type, "overlay"))
        return hf_fail(err, HF_E_UNSUPPORTED, "the container's root is %.*s, not an overlay", (int)HF_MIN(type.n, (size_t)32), type.p ? type.p : "unknown");
    return lower_of(options, ret, err);
}

/* docker puts a folder of its own on top of an image's, with the files that it mounts over later (/.dockerenv, /etc/hosts); it is of no image. */
void hf_overlay_drop_init(struct hf_buf *dirs)
{
    struct hf_span rest = hf_buf_span(dirs), one;
    if (!hf_span_cut(&rest, 0, &one) || !rest.n) /* the only one it cannot be */
        return;
    hf_autofree char *real = realpath(one.p, NULL);
    struct hf_span path = hf_span_z(real ? real : ""), skip = HF_S("-init/diff");
    if (!hf_span_ends(path, skip) || path.n < skip.n + 64)
        return;
    for (size_t i = path.n - skip.n - 64; i < path.n - skip.n; i++)
        if (!memchr("0123456789abcdef", path.p[i], 16))
            return;
    size_t n = dirs->n - one.n - 1;
    memmove(dirs->p, dirs->p + one.n + 1, n);
    dirs->n = n;
}

/* ---- making one ---- */

/* Only what reads files of others stays. */
static int keep_reading(struct hf_err *err)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = 1u << KEEP_DAC_READ_SEARCH, .permitted = 1u << KEEP_DAC_READ_SEARCH}, {.effective = 0}};
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (cap != KEEP_DAC_READ_SEARCH)
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &h, data) < 0)
        return hf_fail(err, -errno, "privileges could not be given up");
    return 0;
}

/* Which folders hide what lies below in lower layers is read while it can be: the marks are shown to CAP_SYS_ADMIN only.  Nothing else of the image is looked at with it. */
static int layers_of(struct hf_image *img, struct hf_span dirs, struct hf_buf *opaque, struct hf_err *err)
{
    struct hf_span one;
    size_t n = 0, begin[DIRS_MAX + 1], i = 0;
    int rc = 0;
    for (struct hf_span rest = dirs; hf_span_cut(&rest, 0, &one) && one.n;)
        n++;
    img->layers = hf_arena_calloc(&img->arena, n, sizeof *img->layers);
    if (!img->layers || n > DIRS_MAX)
        return hf_fail(err, HF_E_LIMIT, "no memory for %zu layers", n);
    img->n_layers = n;
    for (struct hf_span rest = dirs; rc >= 0 && i < n && hf_span_cut(&rest, 0, &one); i++) { /* the topmost first: the other way round */
        begin[i] = opaque->n;
        img->layers[n - 1 - i] = (struct hf_layer_source){.fd = -1, .dir = one, .overlay = true};
        rc = hf_dir_opaque(one.p, opaque, err);
    }
    begin[i] = opaque->n;
    for (size_t k = 0; rc >= 0 && k < n; k++) /* the buffer stays where it is from here on */
        img->layers[n - 1 - k].opaque = hf_span_sub(hf_buf_span(opaque), begin[k], begin[k + 1] - begin[k]);
    return rc;
}

/* The digests of an image beside the one that its runtime knows it by. */
static int identify(void *ctx, struct hf_image *from, struct hf_err *err)
{
    struct hf_image *img = ctx;
    (void)err;
    img->digest = from->digest;
    img->config = from->config;
    img->index = from->index;
    return 0;
}

struct sealing {
    const struct hf_seal_opts *o;
    struct hf_span name;
    int out_fd;
};

static int seal_stored(void *ctx, struct hf_image *img, struct hf_err *err)
{
    const struct sealing *s = ctx;
    img->target = s->name;
    return hf_seal_of_image(img, s->o, s->out_fd, err);
}

/* Nothing can be read but the layers' folders and the stores. */
static int shut_in(const struct hf_image_opts *io, struct hf_span dirs, struct hf_err *err)
{
    hf_autobuf stores = HF_BUF_INIT(64u << 10);
    const char *readable[DIRS_MAX + STORES_MAX + 1] = {NULL};
    size_t n = 0, most[] = {DIRS_MAX, DIRS_MAX + STORES_MAX};
    hf_image_stores(io, &stores);
    const struct hf_span lists[] = {dirs, hf_buf_span(&stores)};
    for (size_t i = 0; i < HF_ARRAY_LEN(lists); i++)
        for (struct hf_span rest = lists[i], one; n < most[i] && hf_span_cut(&rest, 0, &one) && one.n;)
            readable[n++] = one.p; /* a NUL follows */
    int rc = keep_reading(err);
    rc = rc < 0 ? rc : hf_sandbox_files(readable, err);
    return HF_MIN(rc, 0);
}

/* dirs: of the layers; empty: the image is looked for in the stores of this host by its digest. */
static int make(const struct hf_seals *s, struct hf_span image, struct hf_span name, struct hf_span dirs, struct hf_err *err)
{
    struct hf_image img = {.has_layers = true, .target = name, .ref = name};
    const struct hf_image_opts io = {.platform = hf_platform_host(), .verify = true, .containerd_root = s->config ? s->config->containerd_root : NULL,
            .storage_root = s->config ? s->config->podman_root : NULL};
    const struct hf_seal_opts o = {.threads = 1, .verify = true};
    struct sealing sealing = {&o, name, s->out_fd};
    struct hf_digest known;
    hf_arena_init(&img.arena, 4u << 20);
    img.os = io.platform.os;
    img.arch = io.platform.arch;
    hf_autobuf opaque = HF_BUF_INIT(OPAQUE_BYTES);
    int rc = hf_digest_parse(image, &known);
    rc = rc < 0 || !dirs.n ? rc : layers_of(&img, dirs, &opaque, err);
    rc = rc < 0 ? rc : shut_in(&io, dirs, err);
    if (rc < 0 || !dirs.n)
        return rc < 0 ? rc : hf_image_open_stored(&known, &io, seal_stored, &sealing, err);
    if (hf_image_open_stored(&known, &io, identify, &img, NULL) < 0)
        img.digest = known; /* docker's, or gone from its store */
    return hf_seal_of_image(&img, &o, s->out_fd, err);
}

static _Noreturn void child(const struct hf_seals *s, struct hf_span image, struct hf_span name, struct hf_span dirs, int why_fd)
{
    struct hf_err err = HF_ERR_INIT;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "holdfast-seal");
    (void)setpriority(PRIO_PROCESS, 0, 0); /* the guard goes before others, this need not */
    int low = HF_MIN(s->out_fd, why_fd), high = HF_MAX(s->out_fd, why_fd); /* the channel to the sensor, files of containers... */
    (void)syscall(SYS_close_range, 3u, (unsigned)low - 1, 0u);
    if (high - low > 1)
        (void)syscall(SYS_close_range, (unsigned)low + 1, (unsigned)high - 1, 0u);
    (void)syscall(SYS_close_range, (unsigned)high + 1, ~0u, 0u);
    int rc = make(s, image, name, dirs, &err);
    if (rc < 0 && write(why_fd, err.msg, strlen(err.msg)) < 0)
        _exit(4);
    _exit(rc < 0 ? 3 : 0);
}

/* Docker mounts by short links. */
static int resolve(struct hf_span dirs, struct hf_buf *ret, struct hf_err *err)
{
    for (struct hf_span one; hf_span_cut(&dirs, 0, &one) && one.n;) {
        hf_autofree char *real = realpath(one.p, NULL); /* a NUL follows */
        if (!real)
            return hf_fail(err, -errno, "layer %.*s: %s", (int)HF_MIN(one.n, (size_t)200), one.p, hf_err_name(-errno));
        hf_buf_add(ret, real, strlen(real) + 1);
    }
    return hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "the names of the layers are too long");
}

int hf_seals_make(struct hf_seals *s, struct hf_span image, struct hf_span name, struct hf_span links, struct hf_err *err)
{
    hf_autobuf real = HF_BUF_INIT(1u << 20);
    char path[FILE_MAX];
    struct hf_digest d;
    int why[2];
    if (s->child > 0)
        return -EBUSY;
    if (file_name(s, image, &d, path) < 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "the image has no digest that is known");
    int rc = resolve(links, &real, err);
    if (rc < 0)
        return rc;
    struct hf_span dirs = hf_buf_span(&real);
    hf_digest_text(&d, s->image);
    snprintf(s->temp, sizeof s->temp, "%s/.making-%d.tmp", s->dir, (int)getpid());
    (void)unlink(s->temp);
    s->out_fd = open(s->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, HF_SEAL_MADE_MODE);
    if (s->out_fd < 0)
        return hf_fail(err, -errno, "%.200s: %s", s->temp, hf_err_name(-errno));
    if (pipe2(why, O_CLOEXEC) < 0) {
        hf_closep(&s->out_fd);
        return hf_fail(err, -errno, "no pipe");
    }
    s->child = fork();
    if (s->child == 0) {
        close(why[0]);
        child(s, image, name, dirs, why[1]);
    }
    close(why[1]);
    s->why_fd = why[0];
    s->child_fd = s->child > 0 ? (int)syscall(SYS_pidfd_open, s->child, 0) : -1;
    s->deadline_ns = now_ns() + HF_SEAL_MAKE_S * 1000000000ull;
    if (s->child > 0)
        return 0;
    s->child = 0;
    hf_closep(&s->out_fd);
    hf_closep(&s->why_fd);
    (void)unlink(s->temp);
    return hf_fail(err, -EAGAIN, "no process to make a seal with");
}

int hf_seals_wait_fd(const struct hf_seals *s)
{
    return s->child > 0 ? s->child_fd : -1;
}

/* What the child left, once it has ended: opened as any other before it gets its name. */
static int finish(struct hf_seals *s, int status, struct hf_err *err)
{
    char path[FILE_MAX], why[400];
    struct hf_digest d;
    struct hf_seal *seal = NULL;
    ssize_t n = read(s->why_fd, why, sizeof why - 1);
    why[n > 0 ? n : 0] = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return hf_fail(err, -ECHILD, "%s", why[0] ? why : WIFSIGNALED(status) ? "the process that made it was killed" : "it could not be made");
    if (file_name(s, hf_span_z(s->image), &d, path) < 0)
        return HF_E_FORMAT;
    int rc = fsync(s->out_fd) < 0 ? hf_fail(err, -errno, "%.200s: %s", s->temp, hf_err_name(-errno)) : 0;
    int again = rc < 0 ? -1 : fcntl(s->out_fd, F_DUPFD_CLOEXEC, 0);
    rc = rc < 0 ? rc : again < 0 ? hf_fail(err, -errno, "no descriptor") : hf_seal_open(&seal, again, err);
    if (rc == 0 && !hf_seal_is_of(seal, &d))
        rc = hf_fail(err, HF_E_DIGEST, "what was made is the seal of another image");
    hf_seal_close(seal);
    if (rc == 0 && rename(s->temp, path) < 0)
        rc = hf_fail(err, -errno, "%.200s: %s", path, hf_err_name(-errno));
    return rc;
}

int hf_seals_made(struct hf_seals *s, struct hf_span *ret_image, struct hf_err *err)
{
    int status = 0;
    if (s->child <= 0)
        return 0;
    if (now_ns() > s->deadline_ns)
        kill(s->child, SIGKILL);
    pid_t done = waitpid(s->child, &status, now_ns() > s->deadline_ns ? 0 : WNOHANG);
    if (done == 0)
        return 0;
    s->child = 0;
    int rc = done < 0 ? hf_fail(err, -errno, "the process that makes seals was lost") : finish(s, status, err);
    if (rc < 0)
        (void)unlink(s->temp);
    hf_closep(&s->out_fd);
    hf_closep(&s->why_fd);
    hf_closep(&s->child_fd);
    *ret_image = hf_span_z(s->image);
    if (rc >= 0)
        prune(s);
    return rc < 0 ? rc : 1;
}

void hf_seals_free(struct hf_seals *s)
{
    if (!s)
        return;
    if (s->child > 0) {
        kill(s->child, SIGKILL);
        waitpid(s->child, NULL, 0);
        (void)unlink(s->temp);
    }
    for (size_t i = 0; i < HF_SEALS_OPEN; i++)
        if (s->open[i].users)
            hf_seal_close(s->open[i].seal);
    hf_closep(&s->out_fd);
    hf_closep(&s->why_fd);
    hf_closep(&s->child_fd);
    hf_config_free(s->config);
    free(s);
}
