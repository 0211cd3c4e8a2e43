// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/hub.h"
#include "daemon/supervise-internal.h"

enum {
    PAUSE_MS = 100, PAUSE_MAX_MS = 30000,
    STEADY_MS = 30000,      /* who lived so long begins anew with short pauses */
    QUICK_MS = 20000, GIVE_UP = 3, /* watch: so often within so long with exit code 3: this machine cannot be watched */
    WATCH_END_MS = 20000, END_MS = 12000,
    UNREAD_MS = 200, UNREAD_MAX = 768 << 10, UNREAD_KEEP = 256 << 10,
    TOLD_MAX = 2048, TELL_AGAIN_MS = 600000,
    USAGE = 2, FAILED = 3,  /* exit codes of a command that cannot begin */
};
const char *const hf_procs[HF_PROCS] = {"watch", "hub", "console", "hand"};

uint64_t supervisor_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* ---- what ended ---- */

/* An alert of our own, as a line for the hub: whoever kills a part of this wants not to be seen. */
static void tell_alert(struct supervisor *s, enum hf_proc which, const char *how)
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    hf_autobuf line = HF_BUF_INIT(TOLD_MAX), text = HF_BUF_INIT(512);
    struct timespec now;
    struct tm tm;
    struct hf_jw w;
    char when[64], day[32], id[27];
    unsigned char chance[16] = {0};
    (void)!getrandom(chance, sizeof chance, GRND_NONBLOCK);
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
    for (size_t i = 0; i < 26; i++) /* as watch's own: ten letters of the time, so that they are in order, sixteen by chance */
        id[i] = letters[i < 10 ? ms >> (5 * (9 - i)) & 31 : chance[i - 10] % 32];
    id[26] = 0;
    gmtime_r(&now.tv_sec, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when, sizeof when, "%s.%09ldZ", day, now.tv_nsec);
    hf_buf_addf(&text, "Holdfast's process \"%s\" %s; it is started again", hf_procs[which], how);
    hf_jw_init(&w, &line, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.event/1");
    hf_jw_kstrz(&w, "time", when);
    hf_jw_kstrz(&w, "type", "alert");
    hf_jw_kstrz(&w, "id", id);
    hf_jw_kstrz(&w, "rule", "Part of Holdfast was killed");
    hf_jw_kstrz(&w, "severity", which == HF_PROC_WATCH || which == HF_PROC_HAND ? "high" : "medium");
    hf_jw_kstrs(&w, "tags", (struct hf_span[]){HF_S("holdfast")}, 1);
    hf_jw_kstrs(&w, "tactics", (struct hf_span[]){HF_S("defense-evasion")}, 1);
    hf_jw_kstrs(&w, "techniques", (struct hf_span[]){HF_S("T1562.001")}, 1);
    hf_jw_kstr(&w, "summary", hf_buf_span(&text));
    hf_jw_kstrz(&w, "what", "A process of Holdfast itself was ended by a signal. What happened until it ran again was not seen.");
    hf_jw_kstrz(&w, "do", "Find out who sent the signal: somebody with root on this machine, or the kernel for want of memory.");
    hf_jw_ku64(&w, "count", 1);
    hf_jw_kstrz(&w, "event_type", "signal");
    hf_jw_object_end(&w);
    hf_buf_addc(&line, '\n');
    if (hf_buf_ok(&line))
        (void)!write(s->acts[1], line.p, line.n); /* at once or not at all: below PIPE_BUF, and nobody is waited for */
}

static void how_it_ended(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "ended with exit code %d", WEXITSTATUS(status));
}

