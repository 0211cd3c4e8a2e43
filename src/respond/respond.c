// SPDX-License-Identifier: Apache-2.0
#include "respond/respond.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "respond/aside.h"
#include "respond/groups.h"
#include "respond/respond-internal.h"
#include "respond/safeguards.h"
#include "sensor/frames.h"

#define MEMBERS_MAX 16384u
#define UNDO_TRIES 5u
#define GUARDIAN_LOOK_S 5u /* whether there still is something to wait for */

const char *hf_act_name(enum hf_act a)
{
    return a < HF_ACTS ? hf_act_ops[a].name : "release";
}

bool hf_act_parse(struct hf_span name, enum hf_act *ret)
{
    for (unsigned i = 0; i < HF_ACTS; i++)
        if (hf_span_eqz(name, hf_act_ops[i].name)) {
            *ret = (enum hf_act)i;
            return true;
        }
    return false;
}

void hf_respond_did_init(struct hf_respond_did *d)
{
    *d = (struct hf_respond_did){.seq = 0};
    hf_buf_init(&d->before, MEMBERS_MAX);
    hf_buf_init(&d->after, MEMBERS_MAX);
    hf_buf_init(&d->effects, MEMBERS_MAX);
}

void hf_respond_did_done(struct hf_respond_did *d)
{
    hf_buf_done(&d->before);
    hf_buf_done(&d->after);
    hf_buf_done(&d->effects);
}

void hf_respond_dir(const char *state, char out[3800])
{
    snprintf(out, 3800, "%.3700s/respond", state);
}

/* ---- undone later ---- */

static void entry_of(struct hf_journal_entry *e, const struct hf_active *a, const char *phase, const char *why)
{
    *e = (struct hf_journal_entry){.action = a->action, .phase = phase, .container_id = a->id, .container_name = a->name, .why = why, .rung = a->rung, .of = a->seq};
}

/* The log's lock is held.  0, also when the container is gone. */
static int undo_one(struct hf_journal *log, const char *dir, const struct hf_active *a, const struct hf_respond_opts *o, const char *why, struct hf_err *err)
{
    struct hf_journal_entry e;
    struct hf_err inner = HF_ERR_INIT;
    uint64_t seq;
    hf_autofree struct hf_target *t = calloc(1, sizeof *t);
    if (!t)
        return hf_fail(err, -ENOMEM, "no memory");
    int found = hf_target_by_group(a->cgroup_id, a->id, t, &inner);
    if (found < 0 && found != HF_E_NOT_FOUND)
        return hf_fail(err, found, "%s", inner.msg);
    int rc = hf_act_undo(a, found < 0 ? NULL : t, err);
    entry_of(&e, a, rc < 0 ? "failed" : "undone", found < 0 ? "its container has ended" : why);
    e.error = rc < 0 && err ? err->msg : NULL;
    e.rule = o ? o->rule : hf_span(NULL, 0);
    if (rc == 0)
        hf_active_remove(dir, a);
    if (hf_journal_add(log, &e, &seq, &inner) < 0 || hf_journal_sync(log, &inner) < 0)
        return rc < 0 ? rc : hf_fail(err, HF_E_INCOMPLETE, "undone, but not logged: %s", inner.msg);
    return rc;
}

static int expire_one(const char *dir, const char *action, const char *id, uint64_t seq, struct hf_err *err)
{
    hf_cleanup(hf_journal_closep) struct hf_journal *log = NULL;
    struct hf_active a;
    int rc = hf_journal_open(&log, dir, err);
    rc = rc < 0 ? rc : hf_active_read(dir, action, id, &a, err);
    if (rc == HF_E_NOT_FOUND || (rc == 0 && (a.seq != seq || !a.expires_s || a.expires_s > hf_active_now_s())))
        return 0; /* undone by hand, or another one by now */
    return rc < 0 ? rc : undo_one(log, dir, &a, NULL, "its time is over", err);
}

/* A process of its own that outlives this one: waits, undoes, ends. */
static void wait_and_undo(const char *dir, const struct hf_active *a)
{
    for (uint64_t now; (now = hf_active_now_s()) < a->expires_s;) {
        struct hf_active same;
        struct hf_err ignored = HF_ERR_INIT;
        struct timespec at = {(time_t)HF_MIN(a->expires_s, now + GUARDIAN_LOOK_S), 0};
        (void)clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, NULL);
        if (hf_active_read(dir, a->action, a->id, &same, &ignored) == HF_E_NOT_FOUND || (ignored.code == 0 && same.seq != a->seq))
            return; /* undone by hand, or done anew: another one waits for that */
    }
    for (unsigned i = 0; i < UNDO_TRIES; i++) {
        struct hf_err ignored = HF_ERR_INIT; /* the log has it */
        if (expire_one(dir, a->action, a->id, a->seq, &ignored) == 0)
            return;
        sleep(1);
    }
}

