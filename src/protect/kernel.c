// SPDX-License-Identifier: Apache-2.0
#include "protect/kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "guard.skel.h"

#define LINKS_MAX 48u
#define DEMAND_LINKS_MAX 20u
#define PATH_BYTES 512u

HF_DEFINE_FREEP(struct btf, btf__free)

/* Programs that are attached while a rule needs them, by how their names begin (behind "hf_guard_"). */
enum demand { DEMAND_CALL, DEMAND_MEMORY, DEMAND_FILES, DEMAND_EARLY, DEMANDS };
static const char *const demand_names[DEMANDS] = {"call", "m_", "w_", "e_"};

struct hf_guard_kernel {
    struct guard_bpf *skel;
    struct bpf_link *links[LINKS_MAX];
    size_t n_links;
    struct ring_buffer *ring;
    char pin[PATH_BYTES];
    bool lsm, net, device, files, memory; /* memory: use of another's memory by /proc is seen, where tracing is seen by the entry of calls */
    uint32_t uses; /* 1 << HF_USE_*: a hook refuses them */
    uint32_t by_caps, by_entry, by_call, by_ring; /* the same: its process is killed, as the trace of capability checks, the entry of the function that decides on it, that of the call, or a ring's
                                                   * creation shows it */
    bool no_entry; /* this kernel lets nobody watch the entry of functions */
    unsigned lib_rung;
    struct demanded {
        bool on;
        struct bpf_link *links[DEMAND_LINKS_MAX];
        size_t n;
    } demanded[DEMANDS];
    bool early; /* somebody had a file open for writing before it was held */
    char why[160];
    void (*fn)(void *ctx, const struct hf_guard_told *t);
    void *fn_ctx;
};

/* ---- pins ---- */

/* Links among the pins, to whoever made them. */
#define STATE_LINK "state"
#define GUARD_LINK "guard"

void hf_guard_pins(const char *state_dir, char ret[HF_GUARD_PINS_PATH])
{
    char real[PATH_MAX];
    const char *of = realpath(state_dir, real) ? real : state_dir;
    uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a: the same in every process, which hf_span_hash is not */
    for (; *of; of++)
        h = (h ^ (unsigned char)*of) * 0x100000001b3ull;
    snprintf(ret, HF_GUARD_PINS_PATH, "%s/%016llx", HF_GUARD_PINS, (unsigned long long)h);
}

void hf_guard_kernel_unpin(const char *pin)
{
    DIR *d = opendir(pin);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
}

static struct hf_span link_of(const char *pin, const char *name, char room[PATH_MAX])
{
    char path[HF_GUARD_PINS_PATH + 16];
    snprintf(path, sizeof path, "%s/%s", pin, name);
    ssize_t n = readlink(path, room, PATH_MAX - 1);
    room[HF_MAX(n, 0)] = '\0';
    return hf_span_z(room);
}

void hf_guard_kernel_pinned(void (*fn)(void *ctx, const char *pin, uint64_t pid, const char *state), void *ctx)
{
    DIR *d = opendir(HF_GUARD_PINS);
    for (struct dirent *e; d && (e = readdir(d));) {
        char pin[HF_GUARD_PINS_PATH], path[HF_GUARD_PINS_PATH + 16], state[PATH_MAX];
        if (e->d_name[0] == '.' || snprintf(pin, sizeof pin, "%s/%.20s", HF_GUARD_PINS, e->d_name) >= (int)sizeof pin)
            continue;
        snprintf(path, sizeof path, "%s/exec", pin); /* which every guard has */
        if (access(path, F_OK) < 0)
            continue;
        uint64_t pid = 0;
        (void)!hf_parse_u64(hf_span_basename(link_of(pin, GUARD_LINK, state)), 10, 1, INT32_MAX, &pid);
        (void)link_of(pin, STATE_LINK, state);
        fn(ctx, pin, pid, state);
    }
    if (d)
        closedir(d);
}

