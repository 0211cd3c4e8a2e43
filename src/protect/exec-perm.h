/* SPDX-License-Identifier: Apache-2.0 */
/* exec-perm.h - programs of protected containers are judged before they are opened to be run (M11: fanotify FAN_OPEN_EXEC_PERM).
 *
 * Marks lie on the file system of a container's root and on its other mounts.  The first time that a file is opened to be run (also a script, and
 * the loader of a program) `judge` is asked; an allowed file gets an ignore mark, which a write takes away, so that it costs nothing any more, and
 * its verdict goes to the kernel half, where it holds for this state of the file only: what changes between here and the start is killed there.
 * While a file is judged it has a lease, so that no one writes it: one that is open for writing is not allowed (it could not be run anyway).
 *
 * Never hangs: what cannot be judged within HF_PERM_DEADLINE_NS is answered by the container's policy (closed: refused), and when the thread that
 * judges is stuck, a second one answers everything and takes the marks away.  When the process ends the kernel allows what is pending. */
#pragma once
#include <sys/stat.h>

#include "protect/kernel.h"

#define HF_PERM_DEADLINE_NS 30000000000ull
#define HF_PERM_STUCK_NS 10000000000ull
#define HF_PERM_PENDING 1024u

struct hf_exec_perm;
enum hf_perm_answer { HF_PERM_LATER, HF_PERM_ALLOW, HF_PERM_DENY };
struct hf_perm_file {
    uint64_t container;
    uint32_t pid;         /* who opens it */
    int fd;               /* open for reading; the caller's.  -1: nobody may open it (served.h) */
    struct hf_span path;  /* as the container sees it */
    uint64_t ctime_ns;
    struct hf_guard_key key;
    bool late;            /* the deadline is over: LATER is no answer any more, this is the last time */
};
struct hf_perm_judged {
    enum hf_perm_answer answer;
    uint32_t verdict_bits; /* HF_GUARD_MANY, HF_GUARD_LOADER */
    uint32_t clause;       /* that refuses */
    bool keep;             /* what was said holds for this state of the file */
};
struct hf_exec_perm_opts {
    struct hf_guard_kernel *kernel;
    /* The container (its own group's id) that a process is in, if it is protected; 0. */
    uint64_t (*container_of)(void *ctx, uint32_t pid);
    void (*judge)(void *ctx, const struct hf_perm_file *f, struct hf_perm_judged *ret);
    bool (*closed)(void *ctx, uint64_t container); /* called by the second thread too */
    void *ctx;
};
HF_MUSTUSE int hf_exec_perm_new(struct hf_exec_perm **ret, const struct hf_exec_perm_opts *o, struct hf_err *err);
void hf_exec_perm_free(struct hf_exec_perm *p); /* pending ones are allowed */
HF_DEFINE_FREEP(struct hf_exec_perm, hf_exec_perm_free)

/* Number, device and time of change of an open file, as the kernel half has them; pid: by whose mounts.  May ask who serves the file system. */
bool hf_perm_identify(int fd, uint32_t pid, struct hf_perm_file *f, struct stat *st);

/* The file system behind the folder, of an overlay; else nothing.  1, 0, -errno.  For which container: what another one was allowed there is asked for
 * again, since verdicts are each container's own. */
int hf_exec_perm_mark_overlay(struct hf_exec_perm *p, const char *folder, uint64_t container);
/* All mounts that the process sees and from which programs can be run: the root file system if it is an overlay, else its mount, and the others, but for
 * those that somebody else serves (served.h).
 * How many; -errno. */
int hf_exec_perm_mark_mounts(struct hf_exec_perm *p, uint32_t pid, uint64_t container);

int hf_exec_perm_fd(const struct hf_exec_perm *p);    /* readable: hf_exec_perm_ready */
int hf_exec_perm_timer(const struct hf_exec_perm *p); /* readable: hf_exec_perm_again */
void hf_exec_perm_ready(struct hf_exec_perm *p);
/* What is pending is judged again: something may be known now. */
void hf_exec_perm_again(struct hf_exec_perm *p);
/* What the kernel half refused: of a file that is not as it was judged the ignore mark goes, so that the next start looks at it again. */
void hf_exec_perm_told(struct hf_exec_perm *p, const struct hf_guard_told *t);
/* All ignore marks and verdicts are void (a policy changed). */
void hf_exec_perm_flush(struct hf_exec_perm *p);
/* A watchdog took over: nothing is judged any more. */
bool hf_exec_perm_gave_up(const struct hf_exec_perm *p);