struct guarded {
    const char *dir;
    const struct hf_active *a;
};

static void guardian(const void *ctx, int keep_fd)
{
    const struct guarded *g = ctx;
    (void)keep_fd;
    wait_and_undo(g->dir, g->a);
}

int hf_respond_expire(const char *state, struct hf_err *err)
{
    hf_autofree struct hf_active *all = NULL;
    hf_cleanup(hf_journal_closep) struct hf_journal *log = NULL;
    char dir[3800];
    size_t n, bad, over = 0;
    int failed = 0;
    uint64_t now = hf_active_now_s();
    hf_respond_dir(state, dir);
    hf_gate_sweep();
    int rc = hf_active_all(dir, &all, &n, &bad, err);
    for (size_t i = 0; i < n && rc == 0; i++)
        over += all[i].expires_s && all[i].expires_s <= now;
    if (rc < 0 || !over)
        return rc;
    rc = hf_journal_open(&log, dir, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct hf_active a;
        struct hf_err inner = HF_ERR_INIT;
        if (!all[i].expires_s || all[i].expires_s > now || hf_active_read(dir, all[i].action, all[i].id, &a, &inner) < 0 || a.seq != all[i].seq)
            continue; /* somebody else was faster */
        if (undo_one(log, dir, &a, NULL, "its time was over while nobody waited for it", &inner) < 0)
            failed = hf_fail(err, inner.code, "%s of %.100s: %s", a.action, a.name, inner.msg);
    }
    return rc < 0 ? rc : failed < 0 ? failed : (int)over;
}

/* ---- done ---- */

static void begin_entry(const struct hf_job *j, const struct hf_act_ops *ops, struct hf_journal_entry *e)
{
    const struct hf_respond_opts *o = j->o;
    *e = (struct hf_journal_entry){.action = ops->name, .phase = "begin", .container_id = j->t->id, .container_name = j->t->name, .image = j->t->image, .rule = o->rule, .alert = o->alert,
            .why = o->why, .rung = j->did->rung, .before = hf_buf_span(&j->did->before), .for_s = o->for_s, .forced = o->force};
}

static int check(struct hf_journal *log, const struct hf_job *j, struct hf_err *err)
{
    const struct hf_respond_opts *o = j->o;
    unsigned most = o->per_minute ? o->per_minute : HF_RESPOND_PER_MINUTE;
    int rc = hf_safeguards(j->t, o->force, err);
    if (rc < 0)
        return rc;
    if (log && !o->force && hf_journal_begun_since(log, (int64_t)time(NULL) - 60) >= most)
        return hf_fail(err, -EBUSY, "refused: %u actions began within the last minute, which is the limit (--force goes on)", most);
    return 0;
}

/* What was in force before the same is done again. */
static void keep_old(struct hf_job *j, struct hf_active *old, bool *ret_had)
{
    struct hf_err ignored = HF_ERR_INIT;
    *ret_had = hf_active_read(j->dir, j->a.action, j->t->id, old, &ignored) == 0 && old->cgroup_id == j->t->cgroup_id;
    if (*ret_had)
        j->a.was = old->was;
    else if (!strcmp(old->id, j->t->id)) /* of its life before this one: what is pinned for that group goes */
        (void)!hf_act_undo(old, NULL, &ignored);
}

/* Of the end that was set before: a person's new word replaces it, and is told so; a rule takes away nothing that holds for longer. */
static uint64_t end_of(const struct hf_job *j, const struct hf_active *old)
{
    uint64_t end = j->o->for_s ? hf_active_now_s() + j->o->for_s : 0;
    return !old ? end : j->o->rule.n && end && (!old->expires_s || old->expires_s > end) ? old->expires_s : end;
}

static void say_end(struct hf_job *j, const struct hf_act_ops *ops)
{
    struct hf_active old;
    struct hf_err ignored = HF_ERR_INIT;
    uint64_t now = hf_active_now_s();
    if (ops->lasting && !j->o->for_s && hf_active_read(j->dir, ops->name, j->t->id, &old, &ignored) == 0 && old.cgroup_id == j->t->cgroup_id && old.expires_s > now)
        hf_buf_addf(&j->did->effects, "it was to end by itself in %llu s: now it stays until it is released (--for)\n", (unsigned long long)(old.expires_s - now));
}