static int pin_folder(const char *pin, struct hf_err *err)
{
    struct statfs fs;
    int rc = hf_mkdirs(pin, 0700, err);
    if (rc < 0)
        return rc;
    if (statfs(pin, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC)
        return 0;
    if (mount("bpf", pin, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
        return hf_fail(err, -errno, "%s: no bpf file system can be mounted there (%s), so that a policy that fails closed would not outlive its guard", pin, strerror(errno));
    return 0;
}

/* Without it nothing is lost but the hint. */
static void name_maker(const struct hf_guard_kernel_opts *o)
{
    char path[PATH_BYTES + 16], real[PATH_MAX], proc[32];
    if (!o->state || !realpath(o->state, real))
        return;
    snprintf(proc, sizeof proc, "/proc/%d", getpid());
    snprintf(path, sizeof path, "%s/" GUARD_LINK, o->pin);
    (void)!symlink(proc, path);
    snprintf(path, sizeof path, "%s/" STATE_LINK, o->pin);
    (void)!symlink(real, path);
}

/* ---- loading ---- */

HF_PRINTF(2, 0) static int say(enum libbpf_print_level level, const char *fmt, va_list args)
{
    if (getenv("HF_BPF_LOG") && level != LIBBPF_DEBUG)
        vfprintf(stderr, fmt, args);
    return 0;
}

static uint32_t own_mnt_ns(void)
{
    struct stat st;
    return stat("/proc/self/ns/mnt", &st) == 0 ? (uint32_t)st.st_ino : 0;
}

static bool is_net(const struct bpf_program *p)
{
    return bpf_program__type(p) == BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
}

static bool in_group(const struct bpf_program *p)
{
    return is_net(p) || bpf_program__type(p) == BPF_PROG_TYPE_CGROUP_DEVICE;
}

/* Security hooks that not every kernel has. */
static const struct {
    const char *program, *hook;
    int use;
} use_hooks[] = {{"hf_guard_module_file", "kernel_read_file", HF_USE_MODULES}, {"hf_guard_module_data", "kernel_load_data", HF_USE_MODULES}, {"hf_guard_bpf", "bpf", HF_USE_BPF},
        {"hf_guard_mount", "sb_mount", HF_USE_MOUNT}, {"hf_guard_move", "move_mount", HF_USE_MOUNT}, {"hf_guard_umount", "sb_umount", HF_USE_MOUNT},
        {"hf_guard_pivot", "sb_pivotroot", HF_USE_MOUNT}, {"hf_guard_trace", "ptrace_access_check", HF_USE_PTRACE},
        {"hf_guard_traceme", "ptrace_traceme", HF_USE_PTRACE}, {"hf_guard_userns", "userns_create", HF_USE_USERNS}, {"hf_guard_anon", "inode_init_security_anon", HF_USE_IO_URING}};

/* The functions that each use goes through; all of a use, or it is seen otherwise. */
static const struct {
    const char *program, *function;
    int use;
} entries[] = {{"hf_guard_f_module_file", "security_kernel_read_file", HF_USE_MODULES}, {"hf_guard_f_module_data", "security_kernel_load_data", HF_USE_MODULES}, {"hf_guard_f_bpf", "security_bpf", HF_USE_BPF},
        {"hf_guard_f_mount", "security_sb_mount", HF_USE_MOUNT}, {"hf_guard_f_move", "security_move_mount", HF_USE_MOUNT}, {"hf_guard_f_umount", "security_sb_umount", HF_USE_MOUNT},
        {"hf_guard_f_pivot", "security_sb_pivotroot", HF_USE_MOUNT}, {"hf_guard_f_trace", "security_ptrace_access_check", HF_USE_PTRACE}, {"hf_guard_f_traceme", "security_ptrace_traceme", HF_USE_PTRACE},
        {"hf_guard_f_userns", "create_user_ns", HF_USE_USERNS}};

static bool is_tracepoint(const struct btf *btf, const char *name)
{
    char type[64];
    snprintf(type, sizeof type, "btf_trace_%s", name);
    return btf && btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

static enum demand demand_of(const char *program)
{
    for (unsigned d = 0; d < DEMANDS; d++)
        if (!strncmp(program + strlen("hf_guard_"), demand_names[d], strlen(demand_names[d])) && (d != DEMAND_CALL || !strcmp(program, "hf_guard_call")))
            return (enum demand)d;
    return DEMANDS;
}

/* The security hook of a program's section: "lsm/path_mkdir". */
static bool has_hook(const struct bpf_program *p)
{
    const char *section = bpf_program__section_name(p);
    return !strncmp(section, "lsm/", 4) && libbpf_find_vmlinux_btf_id(section + 4, BPF_LSM_MAC) > 0;
}

/* Whether the first argument of a security hook is a directory entry: a mount's id mapping came before it, in other versions for other hooks. */
static bool dentry_is_first(const struct btf *btf, const char *hook)
{
    char name[64];
    snprintf(name, sizeof name, "bpf_lsm_%s", hook);
    int id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) : -1;
    const struct btf_type *f = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL, *proto = f ? btf__type_by_id(btf, f->type) : NULL;
    const struct btf_type *arg = proto && btf_vlen(proto) ? btf__type_by_id(btf, btf_params(proto)[0].type) : NULL;
    const struct btf_type *of = arg && btf_is_ptr(arg) ? btf__type_by_id(btf, arg->type) : NULL;
    return of && btf_is_struct(of) && !strcmp(btf__name_by_offset(btf, of->name_off), "dentry");
}

/* Whether security modules written in BPF are asked at all: a kernel may have them, and leave them out at its start.  Where that cannot be read the self-test finds out. */
static bool lsm_is_asked(void)
{
    hf_autobuf text = HF_BUF_INIT(4096);
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_read_file("/sys/kernel/security/lsm", &text, &ignored) < 0)
        return true;
    for (struct hf_span rest = hf_span_trim(hf_buf_span(&text)), one; rest.n;) {
        if (!hf_span_cut(&rest, ',', &one)) {
            one = rest;
            rest.n = 0;
        }
        if (hf_span_eqz(one, "bpf"))
            return true;
    }
    return false;
}

/* Each use of the kernel by the best hook that there is: masks of struct hf_guard_kernel. */
static void plan(struct hf_guard_kernel *k, bool lsm)
{
    static const uint32_t all = (1u << HF_USES) - 1, asking = 1u << HF_USE_MODULES | 1u << HF_USE_BPF | 1u << HF_USE_MOUNT | 1u << HF_USE_USERNS;
    hf_cleanup(btf__freep) struct btf *btf = btf__load_vmlinux_btf();
    k->uses = 0;
    for (size_t i = 0; lsm && i < HF_ARRAY_LEN(use_hooks); i++)
        if (libbpf_find_vmlinux_btf_id(use_hooks[i].hook, BPF_LSM_MAC) > 0)
            k->uses |= 1u << use_hooks[i].use;
    k->files = lsm && libbpf_find_vmlinux_btf_id("path_mkdir", BPF_LSM_MAC) > 0;
    k->skel->rodata->hf_guard_dentry_arg = !dentry_is_first(btf, "inode_setxattr");
    k->skel->rodata->hf_guard_setattr_arg = !dentry_is_first(btf, "inode_setattr");
    k->lib_rung = lsm ? HF_GUARD_BY_LSM : is_tracepoint(btf, "mmap_lock_start_locking") ? HF_GUARD_BY_SIGNAL : 0;
    uint32_t left = all & ~k->uses;
    k->by_ring = left & 1u << HF_USE_IO_URING && is_tracepoint(btf, "io_uring_create") ? 1u << HF_USE_IO_URING : 0;
    k->by_caps = is_tracepoint(btf, "cap_capable") ? left & asking : 0;
    k->by_entry = k->no_entry ? 0 : left & ~k->by_ring & ~k->by_caps & ~(1u << HF_USE_IO_URING);
    for (size_t i = 0; i < HF_ARRAY_LEN(entries); i++)
        if (libbpf_find_vmlinux_btf_id(entries[i].function, BPF_TRACE_FENTRY) <= 0)
            k->by_entry &= ~(1u << entries[i].use);
    k->by_call = left & ~k->by_ring & ~k->by_caps & ~k->by_entry & ~(1u << HF_USE_IO_URING);
    k->memory = (k->by_call >> HF_USE_PTRACE & 1) && is_tracepoint(btf, "mmap_lock_start_locking");
}

static bool wanted(const struct hf_guard_kernel *k, const struct bpf_program *p, bool lsm)
{
    const char *name = bpf_program__name(p);
    for (size_t i = 0; i < HF_ARRAY_LEN(use_hooks); i++)
        if (!strcmp(name, use_hooks[i].program))
            return lsm && libbpf_find_vmlinux_btf_id(use_hooks[i].hook, BPF_LSM_MAC) > 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(entries); i++)
        if (!strcmp(name, entries[i].program))
            return k->by_entry >> entries[i].use & 1;
    if (demand_of(name) == DEMAND_FILES || demand_of(name) == DEMAND_EARLY)
        return k->files && has_hook(p);
    if (bpf_program__type(p) == BPF_PROG_TYPE_LSM)
        return lsm;
    if (!strcmp(name, "hf_guard_call"))
        return k->by_call;
    if (demand_of(name) == DEMAND_MEMORY)
        return k->memory;
    if (!strcmp(name, "hf_guard_caps"))
        return k->by_caps;
    if (!strcmp(name, "hf_guard_ring_made"))
        return k->by_ring;
    if (!strcmp(name, "hf_guard_lock"))
        return k->lib_rung == HF_GUARD_BY_SIGNAL;
    return strcmp(name, "hf_guard_below") != 0 || (k->by_call >> HF_USE_USERNS & 1);
}

static int load(struct hf_guard_kernel *k, const struct hf_guard_kernel_opts *o, bool lsm, struct hf_err *err)
{
    struct bpf_program *p;
    k->skel = guard_bpf__open();
    if (!k->skel)
        return hf_fail(err, errno ? -errno : -EINVAL, "the kernel half of prevention could not be opened");
    plan(k, lsm);
    k->skel->rodata->hf_guard_pid = (uint32_t)getpid();
    k->skel->rodata->hf_v1_subsys = o->v1_subsys < 0 ? 255u : (uint32_t)o->v1_subsys;
    k->skel->rodata->hf_host_mnt_ns = own_mnt_ns();
    k->skel->rodata->hf_guard_by_caps = k->by_caps;
    k->skel->rodata->hf_guard_by_call = k->by_call;
    bpf_object__for_each_program(p, k->skel->obj)
        bpf_program__set_autoload(p, (!in_group(p) || o->v2_root_fd >= 0) && wanted(k, p, lsm));
    int rc = guard_bpf__load(k->skel);
    if (rc < 0) {
        guard_bpf__destroy(k->skel);
        k->skel = NULL;
        return hf_fail(err, rc, "the kernel refused the programs of prevention: %s", strerror(-rc));
    }
    return 0;
}

static int pin_link(struct hf_guard_kernel *k, struct bpf_link *link, const char *name, struct hf_err *err)
{
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", k->pin, name);
    int rc = bpf_link__pin(link, path);
    return rc < 0 ? hf_fail(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

/* Attached while a rule needs them, and not longer.  What could not be attached is taken back whole. */
static int demand(struct hf_guard_kernel *k, enum demand what, bool on, struct hf_err *err)
{
    struct demanded *d = &k->demanded[what];
    struct bpf_program *p;
    int rc = 0;
    if (on == d->on)
        return 0;
    d->on = on;
    bpf_object__for_each_program(p, k->skel->obj)
    {
        const char *name = bpf_program__name(p);
        if (!on || rc < 0 || !bpf_program__autoload(p) || demand_of(name) != what)
            continue;
        struct bpf_link *link = d->n < DEMAND_LINKS_MAX ? bpf_program__attach(p) : NULL;
        if (!link)
            rc = hf_fail(err, errno ? -errno : -E2BIG, "%s is not attached: %s", name, strerror(errno));
        else
            d->links[d->n++] = link;
        rc = rc == 0 && k->pin[0] ? pin_link(k, link, name + strlen("hf_guard_"), err) : rc;
    }
    if (on && rc == 0)
        return 0;
    for (size_t i = 0; i < d->n; i++) {
        if (k->pin[0])
            (void)bpf_link__unpin(d->links[i]);
        bpf_link__destroy(d->links[i]);
    }
    d->n = 0;
    d->on = false;
    return rc;
}

static int attach(struct hf_guard_kernel *k, const struct hf_guard_kernel_opts *o, struct hf_err *err)
{
    struct bpf_program *p;
    bpf_object__for_each_program(p, k->skel->obj)
    {
        const char *name = bpf_program__name(p) + strlen("hf_guard_");
        if (!bpf_program__autoload(p) || demand_of(bpf_program__name(p)) != DEMANDS)
            continue;
        struct bpf_link *link = in_group(p) ? bpf_program__attach_cgroup(p, o->v2_root_fd) : bpf_program__attach(p);
        if (!link)
            return hf_fail(err, -errno, "%s is not attached: %s", name, strerror(errno));
        k->links[k->n_links++] = link;
        k->net |= is_net(p);
        k->device |= bpf_program__type(p) == BPF_PROG_TYPE_CGROUP_DEVICE;
        int rc = k->pin[0] ? pin_link(k, link, name, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void unload(struct hf_guard_kernel *k)
{
    for (size_t i = 0; i < k->n_links; i++) {
        if (k->pin[0])
            (void)bpf_link__unpin(k->links[i]);
        bpf_link__destroy(k->links[i]);
    }
    k->n_links = 0;
    guard_bpf__destroy(k->skel);
    k->skel = NULL;
}

/* That the entry of functions can be watched is known when it is: else all of it once more, without. */
static int load_and_attach(struct hf_guard_kernel *k, const struct hf_guard_kernel_opts *o, bool lsm, struct hf_err *err)
{
    k->no_entry = getenv("HF_NO_FENTRY") != NULL; /* to try what other kernels have */
    for (;;) {
        int rc = load(k, o, lsm, err);
        rc = rc < 0 ? rc : attach(k, o, err);
        if (rc < 0 && k->skel)
            unload(k);
        if (rc == 0 || !k->by_entry)
            return rc;
        k->no_entry = true;
    }
}

static int fill_names(struct hf_guard_kernel *k, struct hf_err *err)
{
    static const char *const many[] = {"busybox", "toybox", "sbase-box", "coreutils", NULL};
    const struct {
        const char *const *names;
        uint32_t bit;
    } all[] = {{hf_prot_names(HF_CLAUSE_SHELLS), HF_GUARD_NAME_SHELL}, {hf_prot_names(HF_CLAUSE_PACKAGES), HF_GUARD_NAME_PACKAGES}, {many, HF_GUARD_NAME_MANY}};
    int fd = bpf_map__fd(k->skel->maps.hf_guard_names);
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        for (const char *const *n = all[i].names; *n; n++) {
            char key[HF_GUARD_NAME] = {0};
            snprintf(key, sizeof key, "%s", *n);
            if (bpf_map_update_elem(fd, key, &all[i].bit, BPF_ANY) < 0)
                return hf_fail(err, -errno, "names of programs: %s", strerror(errno));
        }
    return 0;
}

static int on_told(void *ctx, void *data, size_t n)
{
    struct hf_guard_kernel *k = ctx;
    struct hf_guard_told t;
    if (n < sizeof t || !k->fn)
        return 0;
    memcpy(&t, data, sizeof t);
    t.path_len = HF_MIN(t.path_len, (uint32_t)sizeof t.path - 1);
    t.comm[sizeof t.comm - 1] = 0;
    k->fn(k->fn_ctx, &t);
    return 0;
}

int hf_guard_kernel_open(struct hf_guard_kernel **ret, const struct hf_guard_kernel_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_guard_kernel_closep) struct hf_guard_kernel *k = calloc(1, sizeof *k);
    struct hf_err lsm_err = HF_ERR_INIT;
    if (!k)
        return hf_fail(err, -ENOMEM, "no memory");
    libbpf_set_print(say);
    int rc = o->pin ? pin_folder(o->pin, err) : 0;
    if (rc < 0)
        return rc;
    if (o->pin) {
        hf_guard_kernel_unpin(o->pin); /* of one that was killed */
        snprintf(k->pin, sizeof k->pin, "%s", o->pin);
        name_maker(o);
    }
    if (!lsm_is_asked() || getenv("HF_NO_LSM")) /* the second: to try what other kernels have */
        snprintf(k->why, sizeof k->why, "this kernel was started without security modules in BPF (lsm=)");
    else if (load_and_attach(k, o, true, &lsm_err) < 0)
        snprintf(k->why, sizeof k->why, "lsm/bprm_check_security: %.100s", strerror(-lsm_err.code));
    else
        k->lsm = true;
    if (!k->lsm)
        rc = load_and_attach(k, o, false, err);
    rc = rc < 0 ? rc : fill_names(k, err);
    if (rc < 0)
        return rc;
    k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.hf_guard_ring), on_told, k, NULL);
    if (!k->ring)
        return hf_fail(err, -errno, "what is refused cannot be read: %s", strerror(errno));
    k->skel->bss->hf_guard_alive = 1;
    *ret = hf_take(k);
    return 0;
}

void hf_guard_kernel_close(struct hf_guard_kernel *k)
{
    if (!k)
        return;
    if (k->pin[0]) {
        hf_guard_kernel_unpin(k->pin);
        (void)umount2(k->pin, MNT_DETACH);
        (void)rmdir(k->pin);
    }
    for (size_t i = 0; i < k->n_links; i++)
        bpf_link__destroy(k->links[i]);
    for (unsigned d = 0; d < DEMANDS; d++)
        for (size_t i = 0; i < k->demanded[d].n; i++)
            bpf_link__destroy(k->demanded[d].links[i]);
    ring_buffer__free(k->ring);
    guard_bpf__destroy(k->skel);
    free(k);
}

unsigned hf_guard_kernel_exec_rung(const struct hf_guard_kernel *k)
{
    return k->lsm ? HF_GUARD_BY_LSM : HF_GUARD_BY_SIGNAL;
}

unsigned hf_guard_kernel_net_rung(const struct hf_guard_kernel *k)
{
    return k->net ? HF_GUARD_BY_CGROUP : 0;
}

unsigned hf_guard_kernel_device_rung(const struct hf_guard_kernel *k)
{
    return k->device ? HF_GUARD_BY_CGROUP : 0;
}

unsigned hf_guard_kernel_use_rung(const struct hf_guard_kernel *k, unsigned use)
{
    return k->uses >> use & 1 ? HF_GUARD_BY_LSM : (k->by_caps | k->by_entry | k->by_call | k->by_ring) >> use & 1 ? HF_GUARD_BY_SIGNAL : 0;
}

bool hf_guard_kernel_use_taxes(const struct hf_guard_kernel *k, unsigned use)
{
    return k->by_call >> use & 1;
}

unsigned hf_guard_kernel_file_rung(const struct hf_guard_kernel *k)
{
    return k->files ? HF_GUARD_BY_LSM : 0;
}

int hf_guard_kernel_device(struct hf_guard_kernel *k, const struct hf_guard_device *d, struct hf_err *err)
{
    uint32_t one = 1;
    if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.hf_guard_devices), d, &one, BPF_ANY) < 0)
        return hf_fail(err, -errno, "devices: %s", strerror(errno));
    return 0;
}