static void plan(struct supervisor *s, enum hf_proc which, int status)
{
    struct proc *p = &s->procs[which];
    uint64_t now = supervisor_now_ms(), lived = now - p->started_ms;
    bool unwatchable = which == HF_PROC_WATCH && WIFEXITED(status) && (WEXITSTATUS(status) == FAILED || WEXITSTATUS(status) == USAGE) && lived < QUICK_MS;
    if (which == HF_PROC_HUB && s->reload_hub) {
        s->reload_hub = false;
        p->next_ms = now;
        return;
    }
    p->quick = unwatchable ? p->quick + 1 : 0;
    p->pause_ms = !p->pause_ms || lived > STEADY_MS ? PAUSE_MS : HF_MIN(p->pause_ms * 2, (uint64_t)PAUSE_MAX_MS);
    p->restarts++;
    if (p->quick >= GIVE_UP) {
        p->given_up = true;
        hf_log(HF_LOG_ERR, "watch", "the containers of this machine cannot be watched (the messages before say why; \"holdfast sensor features\" says more): console and scans go on; SIGHUP tries again");
        return;
    }
    p->next_ms = now + p->pause_ms;
    hf_log(WIFSIGNALED(status) ? HF_LOG_ERR : HF_LOG_WARNING, "restart", "%s %s after %llu s; it is started again in %llu ms", hf_procs[which], p->last, (unsigned long long)(lived / 1000),
            (unsigned long long)p->pause_ms);
    if (WIFSIGNALED(status) && (!p->told_ms || now - p->told_ms > TELL_AGAIN_MS)) {
        p->told_ms = now;
        tell_alert(s, which, p->last);
    }
    if (which == HF_PROC_WATCH)
        (void)!write(s->lines[1], "\n", 1); /* ends a line that was cut off */
}

static void reap(struct supervisor *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (unsigned i = 0; i < HF_PROCS; i++) {
            struct proc *p = &s->procs[i];
            if (p->pid != pid)
                continue;
            p->pid = 0;
            how_it_ended(status, p->last, sizeof p->last);
            if (!s->stopping)
                plan(s, i, status);
        }
}

/* ---- reload ---- */

static void reload_watch(struct supervisor *s)
{
    struct proc *p = &s->procs[HF_PROC_WATCH];
    if (p->pid)
        kill(p->pid, SIGHUP);
    if (p->given_up) {
        p->given_up = false;
        p->quick = 0;
        p->next_ms = supervisor_now_ms();
    }
}

