/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h - what containers may not do: policies in YAML, matched to containers, and the verdict on an act.  docs/policies.md
 *
 * A pure part: files are text from a person (hostile all the same), acts are facts from whoever saw them, nothing is enforced here.  A set loads
 * whole or not at all, errors with file and line.  Of the policies that match a container the most specific one counts, alone; two that are
 * equally specific and could match the same container are an error.  Limits: 1 MiB a file, 1,024 policies, 256 entries a list, 4,096 tests.
 * One thread per set while it loads; a loaded set is constant. */
#pragma once
#include "base/mem.h"

/* The clauses, each refusing something. */
enum hf_prot_clause {
    HF_CLAUSE_NONE,
    HF_CLAUSE_SEALED,      /* only_sealed */
    HF_CLAUSE_SHELLS,      /* no_shells */
    HF_CLAUSE_PACKAGES,    /* no_package_managers */
    HF_CLAUSE_WRITTEN,     /* no_written_then_run */
    HF_CLAUSE_DESTINATIONS,
    HF_CLAUSE_LISTEN,
    HF_CLAUSE_READ_ONLY,
    HF_CLAUSE_DEVICES,
    HF_CLAUSE_KERNEL,      /* kernel_use */
    HF_CLAUSES,
};
struct hf_prot_clause_info {
    const char *name, *refuses; /* "no_shells", "shells start" */
    const char *techniques;     /* of MITRE ATT&CK, separated by blanks */
};
extern const struct hf_prot_clause_info hf_prot_clauses[HF_CLAUSES];

enum hf_prot_mode { HF_MODE_OBSERVE, HF_MODE_REHEARSE, HF_MODE_CANARY, HF_MODE_ENFORCE, HF_MODES };
extern const char *const hf_prot_modes[HF_MODES];

/* Uses of the kernel that kernel_use lists when they are allowed. */
enum { HF_USE_MODULES, HF_USE_BPF, HF_USE_MOUNT, HF_USE_PTRACE, HF_USE_USERNS, HF_USE_IO_URING, HF_USES };
extern const char *const hf_prot_uses[HF_USES];

struct hf_prot_spans {
    struct hf_span *v;
    size_t n, cap;
};
/* Addresses are 16 bytes, IPv4 mapped (bits counted of 128). */
struct hf_prot_dest {
    uint8_t addr[16];
    uint8_t bits;
    uint8_t protocol;       /* 0: any, 6, 17 */
    uint16_t port, port_to; /* 0, 0: any */
};
struct hf_prot_dests {
    struct hf_prot_dest *v;
    size_t n, cap;
};
struct hf_prot_digests {
    uint8_t (*v)[32];
    size_t n, cap;
};
/* Minutes of the week from Monday 00:00 UTC; to may be beyond the week's end. */
struct hf_prot_window {
    uint32_t from, to;
};
struct hf_prot_windows {
    struct hf_prot_window *v;
    size_t n, cap;
};

/* A check of the policy's own: is the container's service there? */
#define HF_PROT_ARGS 64u
struct hf_prot_health {
    bool on;
    uint8_t addr[16];    /* as in hf_prot_dest */
    uint16_t port;
    struct hf_span path; /* of HTTP; empty: a connection is enough */
    struct hf_prot_spans exec; /* a program inside, by its absolute path, and its arguments; then no address */
    bool has_user;       /* of the program; else the container's */
    uint32_t uid, gid;   /* numbers in the container */
    uint32_t every_s, failures, timeout_s;
};

struct hf_prot_policy {
    struct hf_span name, description, file;
    unsigned line;
    /* whom it is for: all that is given must match */
    struct hf_prot_spans images;     /* patterns, one of them; empty: any */
    struct hf_span namespace;        /* pattern; empty: any */
    struct hf_prot_spans labels;     /* name, value, name, value; all of them */
    enum hf_prot_mode mode;
    bool fail_closed;                /* nobody there to judge: refuse */
    uint32_t disarm_blocks;          /* more blocks than this in a minute end enforcement; 0: never */
    bool disarm_unhealthy;           /* the container's own health check failing does */
    struct hf_prot_health health;    /* this one failing does */
    struct hf_prot_windows maintenance;
    struct hf_prot_spans exec_by;    /* users whose sessions by the runtime's exec command may start any program */
    uint32_t clauses;                /* 1 << HF_CLAUSE_* */
    struct hf_prot_spans allow[HF_CLAUSES]; /* patterns of paths that the clause does not refuse; READ_ONLY: that it does */
    struct hf_prot_digests digests;  /* contents that no clause about programs refuses */
    bool moved;                      /* only_sealed: sealed content under another path is fine */
    struct hf_prot_dests destinations, listen;
    uint32_t uses;                   /* 1 << HF_USE_*: allowed */
};

