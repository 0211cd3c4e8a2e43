/* SPDX-License-Identifier: Apache-2.0 */
/* match-internal.h - parts of the matcher shared by its files. */
#pragma once
#include "advisories/db/namespace.h"
#include "matching/match.h"

/* Caps, and why: the database is input too, and a hostile one must not cost more than these. */
enum {
    HF_MATCH_MAX_KEYS = 1 << 21,   /* different (namespace, name, version) looked up in one scan */
    HF_MATCH_MAX_ROWS = 1 << 17,   /* rows of one key; the kernel has under 8,000 */
    HF_MATCH_MAX_HITS = 1 << 15,   /* affected rows of one package */
    HF_MATCH_MAX_VULNS = 1 << 22,  /* rows of the result */
    HF_MATCH_MAX_IDS = 512,        /* ids of one vulnerability; a distribution's notice names up to some hundred */
    HF_MATCH_MAX_RANGES = 1024,    /* ranges of one row looked at; more is not decided (incomplete) */
    HF_MATCH_MAX_RESPELT = 512,    /* listed versions compared by order, not only as text */
    HF_MATCH_MAX_FIXES = 64,       /* fix versions kept of one row */
    HF_MATCH_MAX_BY_ID = 64,       /* records that share an id, looked at for severity and suppression */
    HF_MATCH_MAX_CVSS = 16, HF_MATCH_MAX_URLS = 32,
    HF_MATCH_WHY_NOT_LINES = 200,
};

/* --- verdict.c: one version against one row (R10, R11, R17, R23) --- */
enum hf_verdict_kind {
    HF_VERDICT_AFFECTED,
    HF_VERDICT_NEVER,        /* R11: the source says it never was affected: a NAK */
    HF_VERDICT_FIXED,        /* R12: at or past a fix */
    HF_VERDICT_OUTSIDE,      /* in no range, in no list; no fix was passed either */
    HF_VERDICT_INCOMPARABLE, /* a version that the scheme cannot order: not known */
    HF_VERDICT_OTHER_MODULE, /* R17 */
    HF_VERDICT_NOT_LINKED,   /* R27 */
    HF_VERDICT_SKIPPED,      /* R16: under investigation at Red Hat; R27: filtered */
};
struct hf_verdict {
    enum hf_verdict_kind kind;
    bool installed_invalid;       /* INCOMPARABLE because of the installed version, not of the record's */
    bool listed;                  /* found in versions[] */
    struct hf_adv_range at;       /* AFFECTED: the range it is in; FIXED: the range whose end was passed */
    struct hf_adv_range fixes[HF_MATCH_MAX_FIXES]; /* ranges that end in a fix after the installed version */
    size_t n_fixes;
};
/* ignore_epoch: R2, the installed version is a source RPM's and says no epoch. */
void hf_verdict(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span version, bool ignore_epoch,
        struct hf_verdict *ret);
/* The order used there, of an installed version a against a bound b. */
int hf_match_cmp(enum hf_scheme s, struct hf_span a, struct hf_span b, bool ignore_epoch);
/* In [introduced, fixed) or [introduced, last_affected]: 1, 0, or HF_CMP_INVALID. */
int hf_match_in_range(enum hf_scheme s, const struct hf_adv_range *r, struct hf_span v, bool ignore_epoch);
/* R17: "name:stream" of an advisory against MODULARITYLABEL "name:stream:version:context".  summary is read only when the
 * row names no module but its fix is a module build. */
bool hf_match_module(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span label, struct hf_span version,
        struct hf_span summary);
struct hf_match_key;
/* R27: whether a function that the row names is linked; true also when either side does not say. */
bool hf_match_linked(const struct hf_advdb *db, const struct hf_adv_row *row, const struct hf_match_key *k);
bool hf_match_row_is_modular(const struct hf_advdb *db, const struct hf_adv_row *row);

/* --- keys.c: what a package is looked up as (R1-R5, R7, R9, R13, R27) --- */
struct hf_match_key {
    const char *ns;
    struct hf_span name, version; /* name as given, not normalised */
    const char *rule, *what;      /* "R1", "source package" */
    bool indirect, ignore_epoch;
    const struct hf_package *linked; /* R27: whose symbols decide; NULL: they are not known */
};
enum { HF_MATCH_PKG_KEYS = 12 };
struct hf_match_os {
    char ns[8][HF_NS_MAX];   /* release first, then Pro */
    size_t n_ns;
    bool pro[8];
    bool known;              /* the OS has a feed we know */
    bool present;            /* the database has data of it */
    bool comprehensive;      /* R21: its feed tells unfixed ones too */
    enum hf_scheme scheme;
    bool binary_only, source_only; /* R4, R5 */
};
bool hf_match_is_os_type(enum hf_pkg_type t);
/* A Java archive of which only the artifact is known, while advisories are by group and artifact. */
bool hf_match_groupless(const struct hf_package *p);
/* Keys of p, best first.  Go versions are rewritten into buf when they need it. */
size_t hf_match_keys(const struct hf_package *p, const struct hf_match_os *os, struct hf_match_key out[HF_MATCH_PKG_KEYS],
        struct hf_buf *text);
