/* SPDX-License-Identifier: Apache-2.0 */
/* protect-internal.h - between protect.c (the module: containers, begin and end) and the files that each do a part of its work. */
#pragma once
#include "protect/exec-perm.h"
#include "protect/health.h"
#include "protect/hold.h"
#include "protect/protect.h"
#include "protect/script-perm.h"
#include "protect/served.h"
#include "protect/selftest.h"

#define HF_PROT_STRICT (1u << HF_CLAUSE_SEALED | 1u << HF_CLAUSE_WRITTEN)
#define HF_PROT_PROGRAMS (HF_PROT_STRICT | 1u << HF_CLAUSE_SHELLS | 1u << HF_CLAUSE_PACKAGES)
#define HF_PROT_FIRST (1u << HF_CLAUSE_READ_ONLY | 1u << HF_CLAUSE_KERNEL) /* something is to be done before the container's first program */

#define HF_PROT_COUNTS 1024u   /* different things that were refused; more are counted together */
#define HF_PROT_DENIED 256u    /* judgements that are remembered for what the kernel half tells */
#define HF_PROT_MAPPED 256u   /* libraries that wait to be judged */
#define HF_PROT_LATER 128u     /* programs that wait to be judged for counting */

struct hf_prot_state { /* of a policy */
    int mode;           /* enum hf_prot_mode, or HF_OVERRIDE_OFF: as it is now, overrides included */
    bool disarmed;
    char why[128];      /* it was disarmed */
    uint64_t refused, would, minute_ns, in_minute;
};
struct hf_prot_box { /* of a container */
    struct hf_guard_container *c;
    const struct hf_prot_policy *policy;
    size_t number;      /* of the policy */
    bool enforced, applied, rooted;
    bool files_held;    /* hf_guard_held knows what read_only names */
    unsigned marks;
    uint64_t refused, would, since_ns, began_ns; /* began_ns: since the epoch */
    struct hf_health health;
    uint64_t health_ns; /* when its health was looked at last */
    char why[160];      /* it is not as it should be */
    uint32_t root_dev;  /* that its rule knows */
    struct hf_held *held; /* its mounts; NULL: no clause asks for them */
    struct hf_prot_box *next;
};
struct hf_prot_count {
    struct hf_span key; /* policy, clause, image, what, by: each ended by NUL */
    uint64_t n;
    int64_t first_s, last_s;
};
struct hf_protect {
    struct hf_protect_opts o;
    struct hf_guard *g;
    unsigned index;
    struct hf_hierarchy hierarchy;
    struct hf_guard_kernel *k;
    struct hf_exec_perm *perm;
    struct hf_script_perm *scripts;
    struct hf_served_set *served;
    struct hf_hold *hold;
    struct hf_checks *checks; /* NULL: no policy has a check that runs a program */
    int keeper, keeper_fd; /* a process, and what it ends with; -1 */
    uint64_t began_ns;
    bool settled;       /* what an earlier guard held is taken over, or given back */
    struct hf_proof proof;
    bool proof_lost;
    uint64_t proof_ns, status_ns, counts_ns, now_ns;
    struct hf_prot_state *states; /* as many as policies */
    struct hf_prot_box *boxes;
    struct hf_protect_modes modes;
    int64_t modes_mtime_ns;
    bool changed;
    struct denied {
        struct hf_guard_key key;
        uint64_t ctime_ns;
        struct hf_judgement j;
        char path[HF_JUDGE_TEXT];
    } *denied;
    size_t next_denied;
    struct hf_mapped {
        bool used;
        int fd; /* of the file; -1: it could not be opened yet */
        uint64_t since_ns;
        struct hf_guard_told t;
        char path[HF_JUDGE_TEXT];
    } *mapped; /* libraries that wait for their verdict; their processes are stopped, if it is enforced */
    struct later {
        int fd; /* -1: free */
        uint64_t since_ns;
        struct hf_guard_told t;
        char path[HF_JUDGE_TEXT];
    } *later; /* programs that ran and are still to be judged, for counting */
    struct hf_prot_count counts[HF_PROT_COUNTS];
    size_t n_counts;
    uint64_t counts_left;
    struct hf_arena texts;
    struct hf_map by_key;
    char error[256];
};