struct hf_prot_who { /* a container, or one that is imagined */
    struct hf_span image, namespace;
    struct hf_prot_spans labels; /* name, value, ... */
};

/* What is known of a program's file; the numbers are those of the wire's HF_VERDICT_* (0: not judged). */
enum { HF_PROT_UNJUDGED, HF_PROT_SEALED, HF_PROT_CHANGED, HF_PROT_FOREIGN, HF_PROT_MOVED, HF_PROT_VOLUME, HF_PROT_MEMORY, HF_PROT_UNSEALED, HF_PROT_UNREADABLE, HF_PROT_VERDICTS };
extern const char *const hf_prot_verdicts[HF_PROT_VERDICTS];

enum hf_prot_act_kind { HF_ACT_EXEC, HF_ACT_CONNECT, HF_ACT_LISTEN, HF_ACT_WRITE, HF_ACT_DEVICE, HF_ACT_USE, HF_ACTS };
struct hf_prot_act {
    enum hf_prot_act_kind kind;
    struct hf_span path;        /* EXEC, WRITE, DEVICE: as in the container */
    struct hf_span sealed_path; /* EXEC, moved: where the seal has the content; else empty */
    struct hf_span argv[2];     /* EXEC: what a program that is many (busybox) decides by; empty: not known */
    unsigned verdict;           /* EXEC: HF_PROT_* */
    bool written;               /* EXEC: of a volume's file: it changed since the container began */
    const uint8_t *sha256;      /* EXEC; or NULL */
    struct hf_prot_dest peer;   /* CONNECT, LISTEN: bits unused, port */
    unsigned use;               /* USE */
};
struct hf_prot_test {
    struct hf_span name;
    const char *file;
    unsigned line;
    struct hf_prot_who who;
    struct hf_prot_act act;
    int64_t at_s;               /* INT64_MIN: outside every window */
    uint8_t sha256[32];
    bool has_sha256;            /* then of the act (hf_prot_test_act points there) */
    bool refused, maintenance;  /* what is expected: refused; or held back by a window */
    enum hf_prot_clause clause; /* expected; NONE: any */
};

struct hf_prot_set;
HF_MUSTUSE int hf_prot_new(struct hf_prot_set **ret, struct hf_err *err);
void hf_prot_free(struct hf_prot_set *s);
HF_DEFINE_FREEP(struct hf_prot_set, hf_prot_free)
/* text is copied.  HF_E_USAGE, HF_E_LIMIT; after an error the set is not to be used. */
HF_MUSTUSE int hf_prot_add(struct hf_prot_set *s, const char *file, struct hf_span text, struct hf_err *err);
/* After the last file: names twice, and policies that are equally specific and could match the same container: HF_E_USAGE. */
HF_MUSTUSE int hf_prot_check(const struct hf_prot_set *s, struct hf_err *err);
size_t hf_prot_count(const struct hf_prot_set *s);
const struct hf_prot_policy *hf_prot_at(const struct hf_prot_set *s, size_t i);
size_t hf_prot_tests(const struct hf_prot_set *s);
const struct hf_prot_test *hf_prot_test_at(const struct hf_prot_set *s, size_t i);
/* Plays a test: the policy that its container has (or NULL), the clause that refuses, and whether a window is open.  true: as expected. */
bool hf_prot_test_run(const struct hf_prot_set *s, const struct hf_prot_test *t, const struct hf_prot_policy **ret_policy, enum hf_prot_clause *ret_clause, bool *ret_maintenance);

/* The policy for a container; NULL: none. */
const struct hf_prot_policy *hf_prot_for(const struct hf_prot_set *s, const struct hf_prot_who *who);
/* The clause that refuses the act, or NONE.  Modes and windows are not looked at. */
enum hf_prot_clause hf_prot_judge(const struct hf_prot_policy *p, const struct hf_prot_act *act);
/* Whether a maintenance window is open. */
bool hf_prot_maintenance(const struct hf_prot_policy *p, int64_t now_s);
/* Name of a program: a shell, a package manager, or a program that is many and decides by its arguments: SHELLS, PACKAGES, NONE. */
enum hf_prot_clause hf_prot_program_class(struct hf_span name);
bool hf_prot_multi_call(struct hf_span name);
/* The names of a class, for the kernel half; NULL ends. */
const char *const *hf_prot_names(enum hf_prot_clause clause);
/* "10.0.0.0/8 443/tcp", "::1", "53-99/udp" (no_address); HF_E_FORMAT. */
HF_MUSTUSE int hf_prot_dest_parse(struct hf_span text, bool no_address, struct hf_prot_dest *ret);
