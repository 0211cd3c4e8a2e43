// SPDX-License-Identifier: Apache-2.0
#include "hand/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "hand/hand.h"
#include "hand/serve.h"

enum { ERROR_MAX = 8 << 10, PIECE = 64 << 10, IDLE_NICE = 19, STOP_MS = 2000, RELAX_MS = 60000 };
#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h: class idle */

struct job {
    bool used, too_much, timed_out;
    unsigned asker;
    struct hf_hask ask;
    pid_t pid;
    int pid_fd, out, errors; /* of the child */
    struct hf_buf result, told;
    uint64_t began_ms, until_ms;
};
struct hand {
    const struct hf_hand_opts *o;
    struct job jobs[HF_HAND_AT_ONCE];
    bool gone[HF_HAND_ASKERS];
    char buf[HF_HAND_REQUEST_MAX + 1];
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void count(uint64_t *n)
{
    if (n)
        __atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

/* One line for every request, whatever becomes of it.  Texts are the asker's: escaped by the log. */
static void log_ask(const struct hf_hand_asker *from, const struct hf_hask *a, enum hf_log_level level, const char *outcome)
{
    hf_log(level, "hand", "%s asks: %s%.*s%s%.*s by \"%.*s\" via %.*s: %s", from->name, a->dry_run ? "(dry run) " : "", HF_SPAN_ARG(a->what), a->on.n ? " of " : "", (int)HF_MIN(a->on.n, (size_t)80),
            a->on.p ? a->on.p : "", HF_SPAN_ARG(a->by.n ? a->by : HF_S("-")), HF_SPAN_ARG(a->via.n ? a->via : hf_span_z(from->name)), outcome);
}

/* ---- the child ---- */

/* What takes long, and can be begun anew. */
static bool only_reads(const struct hf_hask *a)
{
    return a->kind == HF_HASK_SCAN || a->kind == HF_HASK_VERIFY;
}

static void settings_only(void)
{
    char *keep[64];
    size_t n = 0;
    const char *const names[] = {"HOLDFAST_", "HF_", "PATH=", "HOME=", "LC_", "LANG=", "DOCKER_HOST="};
    for (char **e = environ; e && *e && n < HF_ARRAY_LEN(keep); e++)
        for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
            if (!strncmp(*e, names[i], strlen(names[i]))) {
                keep[n++] = strdup(*e);
                break;
            }
    clearenv();
    for (size_t i = 0; i < n; i++)
        if (keep[i])
            (void)putenv(keep[i]);
}

static _Noreturn void child(const struct hf_hask *a, int in, int out, int errors, pid_t parent)
{
    char *argv[HF_HASK_ARGS + 2] = {(char *)(uintptr_t)"holdfast"};
    sigset_t none;
    for (size_t i = 0; i < a->argc; i++)
        argv[i + 1] = (char *)(uintptr_t)a->argv[i];
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, only_reads(a) ? SIGKILL : 0);
    if (getppid() != parent && only_reads(a))
        _exit(127);
    if (only_reads(a)) {
        setpriority(PRIO_PROCESS, 0, IDLE_NICE);
        syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE);
    }
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(errors, 2) < 0 || chdir("/") < 0)
        _exit(127);
    close_range(3, ~0u, 0);
    settings_only();
    execv("/proc/self/exe", argv);
    _exit(127);
}

static int input_of(const struct hf_hask *a, struct hf_err *err)
{
    if (!a->input.n) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? hf_fail(err, -errno, "/dev/null: %s", strerror(errno)) : fd;
    }
    int fd = hf_serve_memory(a->input, err);
    if (fd >= 0 && lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        return hf_fail(err, -errno, "the input cannot be read");
    }
    return fd;
}

static int start(struct job *j, struct hf_err *err)
{
    int out[2] = {-1, -1}, errors[2] = {-1, -1};
    hf_autoclose int in = input_of(&j->ask, err);
    if (in < 0)
        return in;
    if (pipe2(out, O_CLOEXEC) < 0)
        return hf_fail(err, -errno, "no pipe: %s", strerror(errno));
    int rc = pipe2(errors, O_CLOEXEC) < 0 ? -errno : 0;
    pid_t self = getpid();
    j->pid = rc < 0 ? -1 : fork();
    if (j->pid == 0)
        child(&j->ask, in, out[1], errors[1], self);
    rc = j->pid < 0 ? hf_fail(err, -EAGAIN, "no process could be started: %s", strerror(errno)) : 0;
    j->pid_fd = rc < 0 ? -1 : (int)syscall(SYS_pidfd_open, j->pid, 0);
    hf_closep(&out[1]);
    hf_closep(&errors[1]);
    j->out = out[0];
    j->errors = errors[0];
    if (rc == 0) {
        fcntl(j->out, F_SETFL, O_NONBLOCK);
        fcntl(j->errors, F_SETFL, O_NONBLOCK);
    }
    return rc;
}