const char *hf_guard_kernel_why(const struct hf_guard_kernel *k)
{
    return k->why;
}

unsigned hf_guard_kernel_lib_rung(const struct hf_guard_kernel *k)
{
    return k->lib_rung;
}

bool hf_guard_kernel_libs(struct hf_guard_kernel *k, bool on)
{
    bool was = k->skel->bss->hf_guard_libs;
    k->skel->bss->hf_guard_libs = on;
    return was;
}

int hf_guard_kernel_stopped_fd(const struct hf_guard_kernel *k)
{
    return bpf_map__fd(k->skel->maps.hf_guard_stopped);
}

void hf_guard_stopped_go(int fd, uint32_t pid, bool may)
{
    if (bpf_map_delete_elem(fd, &pid) == 0)
        (void)kill((pid_t)pid, may ? SIGCONT : SIGKILL);
}

void hf_guard_stopped_all(int fd, bool untold)
{
    uint32_t pid, next, flags;
    bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;
    for (size_t i = 0; more && i < 2 * HF_GUARD_STOPPED_MAX; i++) {
        pid = next;
        more = bpf_map_get_next_key(fd, &pid, &next) == 0;
        if (bpf_map_lookup_elem(fd, &pid, &flags) == 0 && (!untold || (flags & HF_GUARD_UNTOLD)))
            hf_guard_stopped_go(fd, pid, !(flags & HF_GUARD_CLOSED));
    }
}