/* R9: why p is surely not the distribution's own build; empty: it may be. */
struct hf_span hf_match_third_party(const struct hf_package *p, const struct hf_os_release *os);
/* R27: why a Go package must not be matched; empty: match. */
struct hf_span hf_match_go_skip(const struct hf_package *p);
/* R30 */
bool hf_match_is_kernel(const struct hf_package *p);
/* Of those: a kernel or its modules, as a machine starts them, not headers, tools or documents. */
bool hf_match_boots(const struct hf_package *p);

/* --- exceptions.c: data/exceptions/matching.yaml, compiled in (R31) --- */
struct hf_exception {
    const char *kind;    /* "suppress", "not-a-vulnerability", "third-party", "kernel" */
    const char *match;   /* kind-specific; '*' at the end or start is a wildcard */
    const char *ids;     /* space-separated */
    const char *type;    /* package type or OS; "": any */
    const char *reason;
};
extern const struct hf_exception hf_exceptions[];
extern const size_t hf_n_exceptions;
bool hf_exception_glob(const char *pattern, struct hf_span text); /* ASCII case-insensitive, one '*' at each end */
bool hf_exception_has_id(const struct hf_exception *e, struct hf_span id);
/* The exception that takes this id off this package; NULL: none. */
const struct hf_exception *hf_exception_suppress(const struct hf_package *p, struct hf_span id);
/* A record that is an erratum, not a vulnerability, by its id (when it names no CVE). */
const struct hf_exception *hf_exception_erratum(struct hf_span id);

/* --- state of one run (match.c, group.c, whynot.c) --- */
struct hf_hit { /* one affected row of one key */
    uint32_t adv;
    enum hf_adv_state state;
    unsigned flags;
    enum hf_severity severity;
    enum hf_scheme scheme;
    bool listed, linked; /* linked: a symbol of the record was found in the program */
    uint32_t n_symbols;
    struct hf_adv_range at;
    const struct hf_adv_range *fixes;
    size_t n_fixes;
};
struct hf_seen { /* verdict of one key on one advisory; sorted by adv */
    uint32_t adv;
    enum hf_verdict_kind kind;
};
struct hf_key_result {
    struct hf_hit *hits;
    struct hf_seen *seen;
    size_t n_hits, n_seen, cap_hits, cap_seen;
    bool invalid, bad_record, never; /* installed version unordered, a record's, some NAK (R11) */
};
struct hf_adv_info { /* an advisory as decoded, once */
    struct hf_advisory a;
    const uint32_t *ids; /* interned: own id first, then aliases */
    size_t n_ids, n_cves;
    bool decoded; /* false: the record is damaged */
};
struct hf_by_id { /* records that have an id */
    uint32_t *advs;
    size_t n;
};
struct hf_match {
    struct hf_scan *scan;
    const struct hf_advdb *db;
    const struct hf_match_opts *o;
    struct hf_err *err;
    struct hf_match_os os;
    struct hf_arena work;                 /* freed at the end */
    struct hf_map keys;                   /* ns \0 name \0 version \0 module -> index + 1 */
    struct hf_key_result *results;
    size_t n_results, cap_results;
    struct hf_map infos_by_adv;           /* 4 bytes of the number -> index + 1 */
    struct hf_adv_info **infos;
    size_t n_infos, cap_infos;
    struct hf_map id_index;               /* id -> number + 1 */
    struct hf_span *ids;
    size_t n_ids, cap_ids;
    struct hf_map by_id;                  /* id -> struct hf_by_id * */
    size_t cap_vulns;
    struct hf_buf text, *why_not;
    struct hf_map why_not_ids;            /* the id asked for and its other names */
    size_t why_not_lines;
    bool full;                            /* a ceiling was reached: said once in incomplete */
    const char *full_what;
    size_t bad_records, damaged, foreign;
    struct hf_span bad_record_example;
};
struct hf_adv_info *hf_match_info(struct hf_match *m, uint32_t adv);
/* Number of an id in m->ids; UINT32_MAX without memory. */
uint32_t hf_match_intern(struct hf_match *m, struct hf_span id);
const struct hf_by_id *hf_match_by_id(struct hf_match *m, struct hf_span id);
/* Verdicts of the key, looked up once. */
struct hf_key_result *hf_match_lookup(struct hf_match *m, const struct hf_match_key *k, struct hf_span module);
bool hf_match_is_cve(struct hf_span id);
int hf_match_limit(struct hf_match *m, const char *what);
void hf_match_note_why_not(struct hf_match *m, const struct hf_scan_package *p, const uint32_t *ids, size_t n, const char *rule,
        const char *fmt, ...) HF_PRINTF(6, 7);

/* group.c: rows of one package into the scan.  0 or < 0. */
struct hf_pkg_keys {
    struct hf_match_key k[HF_MATCH_PKG_KEYS];
    size_t index[HF_MATCH_PKG_KEYS]; /* of r in m->results, which moves while it grows */
    struct hf_key_result *r[HF_MATCH_PKG_KEYS];
    size_t n;
};
/* owners: of the packages whose files these are; all of them must agree to take a vulnerability off. */
HF_MUSTUSE int hf_match_group(struct hf_match *m, uint32_t package, const struct hf_pkg_keys *keys, const struct hf_pkg_keys *owners, size_t n_owners);

/* whynot.c */
HF_MUSTUSE int hf_match_why_not(struct hf_match *m);