/* ---- requests ---- */

static void answer(struct hand *h, struct job *j, int rc, const char *why, struct hf_span bytes)
{
    const struct hf_hand_asker *from = &h->o->askers[j->asker];
    struct hf_err err = HF_ERR_INIT;
    hf_autoclose int memfd = rc == 0 ? hf_serve_memory(bytes, &err) : -1;
    if (rc == 0 && memfd < 0) {
        rc = memfd;
        why = err.msg;
    }
    if (hf_serve_answer(from->fd, j->ask.id, rc, why, memfd, &err) < 0)
        hf_log(HF_LOG_WARNING, "hand", "%s: %s", from->name, err.msg);
}

static void free_job(struct job *j)
{
    hf_closep(&j->out);
    hf_closep(&j->errors);
    hf_closep(&j->pid_fd);
    hf_hask_done(&j->ask);
    hf_buf_done(&j->result);
    hf_buf_done(&j->told);
    j->used = false;
}

/* What only reads is asked every minute: that is nothing to note by itself. */
static enum hf_log_level usual(const struct hf_hask *a)
{
    return a->kind == HF_HASK_LIST || a->kind == HF_HASK_PROTECT ? HF_LOG_INFO : HF_LOG_NOTICE;
}

static int allowed(const struct hand *h, const struct job *j, struct hf_err *err)
{
    if (j->ask.kind == HF_HASK_NOTIFY_TEST)
        return hf_fail(err, HF_E_USAGE, "notify.test is asked of the hub");
    for (size_t i = 0; i < HF_HAND_AT_ONCE; i++)
        if (h->jobs[i].used && &h->jobs[i] != j && h->jobs[i].ask.kind == j->ask.kind && only_reads(&j->ask))
            return hf_fail(err, -EBUSY, j->ask.kind == HF_HASK_SCAN ? "another image is being scanned" : "another container is being verified");
    return 0;
}

static void request(struct hand *h, unsigned asker, struct job *j, struct hf_span text)
{
    struct hf_err err = HF_ERR_INIT;
    const struct hf_hand_asker *from = &h->o->askers[asker];
    struct hf_hask_place place = h->o->place;
    place.force = from->force;
    *j = (struct job){.used = true, .asker = asker, .pid = -1, .pid_fd = -1, .out = -1, .errors = -1, .result = HF_BUF_INIT(HF_HAND_RESULT_MAX), .told = HF_BUF_INIT(ERROR_MAX), .began_ms = now_ms()};
    count(h->o->asked);
    int rc = hf_hask_read(&j->ask, text, &place, &err);
    rc = rc < 0 ? rc : allowed(h, j, &err);
    rc = rc < 0 ? rc : start(j, &err);
    if (rc == 0) {
        j->until_ms = j->began_ms + (uint64_t)j->ask.timeout_s * 1000u;
        log_ask(from, &j->ask, usual(&j->ask), "begun");
        return;
    }
    char outcome[sizeof err.msg + 16];
    snprintf(outcome, sizeof outcome, "refused: %s", err.msg);
    log_ask(from, &j->ask, HF_LOG_WARNING, outcome);
    count(h->o->refused);
    if (j->ask.id)
        answer(h, j, rc, err.msg, hf_span(NULL, 0));
    free_job(j);
}

/* ---- results ---- */

/* What is there now.  false: the end was reached. */
static bool drain(int fd, struct hf_buf *into, bool *too_much)
{
    char piece[PIECE];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        if (into->n + (size_t)n > into->max)
            *too_much = true; /* the rest is read, and forgotten */
        else
            hf_buf_add(into, piece, (size_t)n);
    }
}