/* ---- what is enforced ---- */

static int count_rules(struct hf_guard_kernel *k, struct hf_err *err)
{
    int fd = bpf_map__fd(k->skel->maps.hf_guard_rules);
    uint64_t key, next;
    uint32_t n = 0, flags = 0;
    for (void *at = NULL; n < HF_GUARD_RULES_MAX && bpf_map_get_next_key(fd, at, &next) == 0; n++) {
        struct hf_guard_rule r = {.flags = 0};
        key = next;
        at = &key;
        if (bpf_map_lookup_elem(fd, &key, &r) == 0)
            flags |= r.flags;
    }
    k->skel->bss->hf_guard_rules_n = n;
    bool files = (flags & HF_GUARD_FILES) && k->files;
    /* they are many, and kernels before 5.13 attach no such program twice: once there they stay */
    files = files || k->demanded[DEMAND_FILES].on;
    k->early = (k->early && files) || k->demanded[DEMAND_EARLY].on;
    int rc = demand(k, DEMAND_CALL, flags >> HF_GUARD_USE_SHIFT & k->by_call, err);
    rc = rc < 0 ? rc : demand(k, DEMAND_MEMORY, k->memory && (flags >> (HF_GUARD_USE_SHIFT + HF_USE_PTRACE) & 1), err);
    rc = rc < 0 ? rc : demand(k, DEMAND_FILES, files, err);
    return rc < 0 ? rc : demand(k, DEMAND_EARLY, k->early, err);
}