/* A limit that a rule wants where another one is in force: what was chosen for this container stays. */
static bool stays_limited(struct hf_job *j, const struct hf_active *old)
{
    if (!j->o->rule.n || strcmp(j->a.action, "limit") || !strcmp(old->settings, j->a.settings))
        return false;
    snprintf(j->a.settings, sizeof j->a.settings, "%s", old->settings);
    snprintf(j->a.rung, sizeof j->a.rung, "%s", old->rung);
    snprintf(j->did->rung, sizeof j->did->rung, "%s", old->rung);
    hf_buf_addf(&j->did->effects, "it is limited already, to %s, which a rule does not change\n", old->settings);
    return true;
}

static int lasting(struct hf_job *j, const struct hf_act_ops *ops, struct hf_err *err)
{
    struct hf_active old = {.seq = 0};
    bool had;
    struct hf_active *a = &j->a;
    snprintf(a->action, sizeof a->action, "%s", ops->name);
    snprintf(a->id, sizeof a->id, "%s", j->t->id);
    snprintf(a->name, sizeof a->name, "%s", j->t->name);
    snprintf(a->rung, sizeof a->rung, "%s", j->did->rung);
    a->cgroup_id = j->t->cgroup_id;
    a->seq = j->did->seq;
    a->started_s = (uint64_t)time(NULL);
    keep_old(j, &old, &had);
    a->expires_s = end_of(j, had ? &old : NULL);
    bool stays = had && stays_limited(j, &old);
    int rc = hf_active_write(j->dir, a, err);
    bool unwritten = rc < 0;
    if (unwritten && !j->o->force && !j->o->rule.n)
        return hf_wrap(err, rc, "nothing was done, since what is needed to undo it cannot be kept");
    rc = stays ? 0 : ops->act(j, err);
    if (rc < 0 && had) {
        struct hf_err ignored = HF_ERR_INIT;
        (void)!hf_active_write(j->dir, &old, &ignored);
    } else if (rc < 0) {
        hf_active_remove(j->dir, a);
    }
    if (rc == 0 && strcmp(a->rung, j->did->rung) != 0) { /* another rung than hoped for */
        struct hf_err ignored = HF_ERR_INIT;
        snprintf(a->rung, sizeof a->rung, "%s", j->did->rung);
        (void)!hf_active_write(j->dir, a, &ignored);
    }
    return rc;
}

static int finish(struct hf_journal *log, struct hf_job *j, struct hf_journal_entry *e, int rc, struct hf_err *err)
{
    struct hf_err inner = HF_ERR_INIT;
    uint64_t seq;
    e->phase = rc < 0 ? "failed" : "done";
    e->of = j->did->seq;
    e->rung = j->did->rung;
    e->before = hf_span(NULL, 0);
    e->after = rc < 0 ? hf_span(NULL, 0) : hf_buf_span(&j->did->after);
    e->error = rc < 0 && err ? err->msg : NULL;
    if (!log || hf_journal_add(log, e, &seq, &inner) < 0 || hf_journal_sync(log, &inner) < 0)
        j->did->not_logged = true;
    return rc;
}

int hf_respond_do(enum hf_act act, const struct hf_target *t, const struct hf_respond_opts *o, struct hf_respond_did *ret, struct hf_err *err)
{
    const struct hf_act_ops *ops = &hf_act_ops[act];
    hf_cleanup(hf_journal_closep) struct hf_journal *log = NULL;
    hf_autofree struct hf_job *j = calloc(1, sizeof *j);
    hf_cleanup(hf_netns_list_done) struct hf_netns_list ns = {.n = 0};
    struct hf_journal_entry e;
    struct hf_err inner = HF_ERR_INIT;
    if (!j)
        return hf_fail(err, -ENOMEM, "no memory");
    j->t = t;
    j->o = o;
    j->did = ret;
    j->ns = &ns;
    hf_respond_dir(o->state, j->dir);
    if (o->dry_run) {
        int rc = hf_safeguards(t, o->force, err);
        rc = rc < 0 ? rc : ops->look(j, err);
        say_end(j, ops);
        return rc;
    }
    bool must_log = !o->force && !o->rule.n;
    int rc = hf_journal_open(&log, j->dir, &inner);
    if (rc < 0 && must_log)
        return hf_fail(err, rc, "nothing was done, since it cannot be logged: %s", inner.msg);
    snprintf(j->head, sizeof j->head, "%s", log ? hf_journal_head(log) : "");
    rc = check(log, j, err);
    rc = rc < 0 ? rc : ops->look(j, err);
    if (rc < 0)
        return rc;
    say_end(j, ops);
    begin_entry(j, ops, &e);
    rc = log ? hf_journal_add(log, &e, &ret->seq, &inner) : -EIO;
    if (rc < 0 && must_log)
        return hf_fail(err, rc, "nothing was done, since it cannot be logged: %s", inner.msg);
    ret->not_logged = rc < 0;
    if (!ops->lasting) /* seconds, in which nobody may wait for the log to freeze another container */
        hf_journal_close(hf_take(log));
    rc = ops->lasting ? lasting(j, ops, err) : ops->act(j, err);
    ret->done_ns = rc < 0 ? 0 : hf_boot_ns();
    if (!ops->lasting)
        (void)!hf_journal_open(&log, j->dir, &inner); /* without it: told as not logged */
    rc = finish(log, j, &e, rc, err);
    if (rc == 0 && j->a.expires_s)
        rc = hf_aside("holdfast-undo", -1, guardian, &(struct guarded){j->dir, &j->a}, err);
    return rc;
}

