// SPDX-License-Identifier: Apache-2.0
/* The daemon's children: how each begins. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "hand/run.h"
#include "daemon/hub.h"
#include "daemon/supervise-internal.h"
#ifdef HF_CONSOLE
#include "console/console.h"
#include "console/oidc.h"
#include "store/store.h"
#endif

#define DOCKER_HOST "unix:///var/run/docker.sock" /* the preset: then children look where they always do */
enum { URGENT = -10, HUB_TRIES = 1000, HUB_NAP_MS = 10 };

static volatile int child_stop;
static int child_stop_fd = -1;

static void on_term(int sig)
{
    int saved = errno;
    (void)sig;
    child_stop = 1;
    if (child_stop_fd >= 0)
        (void)!write(child_stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    errno = saved;
}

/* Ctrl-C reaches the whole terminal: who ends when is for the supervisor to say. */
static void own_signals(void)
{
    struct sigaction act = {.sa_handler = on_term};
    sigset_t none;
    child_stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigaction(SIGTERM, &act, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_all_but(struct supervisor *s, const int *keep, size_t n)
{
    int *const fds[] = {&s->lock_fd, &s->status_fd, &s->signal_fd, &s->listen_fd, &s->lines[0], &s->lines[1], &s->acts[0], &s->acts[1], &s->live[0], &s->live[1], &s->serve[0], &s->serve[1], &s->hub_hand[0],
            &s->hub_hand[1], &s->console_hand[0], &s->console_hand[1]};
    for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++) {
        bool kept = false;
        for (size_t k = 0; k < n; k++)
            kept = kept || keep[k] == *fds[i];
        if (!kept)
            hf_closep(fds[i]);
    }
}

/* Who keeps every processor busy must not delay that it is seen and told; what takes long has low priorities of its own. */
static void urgent(void)
{
    (void)setpriority(PRIO_PROCESS, 0, URGENT);
}

/* Where what is started from here finds images: the settings may be from a file that it does not know. */
static void images_are(const struct hf_config *c)
{
    const struct {
        const char *name, *value, *preset;
    } all[] = {{"HOLDFAST_DOCKER_HOST", c->docker_host, DOCKER_HOST}, {"HOLDFAST_CONTAINERD_ROOT", c->containerd_root, ""}, {"HOLDFAST_PODMAN_ROOT", c->podman_root, ""}};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        if (strcmp(all[i].value, all[i].preset) != 0)
            (void)setenv(all[i].name, all[i].value, 1);
}

/* ---- watch ---- */

static _Noreturn void become_watch(struct supervisor *s, pid_t parent)
{
    const struct hf_config *c = s->c;
    const char *argv[16] = {"holdfast", "watch", "--json"};
    char state[4200], rules[4200], exceptions[4200], policy[4200], acts[32];
    size_t n = 3;
    sigset_t none;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    snprintf(state, sizeof state, "--state=%s", c->daemon_state);
    argv[n++] = state;
    if (*c->daemon_rules && snprintf(rules, sizeof rules, "--rules=%s", c->daemon_rules) > 0)
        argv[n++] = rules;
    if (*c->daemon_exceptions && snprintf(exceptions, sizeof exceptions, "--exceptions=%s", c->daemon_exceptions) > 0)
        argv[n++] = exceptions;
    if (*c->daemon_policy && snprintf(policy, sizeof policy, "--policy=%s", c->daemon_policy) > 0)
        argv[n++] = policy;
    if (c->daemon_respond)
        argv[n++] = "--respond";
    if (s->o->no_sandbox)
        argv[n++] = "--no-sandbox";
    snprintf(acts, sizeof acts, "%d", s->acts[1]);
    images_are(c);
    if (null < 0 || dup2(null, 0) < 0 || dup2(s->lines[1], 1) < 0 || fcntl(s->acts[1], F_SETFD, 0) < 0 || setenv("HOLDFAST_ACTS_FD", acts, 1) < 0)
        _exit(127);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* watch sets its own: until then Ctrl-C is not for it */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    urgent();
    if (getppid() == parent)
        execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* ---- hub ---- */

static _Noreturn void become_hub(struct supervisor *s, pid_t parent)
{
    struct hf_err err = HF_ERR_INIT;
    const int keep[] = {s->lines[0], s->acts[0], s->live[0], s->hub_hand[0], s->serve[0]};
    own_signals();
    prctl(PR_SET_NAME, "holdfast-hub");
    urgent();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    close_all_but(s, keep, HF_ARRAY_LEN(keep));
    struct hf_hub_opts o = {.config = s->c, .shared = s->sh, .lines_fd = s->lines[0], .acts_fd = s->acts[0], .console_fd = s->procs[HF_PROC_CONSOLE].wanted ? s->live[0] : -1, .hand_fd = s->hub_hand[0],
            .serve_fd = s->serve[0], .stop_fd = child_stop_fd, .ready_fd = s->kick_fd, .user_uid = s->uid, .user_gid = s->gid, .drop = true, .again = s->hub_before, .no_sandbox = s->o->no_sandbox};
    int rc = getppid() == parent ? hf_hub_run(&o, &err) : 0;
    if (rc < 0)
        hf_log(HF_LOG_ERR, "hub", "%s", err.msg);
    _exit(rc < 0 ? 3 : 0);
}

/* ---- console ---- */

#ifdef HF_CONSOLE
static void console_ready(void *ctx, const char *url)
{
    struct supervisor *s = ctx;
    snprintf(s->sh->console_url, sizeof s->sh->console_url, "%.255s", url);
    HF_SHARED_SET(s->sh->console_ready, 1);
    (void)!write(s->kick_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

/* The hub makes the store that the console reads.  A hub that cannot is no reason to wait for ever: the console says what is wrong itself. */
static void wait_for_hub(const struct supervisor *s)
{
    for (unsigned i = 0; i < HUB_TRIES && !HF_SHARED_GET(s->sh->hub_ready) && !child_stop; i++)
        nanosleep(&(struct timespec){0, HUB_NAP_MS * 1000000l}, NULL);
}

static _Noreturn void become_console(struct supervisor *s, pid_t parent)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_rules *rules = NULL;
    struct hf_oidc_conf *provider = NULL;
    const struct hf_config *c = s->c;
    const int keep[] = {s->listen_fd, s->live[1], s->serve[1], s->console_hand[0]};
    own_signals();
    prctl(PR_SET_NAME, "holdfast-cons");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    close_all_but(s, keep, HF_ARRAY_LEN(keep));
    HF_SHARED_SET(s->sh->console_ready, 0);
    if (s->o->rules && s->o->rules(c->daemon_rules, &rules, &err) < 0)
        hf_log(HF_LOG_WARNING, "console", "rules are not shown: %s", err.msg);
    struct hf_console_opts o = {.store_url = c->store_url, .listen = c->console_listen, .tls_cert = or_null(c->console_tls_cert), .tls_key = or_null(c->console_tls_key),
            .public_url = or_null(c->console_public_url), .listen_fd = s->listen_fd, .live_fd = s->live[1], .hub_fd = s->serve[1], .hand_fd = s->console_hand[0], .user_uid = (int)s->uid, .user_gid = (int)s->gid,
            .no_sandbox = s->o->no_sandbox, .behind_proxy = c->console_behind_proxy != 0, .stop = &child_stop, .rules = rules, .ready = console_ready, .ready_ctx = s};
    err = (struct hf_err)HF_ERR_INIT;
    wait_for_hub(s);
    int rc = *c->console_oidc ? hf_oidc_load(&provider, c->console_oidc, &err) : 0;
    if (rc < 0) /* passwords still work */
        hf_log(HF_LOG_ERR, "console", "nobody can sign in by OpenID Connect: %s", err.msg);
    o.oidc = provider;
    rc = getppid() == parent ? hf_console_run(&o, &err) : 0;
    if (rc < 0)
        hf_log(HF_LOG_ERR, "console", "%s", err.msg);
    _exit(rc < 0 ? 3 : 0);
}

void supervisor_link(struct supervisor *s)
{
    pid_t pid = fork();
    if (pid != 0)
        return;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf url = HF_BUF_INIT(4096);
    struct hf_store *store = NULL;
    close_all_but(s, NULL, 0);
    int rc = hf_sandbox_drop(s->uid, s->gid, &err);
    rc = rc < 0 ? rc : hf_store_open(&store, s->c->store_url, &err);
    rc = rc < 0 ? rc : hf_console_link(store, s->sh->console_url, &url, &err);
    hf_store_close(store);
    if (rc < 0)
        hf_log(HF_LOG_ERR, "link", "no link to sign in with: %s", err.msg);
    else
        printf("Console: %s\n", hf_buf_z(&url));
    fflush(stdout);
    _exit(rc < 0);
}
#else
static _Noreturn void become_console(struct supervisor *s, pid_t parent)
{
    (void)s;
    (void)parent;
    _exit(3);
}
void supervisor_link(struct supervisor *s)
{
    (void)s;
}
#endif

/* ---- hand ---- */

static void excepted(void *ctx)
{
    kill(*(pid_t *)ctx, SIGUSR1);
}

static _Noreturn void become_hand(struct supervisor *s, pid_t parent)
{
    struct hf_err err = HF_ERR_INIT;
    const int keep[] = {s->hub_hand[1], s->console_hand[1]};
    char exceptions[4200] = "";
    own_signals();
    images_are(s->c);
    prctl(PR_SET_NAME, "holdfast-hand");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    close_all_but(s, keep, HF_ARRAY_LEN(keep));
    if (*s->c->daemon_exceptions)
        snprintf(exceptions, sizeof exceptions, "%s/exceptions.yaml", s->c->daemon_exceptions);
    struct hf_hand_opts o = {.askers = {{"hub", s->hub_hand[1], false}, {"console", s->console_hand[1], false}},
            .place = {.state = s->c->daemon_state, .exceptions = *exceptions ? exceptions : NULL, .db = s->c->db_path, .cache = s->c->cache_dir, .verify_ignore = s->c->daemon_verify_ignore,
                    .ignore = *s->c->daemon_ignore_file ? s->c->daemon_ignore_file : NULL}, .stop = &child_stop, .again = s->hand_before,
            .wake_fd = child_stop_fd, .excepted = excepted, .ctx = &parent, .asked = &s->sh->hand_asked, .refused = &s->sh->hand_refused, .failed = &s->sh->hand_failed};
    int rc = getppid() == parent ? hf_hand_run(&o, &err) : 0;
    if (rc < 0)
        hf_log(HF_LOG_ERR, "hand", "%s", err.msg);
    _exit(rc < 0 ? 3 : 0);
}

int supervisor_start(struct supervisor *s, enum hf_proc which, struct hf_err *err)
{
    static void (*const become[HF_PROCS])(struct supervisor *, pid_t) = {become_watch, become_hub, become_console, become_hand};
    struct proc *p = &s->procs[which];
    pid_t self = getpid();
    fflush(stdout);
    fflush(stderr);
    if (which == HF_PROC_HUB)
        HF_SHARED_SET(s->sh->hub_ready, 0);
    pid_t pid = fork();
    if (pid == 0) {
        become[which](s, self);
        _exit(127); /* none of them returns */
    }
    if (pid < 0)
        return hf_fail(err, -EAGAIN, "%s could not be started: %s", hf_procs[which], strerror(errno));
    p->pid = pid;
    p->started_ms = supervisor_now_ms();
    p->started_s = time(NULL);
    p->next_ms = 0;
    s->hand_before = s->hand_before || which == HF_PROC_HAND;
    s->hub_before = s->hub_before || which == HF_PROC_HUB;
    return 0;
}