/* "holdfast: error: ..." of the last line, as a message. */
static struct hf_span reason(struct hf_span told)
{
    struct hf_span line, last = {NULL, 0};
    while (hf_span_line(&told, &line))
        if (hf_span_trim(line).n)
            last = hf_span_trim(line);
    for (const char *const *p = (const char *const[]){"holdfast: ", "error: ", "err: ", NULL}; *p; p++)
        if (hf_span_starts(last, hf_span_z(*p)))
            last = hf_span_from(last, strlen(*p));
    return last;
}

/* {"file": ..., "text": ...} of what `rules except` printed: the file and a colon, then the text. */
static void except_result(struct hf_span printed, struct hf_buf *out)
{
    struct hf_span file;
    struct hf_jw w;
    if (!hf_span_line(&printed, &file))
        file = HF_S("");
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "file", file.n ? hf_span_sub(file, 0, file.n - 1) : file);
    hf_jw_kstr(&w, "text", printed);
    hf_jw_object_end(&w);
}

static int code_of(const struct job *j, int status)
{
    if (j->too_much || j->timed_out)
        return j->timed_out ? -ETIMEDOUT : HF_E_LIMIT;
    if (!WIFEXITED(status))
        return -EINTR;
    if (WEXITSTATUS(status) == 1 && j->ask.kind == HF_HASK_VERIFY) /* something differs: that is the answer */
        return 0;
    switch (WEXITSTATUS(status)) {
    case 0:
    case 4: /* done, though not everything could be examined: the result says what */
        return 0;
    case 2:
        return HF_E_USAGE;
    default:
        return -EIO;
    }
}

static void finish(struct hand *h, struct job *j)
{
    int status = 0;
    bool ignored = false;
    char why[512], outcome[600];
    hf_autobuf made = HF_BUF_INIT(HF_HAND_RESULT_MAX);
    if (waitpid(j->pid, &status, 0) < 0)
        status = 0x7f00;
    (void)drain(j->out, &j->result, &j->too_much);
    (void)drain(j->errors, &j->told, &ignored);
    int rc = code_of(j, status);
    struct hf_span r = reason(hf_buf_span(&j->told));
    if (j->timed_out)
        snprintf(why, sizeof why, "it took longer than %u s and was ended", j->ask.timeout_s);
    else if (j->too_much)
        snprintf(why, sizeof why, "its result is over %d MiB", HF_HAND_RESULT_MAX >> 20);
    else
        snprintf(why, sizeof why, "%.*s", (int)HF_MIN(r.n, sizeof why - 1), r.n ? r.p : "it ended without a word");
    struct hf_span bytes = hf_buf_span(&j->result);
    if (rc == 0 && j->ask.kind == HF_HASK_EXCEPT) {
        except_result(bytes, &made);
        bytes = hf_buf_span(&made);
        if (!j->ask.dry_run && h->o->excepted)
            h->o->excepted(h->o->ctx);
    }
    snprintf(outcome, sizeof outcome, "%s after %llu ms%s%s", rc == 0 ? "done" : "failed", (unsigned long long)(now_ms() - j->began_ms), rc == 0 ? "" : ": ", rc == 0 ? "" : why);
    log_ask(&h->o->askers[j->asker], &j->ask, rc == 0 ? usual(&j->ask) : HF_LOG_WARNING, outcome);
    if (rc < 0)
        count(h->o->failed);
    answer(h, j, rc, why, bytes);
    free_job(j);
}

/* ---- the loop ---- */

static struct job *free_one(struct hand *h)
{
    for (size_t i = 0; i < HF_HAND_AT_ONCE; i++)
        if (!h->jobs[i].used)
            return &h->jobs[i];
    return NULL;
}

static void take(struct hand *h, unsigned asker)
{
    struct job *j;
    while ((j = free_one(h))) {
        struct hf_err err = HF_ERR_INIT;
        size_t n = 0;
        int rc = hf_serve_take(h->o->askers[asker].fd, h->buf, HF_HAND_REQUEST_MAX, &n, &err);
        if (rc == 0)
            return;
        if (rc == HF_E_LIMIT) {
            count(h->o->refused);
            hf_log(HF_LOG_WARNING, "hand", "%s: %s; it is thrown away", h->o->askers[asker].name, err.msg);
            continue;
        }
        if (rc < 0) {
            hf_log(HF_LOG_NOTICE, "hand", "%s: %s", h->o->askers[asker].name, err.msg);
            h->gone[asker] = true;
            return;
        }
        request(h, asker, j, hf_span(h->buf, n));
    }
}

