/* SPDX-License-Identifier: Apache-2.0 */
/* advdb.h - reading the compiled advisory database: one immutable file, mapped, checked as it is read (every offset of a
 * hostile file is bounded), shared by all readers, replaced by rename.  Opening costs nothing that grows with its size.
 * Format: docs/formats/advdb.md. */
#pragma once
#include "advisories/version/version.h"
#include "base/mem.h"

struct hf_advdb;
HF_MUSTUSE int hf_advdb_open(struct hf_advdb **ret, const char *path, struct hf_err *err);
void hf_advdb_close(struct hf_advdb *db);
HF_DEFINE_FREEP(struct hf_advdb, hf_advdb_close)

/* One feed that went into the database. */
struct hf_adv_source {
    struct hf_span name;      /* "osv:Debian", "debian-tracker", "alpine-secdb", "kev", "epss", ... */
    struct hf_span from;      /* where it was read from */
    uint64_t newest_unix;     /* newest `modified` (or issue date) inside: how fresh the facts are, seconds */
    uint64_t fetched_unix;    /* when it was fetched */
    uint64_t records, rejected; /* records taken; malformed ones that were left out */
    bool demo;                /* the tests' demonstration feed */
};
size_t hf_advdb_sources(const struct hf_advdb *db, const struct hf_adv_source **ret);
uint64_t hf_advdb_built_unix(const struct hf_advdb *db);
/* Whether any record concerns this namespace ("debian:12", "pypi"): false is "no data", not "no vulnerability" (R20). */
bool hf_advdb_has_namespace(const struct hf_advdb *db, struct hf_span ns);

enum hf_severity { HF_SEV_UNKNOWN, HF_SEV_NEGLIGIBLE, HF_SEV_LOW, HF_SEV_MEDIUM, HF_SEV_HIGH, HF_SEV_CRITICAL };
const char *hf_severity_name(enum hf_severity s); /* "critical" ... "unknown" */

enum hf_adv_state { /* R10, R16: what the source says of this package in this namespace */
    HF_ADV_RANGES,  /* decide by ranges and versions */
    HF_ADV_UNFIXED, HF_ADV_WONT_FIX, HF_ADV_DEFERRED, HF_ADV_NOT_AFFECTED, HF_ADV_INVESTIGATING, HF_ADV_EOL,
};
enum hf_adv_flags {
    HF_ADV_NO_DSA = 1 << 0,      /* Debian: minor, no security update planned (R14) */
    HF_ADV_UNIMPORTANT = 1 << 1, /* Debian urgency "unimportant" */
    HF_ADV_DISTRO = 1 << 2,      /* from the distribution's own feed */
    HF_ADV_PRO = 1 << 3,         /* the fix is in Ubuntu Pro only (R15) */
    HF_ADV_BINARY_NAME = 1 << 4, /* package is a binary, not a source, package name */
};
struct hf_adv_range { /* introduced <= v < fixed, or <= last_affected; empty span: not given */
    struct hf_span introduced, fixed, last_affected;
};
/* One (advisory, namespace, package) row. Spans point into the mapping. */
struct hf_adv_row {
    uint32_t adv; /* for hf_advdb_advisory */
    enum hf_scheme scheme;
    enum hf_adv_state state;
    unsigned flags;
    enum hf_severity severity;  /* package-specific (distro urgency), or UNKNOWN */
    struct hf_span module;      /* rpm module "name:stream", empty: none (R17) */
    uint64_t parts;             /* private to the reader: where its lists begin */
    size_t n_ranges, n_versions, n_symbols;
};
/* Calls cb for every row of (ns, name); name already normalised by hf_adv_name().  cb returns < 0 to stop.
 * 0, cb's code, or HF_E_FORMAT when the file is damaged there. */
typedef int (*hf_adv_row_cb)(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row);
HF_MUSTUSE int hf_advdb_lookup(const struct hf_advdb *db, struct hf_span ns, struct hf_span name, hf_adv_row_cb cb, void *ctx,
        struct hf_err *err);
/* Parts of the row the callback was given. false: i is past the end, or the file is damaged. */
bool hf_adv_row_range(const struct hf_advdb *db, const struct hf_adv_row *row, size_t i, struct hf_adv_range *ret);
bool hf_adv_row_version(const struct hf_advdb *db, const struct hf_adv_row *row, size_t i, struct hf_span *ret);
/* Whether `version` is one of the row's explicit versions (R23); linear, unlike asking for each by index. */
bool hf_adv_row_has_version(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span version);
bool hf_adv_row_symbol(const struct hf_advdb *db, const struct hf_adv_row *row, size_t i, struct hf_span *ret);

struct hf_adv_cvss {
    struct hf_span vector;
    unsigned version10; /* 20, 30, 31, 40 */
    unsigned score10;   /* 0..100: score times ten, computed from the vector */
    struct hf_span source; /* "nvd", "ghsa", "vendor", "" */
};
/* What a record says, for display. Arrays are in the arena given; spans in the mapping or the arena. */
struct hf_advisory {
    struct hf_span id, summary;
    struct hf_span source;       /* name of the hf_adv_source */
    enum hf_severity severity;   /* the record's own, else from its best CVSS, else UNKNOWN */
    uint64_t published_unix, modified_unix;
    bool withdrawn;
    const struct hf_span *aliases; /* other ids of the same vulnerability, R24: aliases, and `upstream`/`related` CVE ids of
                                      distro records (which name their CVE there) */
    const struct hf_adv_cvss *cvss;
    const struct hf_span *urls;
    size_t n_aliases, n_cvss, n_urls;
};
HF_MUSTUSE int hf_advdb_advisory(const struct hf_advdb *db, uint32_t adv, struct hf_arena *arena, struct hf_advisory *ret,
        struct hf_err *err);
/* The description (up to 64 KiB, Markdown in most feeds) copied into the arena; empty when the record has none.  Apart from
 * hf_advdb_advisory because it costs unpacking a compressed block. */
HF_MUSTUSE int hf_advdb_details(const struct hf_advdb *db, uint32_t adv, struct hf_arena *arena, struct hf_span *ret, struct hf_err *err);
/* Every advisory that has this id or alias ("CVE-2021-44228", "GHSA-..."): calls cb with its number. */
HF_MUSTUSE int hf_advdb_by_id(const struct hf_advdb *db, struct hf_span id, int (*cb)(void *ctx, uint32_t adv), void *ctx,
        struct hf_err *err);
/* Every (namespace, package) a given advisory concerns. */
HF_MUSTUSE int hf_advdb_packages(const struct hf_advdb *db, uint32_t adv,
        int (*cb)(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row), void *ctx, struct hf_err *err);

/* EPSS (FIRST) and CISA KEV by CVE id. false: not listed. */
struct hf_epss { double score, percentile; /* 0..1 */ };
struct hf_kev { struct hf_span date_added, due_date; bool ransomware; };
bool hf_advdb_epss(const struct hf_advdb *db, struct hf_span cve, struct hf_epss *ret);
bool hf_advdb_kev(const struct hf_advdb *db, struct hf_span cve, struct hf_kev *ret);