int hf_guard_kernel_rule(struct hf_guard_kernel *k, const struct hf_guard_rule *rule, struct hf_err *err)
{
    if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.hf_guard_rules), &rule->container, rule, BPF_ANY) < 0)
        return hf_fail(err, -errno, "a container is not protected: %s", errno == E2BIG ? "there are too many" : strerror(errno));
    return count_rules(k, err);
}

/* Entries of a container (0: of all) in a map of files. */
static void drop_files(const struct bpf_map *map, uint64_t container)
{
    int fd = bpf_map__fd(map);
    struct hf_guard_key key, next;
    bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;
    for (size_t i = 0; more && i < 2 * HF_GUARD_VERDICTS_MAX; i++) {
        key = next;
        more = bpf_map_get_next_key(fd, &key, &next) == 0;
        if (!container || key.container == container)
            (void)bpf_map_delete_elem(fd, &key);
    }
}

void hf_guard_kernel_forget(struct hf_guard_kernel *k, uint64_t container)
{
    struct hf_err ignored = HF_ERR_INIT;
    if (bpf_map_delete_elem(bpf_map__fd(k->skel->maps.hf_guard_rules), &container) == 0)
        (void)count_rules(k, &ignored);
    drop_files(k->skel->maps.hf_guard_verdicts, container);
    hf_guard_kernel_let_go(k, container);
}