/* The devices that a policy lists, by their numbers on the host as it is now: what a container calls a device is not asked. */
HF_MUSTUSE int hf_protect_devices(struct hf_guard_kernel *k, uint32_t number, const struct hf_prot_policy *policy, struct hf_err *err);
/* Whether the runtime says that the container's own health check fails (docker). */
bool hf_protect_unhealthy(const struct hf_guard_container *c);
void hf_protect_count(struct hf_protect *p, const struct hf_prot_policy *policy, const char *clause, struct hf_span image, struct hf_span what, struct hf_span by);
/* judge-writes.c: its mounts as its policy wants them now; a mount was made that may not be; once a second; files that were written, for counting. */
void hf_protect_mounts(struct hf_protect *p, struct hf_prot_box *b, bool enforce);
void hf_protect_mounted(struct hf_protect *p, struct hf_prot_box *b);
void hf_protect_look_after_mounts(struct hf_protect *p);
void hf_protect_mounts_gone(struct hf_protect *p, struct hf_prot_box *b);
void hf_protect_wrote(struct hf_protect *p, struct hf_prot_box *b, const struct hf_event *ev);
/* open-before.c: what is open for writing, though held since, is told of; true: somebody has something so (or not all could be looked at).  group: folder of
 * its control group. */
bool hf_protect_open_before(struct hf_protect *p, struct hf_prot_box *b, const char *group);
/* judge-libraries.c: a file was mapped for execution (told by the kernel half); those that wait; the keeper. */
void hf_protect_mapped(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t);
void hf_protect_mapped_later(struct hf_protect *p);
void hf_protect_keeper(struct hf_protect *p);
/* protect.c */
struct hf_prot_box *hf_protect_box(struct hf_protect *p, uint64_t cgroup_id);
void hf_protect_tell_error(struct hf_protect *p, const char *text);
/* in-force.c: the rule of a container as its policy wants it now; of all; the policy only counts from now on; overrides, if they changed. */
void hf_protect_apply(struct hf_protect *p, struct hf_prot_box *b);
void hf_protect_apply_all(struct hf_protect *p);
void hf_protect_unapply(struct hf_protect *p, struct hf_prot_box *b); /* nothing is in force in it any more */
void hf_protect_disarm(struct hf_protect *p, size_t number, const char *why);
void hf_protect_read_modes(struct hf_protect *p);
/* judge-programs.c; the first three are asked by exec-perm.h, hf_protect_judged by the guard */
uint64_t hf_protect_container_of(void *ctx, uint32_t pid);
void hf_protect_judge(void *ctx, const struct hf_perm_file *f, struct hf_perm_judged *ret);
bool hf_protect_closed(void *ctx, uint64_t container);
bool hf_protect_judged(void *ctx, struct hf_guard *g, struct hf_guard_container *c, const struct hf_wire_hdr *h, unsigned use, uint32_t exec_flags, struct hf_span path,
        const struct hf_judgement *j);
struct hf_span hf_protect_inside(const struct hf_prot_box *b, struct hf_span path);
enum hf_prot_clause hf_protect_clause(const struct hf_prot_box *b, struct hf_span path, const struct hf_judgement *j, uint32_t *ret_bits);
bool hf_protect_by_administrator(struct hf_protect *p, struct hf_prot_box *b, uint32_t pid);
void hf_protect_remember(struct hf_protect *p, const struct hf_guard_key *key, struct hf_span path, const struct hf_judgement *j);
/* count-programs.c: one that the kernel half told of; what waited for its seal. */
void hf_protect_count_program(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t);
void hf_protect_count_later(struct hf_protect *p);
/* told.c */
void hf_protect_header(const struct hf_prot_box *b, const struct hf_guard_told *t, struct hf_wire_hdr *h);
void hf_protect_happened(struct hf_protect *p, struct hf_prot_box *b, const struct hf_wire_hdr *h, struct hf_span path, const struct hf_judgement *j, enum hf_prot_clause clause, bool refused,
        unsigned rung);
/* use: HF_USE_* of the wire */
void hf_protect_happened_as(struct hf_protect *p, struct hf_prot_box *b, const struct hf_wire_hdr *h, struct hf_span path, const struct hf_judgement *j, enum hf_prot_clause clause, bool refused,
        unsigned rung, unsigned use);
void hf_protect_told(struct hf_protect *p); /* what the kernel half refused since */
/* STATE/protect/status.json. */
void hf_protect_write_status(struct hf_protect *p);
/* Counts of the last seven days, from STATE/protect/counts.ndjson. */
void hf_protect_counts_load(struct hf_protect *p);
void hf_protect_counts_keep(struct hf_protect *p);