/* Channels' secrets are root's to read: the hub gives its place to a new one, if that one will find everything in order. */
static void reload_channels(struct supervisor *s)
{
    struct hf_err err = HF_ERR_INIT;
    int status = 0;
    pid_t pid = fork(); /* a parser with secrets: not in this process */
    if (pid == 0) {
        int rc = hf_hub_check_notify(s->c, &err);
        if (rc < 0)
            hf_log(HF_LOG_ERR, "reload", "channels stay as they were: %s", err.msg);
        _exit(rc < 0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0 || status || !s->procs[HF_PROC_HUB].pid)
        return;
    s->reload_hub = true;
    kill(s->procs[HF_PROC_HUB].pid, SIGTERM);
}

/* ---- while there is no hub ---- */

/* Watching must not stop because nobody reads: what is too much is thrown away, and counted. */
static void make_room(struct supervisor *s)
{
    int waiting = 0;
    char piece[16384];
    if (s->procs[HF_PROC_HUB].pid || ioctl(s->lines[0], FIONREAD, &waiting) < 0 || waiting < UNREAD_MAX)
        return;
    if (!HF_SHARED_GET(s->sh->unread_bytes))
        hf_log(HF_LOG_ERR, "lines", "there is no hub to read what is watched: lines are lost");
    while (waiting > UNREAD_KEEP) {
        struct pollfd p = {s->lines[0], POLLIN, 0};
        ssize_t n = poll(&p, 1, 0) > 0 ? read(s->lines[0], piece, sizeof piece) : 0;
        if (n <= 0)
            break;
        waiting -= (int)n;
        HF_SHARED_ADD(s->sh->unread_bytes, (uint64_t)n);
    }
}

/* ---- the loop ---- */

static void start_due(struct supervisor *s)
{
    struct hf_err err = HF_ERR_INIT;
    for (unsigned i = 0; i < HF_PROCS; i++) {
        struct proc *p = &s->procs[i];
        if (!p->wanted || p->pid || !p->next_ms || supervisor_now_ms() < p->next_ms)
            continue;
        if (supervisor_start(s, i, &err) < 0) {
            p->next_ms = supervisor_now_ms() + PAUSE_MAX_MS;
            hf_log(HF_LOG_ERR, "start", "%s", err.msg);
        }
    }
}

static int timeout(const struct supervisor *s)
{
    uint64_t now = supervisor_now_ms(), next = UINT64_MAX;
    for (unsigned i = 0; i < HF_PROCS; i++)
        if (s->procs[i].wanted && !s->procs[i].pid && s->procs[i].next_ms)
            next = HF_MIN(next, HF_MAX(s->procs[i].next_ms, now));
    if (!s->procs[HF_PROC_HUB].pid)
        next = HF_MIN(next, now + UNREAD_MS);
    return next == UINT64_MAX ? -1 : (int)HF_MIN(next - now, (uint64_t)60000);
}

static void look_ready(struct supervisor *s)
{
    uint64_t ignored;
    (void)!read(s->kick_fd, &ignored, sizeof ignored);
    if (s->ready || !HF_SHARED_GET(s->sh->hub_ready) || (s->procs[HF_PROC_CONSOLE].wanted && !HF_SHARED_GET(s->sh->console_ready)))
        return;
    s->ready = true;
    hf_log(HF_LOG_NOTICE, "ready", "the daemon is ready%s%.200s", s->procs[HF_PROC_CONSOLE].wanted ? "; console: " : "", s->procs[HF_PROC_CONSOLE].wanted ? s->sh->console_url : "");
    supervisor_notify("READY=1\nSTATUS=watching");
    if (s->o->link && s->procs[HF_PROC_CONSOLE].wanted)
        supervisor_link(s);
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo i;
    while (read(s->signal_fd, &i, sizeof i) == (ssize_t)sizeof i)
        switch (i.ssi_signo) {
        case SIGCHLD:
            reap(s);
            break;
        case SIGHUP:
            if (s->terminal && !isatty(STDERR_FILENO)) { /* it is gone */
                s->stopping = true;
                break;
            }
            hf_log(HF_LOG_NOTICE, "reload", "rules, exceptions and channels are read again");
            supervisor_notify("RELOADING=1");
            reload_watch(s);
            reload_channels(s);
            supervisor_notify("READY=1");
            break;
        case SIGUSR1:
            reload_watch(s);
            break;
        default:
            s->hard = s->stopping; /* a second time: now */
            s->stopping = true;
            break;
        }
}

static void wait_for(struct supervisor *s, int ms)
{
    struct pollfd p[3] = {{s->signal_fd, POLLIN, 0}, {s->kick_fd, POLLIN, 0}, {s->status_fd, POLLIN, 0}};
    if (poll(p, 3, ms) <= 0)
        return;
    if (p[0].revents)
        on_signal(s);
    if (p[1].revents)
        look_ready(s);
    if (p[2].revents)
        supervisor_answer(s);
}

/* One that is to end: asked, then not asked any more. */
static void end_one(struct supervisor *s, enum hf_proc which, unsigned ms)
{
    struct proc *p = &s->procs[which];
    uint64_t until = supervisor_now_ms() + ms;
    if (p->pid)
        kill(p->pid, SIGTERM);
    while (p->pid && supervisor_now_ms() < until && !s->hard)
        wait_for(s, 100);
    if (!p->pid)
        return;
    hf_log(HF_LOG_WARNING, "end", "%s did not end in time: it is killed", hf_procs[which]);
    kill(p->pid, SIGKILL);
    for (unsigned i = 0; p->pid && i < 50; i++)
        wait_for(s, 100);
}

/* What watch says last is read, what was read is written, what was asked is done. */
static void end_all(struct supervisor *s)
{
    supervisor_notify("STOPPING=1");
    end_one(s, HF_PROC_WATCH, WATCH_END_MS);
    end_one(s, HF_PROC_CONSOLE, END_MS);
    end_one(s, HF_PROC_HUB, END_MS);
    end_one(s, HF_PROC_HAND, END_MS);
}

static int signals(struct supervisor *s, struct hf_err *err)
{
    sigset_t set;
    sigemptyset(&set);
    const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        sigaddset(&set, all[i]);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || (s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return hf_fail(err, -errno, "no signals: %s", strerror(errno));
    return 0;
}

int hf_supervise(const struct hf_supervise_opts *o, struct hf_err *err)
{
    struct supervisor s = {.o = o, .c = o->config, .started_s = time(NULL), .terminal = isatty(STDERR_FILENO)};
    int rc = supervisor_prepare(&s, err);
    rc = rc < 0 ? rc : signals(&s, err);
    if (rc == 0) {
        for (unsigned i = 0; i < HF_PROCS; i++) {
            s.procs[i].wanted = true;
            s.procs[i].next_ms = 1;
        }
        s.procs[HF_PROC_CONSOLE].wanted = s.listen_fd >= 0;
        while (!s.stopping) {
            start_due(&s);
            make_room(&s);
            wait_for(&s, timeout(&s));
        }
        end_all(&s);
    }
    supervisor_done(&s);
    return rc;
}