void hf_guard_kernel_flush_verdicts(struct hf_guard_kernel *k)
{
    drop_files(k->skel->maps.hf_guard_verdicts, 0);
}

int hf_guard_kernel_verdict(struct hf_guard_kernel *k, const struct hf_guard_key *key, const struct hf_guard_verdict *v)
{
    return bpf_map_update_elem(bpf_map__fd(k->skel->maps.hf_guard_verdicts), key, v, BPF_ANY) < 0 ? -errno : 0;
}

int hf_guard_kernel_hold(struct hf_guard_kernel *k, const struct hf_guard_key *key, uint32_t what)
{
    int fd = bpf_map__fd(k->skel->maps.hf_guard_held);
    uint32_t before = 0;
    (void)bpf_map_lookup_elem(fd, key, &before);
    what |= before;
    return bpf_map_update_elem(fd, key, &what, BPF_ANY) < 0 ? -errno : 0;
}

void hf_guard_kernel_let_go(struct hf_guard_kernel *k, uint64_t container)
{
    drop_files(k->skel->maps.hf_guard_held, container);
}

int hf_guard_kernel_open_before(struct hf_guard_kernel *k, struct hf_err *err)
{
    k->early = true;
    return count_rules(k, err);
}

uint64_t hf_guard_kernel_run_ns(const struct hf_guard_kernel *k)
{
    struct bpf_program *p;
    uint64_t all = 0;
    bpf_object__for_each_program(p, k->skel->obj)
    {
        struct bpf_prog_info info = {0};
        uint32_t n = sizeof info;
        if (bpf_program__autoload(p) && bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &n) == 0)
            all += info.run_time_ns;
    }
    return all;
}