static void look_at_job(struct hand *h, struct job *j, const struct pollfd p[3])
{
    bool ignored = false;
    if (p[0].revents && j->out >= 0 && !drain(j->out, &j->result, &j->too_much))
        hf_closep(&j->out);
    if (p[1].revents && j->errors >= 0 && !drain(j->errors, &j->told, &ignored))
        hf_closep(&j->errors);
    bool over = now_ms() > j->until_ms;
    if ((over || j->too_much) && !j->timed_out) {
        j->timed_out = over;
        kill(j->pid, SIGKILL);
    }
    if (p[2].revents)
        finish(h, j);
}

static size_t wanted(struct hand *h, struct pollfd *p, bool stopping)
{
    size_t n = 0;
    bool room = free_one(h) && !stopping;
    for (unsigned i = 0; i < HF_HAND_ASKERS; i++)
        p[n++] = (struct pollfd){h->gone[i] || !room ? -1 : h->o->askers[i].fd, POLLIN, 0};
    p[n++] = (struct pollfd){stopping ? -1 : h->o->wake_fd, POLLIN, 0};
    for (size_t i = 0; i < HF_HAND_AT_ONCE; i++) {
        struct job *j = &h->jobs[i];
        p[n++] = (struct pollfd){j->used ? j->out : -1, POLLIN, 0};
        p[n++] = (struct pollfd){j->used ? j->errors : -1, POLLIN, 0};
        p[n++] = (struct pollfd){j->used ? j->pid_fd : -1, POLLIN, 0};
    }
    return n;
}

static bool busy(const struct hand *h)
{
    for (size_t i = 0; i < HF_HAND_AT_ONCE; i++)
        if (h->jobs[i].used)
            return true;
    return false;
}

/* What was asked of the one before is either lost or lies here: it is not done, and the asker hears so. */
static void anew(struct hand *h, unsigned asker)
{
    struct hf_err ignored = HF_ERR_INIT;
    size_t n;
    for (int rc = 1; rc > 0 || rc == HF_E_LIMIT;)
        rc = hf_serve_take(h->o->askers[asker].fd, h->buf, HF_HAND_REQUEST_MAX, &n, &ignored);
    hf_serve_hello(h->o->askers[asker].fd);
}

int hf_hand_run(const struct hf_hand_opts *o, struct hf_err *err)
{
    hf_autofree struct hand *h = calloc(1, sizeof *h);
    struct pollfd p[HF_HAND_ASKERS + 1 + 3 * HF_HAND_AT_ONCE];
    uint64_t stop_ms = 0;
    if (!h)
        return hf_fail(err, -ENOMEM, "no memory");
    h->o = o;
    for (unsigned i = 0; i < HF_HAND_ASKERS; i++) {
        h->gone[i] = o->askers[i].fd < 0;
        if (!h->gone[i] && o->again)
            anew(h, i);
    }
    while (!(*o->stop && (!busy(h) || (stop_ms && now_ms() > stop_ms + STOP_MS))) && (busy(h) || !h->gone[0] || !h->gone[1])) {
        if (*o->stop && !stop_ms)
            stop_ms = now_ms();
        size_t n = wanted(h, p, stop_ms != 0);
        if (poll(p, n, stop_ms ? 100 : busy(h) ? 1000 : RELAX_MS) < 0 && errno != EINTR)
            return hf_fail(err, -errno, "poll: %s", strerror(errno));
        for (unsigned i = 0; i < HF_HAND_ASKERS; i++)
            if (p[i].fd >= 0 && p[i].revents)
                take(h, i);
        for (size_t i = 0; i < HF_HAND_AT_ONCE; i++)
            if (h->jobs[i].used)
                look_at_job(h, &h->jobs[i], &p[HF_HAND_ASKERS + 1 + 3 * i]);
    }
    for (size_t i = 0; i < HF_HAND_AT_ONCE; i++)
        if (h->jobs[i].used) { /* an action is not broken off: it ends by itself, its log says how */
            if (only_reads(&h->jobs[i].ask))
                kill(h->jobs[i].pid, SIGKILL);
            answer(h, &h->jobs[i], -ECONNRESET, "the daemon ends; whether it was done is not known", hf_span(NULL, 0));
            free_job(&h->jobs[i]);
        }
    return 0;
}