static int thaw_foreign(struct hf_journal *log, const struct hf_target *t, const struct hf_respond_opts *o, struct hf_respond_did *ret, struct hf_err *err)
{
    int kind;
    const char *dir = hf_target_freezer(t, &kind);
    struct hf_journal_entry e = {.action = "thaw", .phase = "done", .container_id = t->id, .container_name = t->name, .image = t->image, .why = o->why, .before = HF_S("{\"frozen\":true}"), .after = HF_S("{\"frozen\":false}")};
    /* somebody else may have used the other freezer */
    if (dir && kind == HF_FREEZER_V2 && t->freezer[0] && hf_group_is_frozen(dir, HF_FREEZER_V2, err) == 0) {
        dir = t->freezer;
        kind = HF_FREEZER_V1;
    }
    int frozen = dir ? hf_group_is_frozen(dir, (enum hf_freezer)kind, err) : 0;
    if (frozen <= 0) {
        ret->nothing = frozen == 0;
        return frozen;
    }
    snprintf(ret->rung, sizeof ret->rung, "%s", hf_freezer_name((enum hf_freezer)kind));
    e.rung = ret->rung;
    hf_buf_addz(&ret->effects, "it was frozen by somebody else; it goes on\n");
    if (o->dry_run)
        return 0;
    int rc = hf_group_thaw(dir, (enum hf_freezer)kind, HF_RESPOND_FREEZE_MS, err);
    if (rc == 0 && log && (hf_journal_add(log, &e, &ret->seq, err) < 0 || hf_journal_sync(log, err) < 0))
        ret->not_logged = true;
    return rc;
}

/* Undoing is not held back by a log that cannot be written: it is told. */
int hf_respond_undo(enum hf_act act, const struct hf_target *t, const struct hf_respond_opts *o, struct hf_respond_did *ret, struct hf_err *err)
{
    hf_cleanup(hf_journal_closep) struct hf_journal *log = NULL;
    char dir[3800];
    unsigned n = 0;
    int rc = 0;
    hf_respond_dir(o->state, dir);
    if (!o->dry_run && (rc = hf_journal_open(&log, dir, err)) < 0)
        return rc;
    for (unsigned i = 0; i < HF_ACTS && rc == 0; i++) {
        struct hf_active a;
        struct hf_err inner = HF_ERR_INIT;
        if (!hf_act_ops[i].lasting || (act != HF_ACTS && act != i))
            continue;
        int found = hf_active_read(dir, hf_act_ops[i].name, t->id, &a, &inner);
        if (found == HF_E_NOT_FOUND)
            continue;
        rc = found < 0 ? hf_fail(err, found, "%s", inner.msg) : 0;
        if (rc < 0)
            break;
        n++;
        hf_buf_addf(&ret->effects, "%s ends (%s)%s\n", a.action, a.rung, a.was && !strcmp(a.action, "freeze") ? "; it stays frozen, as it was before" : "");
        snprintf(ret->rung, sizeof ret->rung, "%s", a.rung);
        if (!o->dry_run)
            rc = undo_one(log, dir, &a, o, o->why, err);
        if (rc == HF_E_INCOMPLETE) {
            ret->not_logged = true;
            rc = 0;
        }
    }
    if (rc == 0 && !n && act == HF_ACT_FREEZE)
        return thaw_foreign(log, t, o, ret, err);
    ret->nothing = rc == 0 && !n;
    return rc;
}