void hf_guard_kernel_unserved(struct hf_guard_kernel *k, uint64_t container, bool may)
{
    int fd = bpf_map__fd(k->skel->maps.hf_guard_unserved);
    uint32_t one = 1;
    if (may)
        (void)bpf_map_update_elem(fd, &container, &one, BPF_ANY); /* no room: refused */
    else
        (void)bpf_map_delete_elem(fd, &container);
}

void hf_guard_kernel_free_process(struct hf_guard_kernel *k, uint32_t pid)
{
    uint32_t one = 1;
    k->skel->bss->hf_guard_free_used = 1;
    (void)bpf_map_update_elem(bpf_map__fd(k->skel->maps.hf_guard_free), &pid, &one, BPF_ANY);
}

bool hf_guard_kernel_is_free(struct hf_guard_kernel *k, uint32_t pid)
{
    uint32_t value;
    return k->skel->bss->hf_guard_free_used && bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.hf_guard_free), &pid, &value) == 0;
}

/* ---- destinations ---- */

static bool covers(const struct hf_prot_dest *wide, const struct hf_prot_dest *narrow)
{
    if (wide->bits > narrow->bits)
        return false;
    for (unsigned i = 0; i < wide->bits; i++)
        if ((wide->addr[i / 8] ^ narrow->addr[i / 8]) & (0x80u >> i % 8))
            return false;
    return true;
}

/* The kernel finds the longest prefix only, so each has the ports of those around it too. */
static int one_net(struct hf_guard_kernel *k, uint32_t number, uint32_t listen, const struct hf_prot_dests *all, const struct hf_prot_dest *d, struct hf_err *err)
{
    struct hf_guard_net_key key = {.bits = 64u + d->bits, .policy = number, .listen = listen};
    struct hf_guard_ports ports = {.n = 0};
    memcpy(key.addr, d->addr, 16);
    for (size_t i = 0; i < all->n; i++) {
        const struct hf_prot_dest *w = &all->v[i];
        if (!covers(w, d))
            continue;
        if (ports.n == HF_GUARD_PORTS)
            return hf_fail(err, HF_E_LIMIT, "more than %u ranges of ports for one destination", HF_GUARD_PORTS);
        ports.v[ports.n].from = w->port;
        ports.v[ports.n].to = w->port_to;
        ports.v[ports.n++].protocol = w->protocol;
    }
    if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.hf_guard_nets), &key, &ports, BPF_ANY) < 0)
        return hf_fail(err, -errno, "destinations: %s", strerror(errno));
    return 0;
}

int hf_guard_kernel_nets(struct hf_guard_kernel *k, uint32_t number, const struct hf_prot_policy *p, struct hf_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < p->destinations.n && rc == 0; i++)
        rc = one_net(k, number, 0, &p->destinations, &p->destinations.v[i], err);
    for (size_t i = 0; i < p->listen.n && rc == 0; i++)
        rc = one_net(k, number, 1, &p->listen, &p->listen.v[i], err);
    return rc;
}

/* ---- what was refused ---- */

int hf_guard_kernel_fd(const struct hf_guard_kernel *k)
{
    return ring_buffer__epoll_fd(k->ring);
}

void hf_guard_kernel_told(struct hf_guard_kernel *k, void (*fn)(void *ctx, const struct hf_guard_told *t), void *ctx)
{
    k->fn = fn;
    k->fn_ctx = ctx;
    (void)ring_buffer__consume(k->ring);
    k->fn = NULL;
}
