/* SPDX-License-Identifier: Apache-2.0 */
/* build.h - making the advisory database from feeds: what the feeds call, and the one call that does it all.
 * Format written: docs/formats/advdb.md. */
#pragma once
#include "advisories/db/advdb.h"

/* --- what a feed hands over --- */
struct hf_advb_advisory {
    struct hf_span id, summary, details;
    uint64_t published_unix, modified_unix;
    enum hf_severity severity; /* the source's own word, or UNKNOWN */
    const struct hf_span *aliases, *cvss_vectors, *urls; /* at most 4096 each are kept */
    size_t n_aliases, n_cvss, n_urls;
};
struct hf_advb_row {
    enum hf_scheme scheme;
    enum hf_adv_state state;
    unsigned flags;
    enum hf_severity severity;
    struct hf_span module;
    const struct hf_adv_range *ranges;
    const struct hf_span *versions, *symbols;
    size_t n_ranges, n_versions, n_symbols;
};
struct hf_advb; /* builder; one thread */
HF_MUSTUSE struct hf_advb *hf_advb_new(size_t max_bytes);
void hf_advb_free(struct hf_advb *b);
HF_DEFINE_FREEP(struct hf_advb, hf_advb_free)
/* Begins a source; what follows belongs to it.  name "osv:Debian", from: path or URL. */
HF_MUSTUSE int hf_advb_source(struct hf_advb *b, struct hf_span name, struct hf_span from, uint64_t fetched_unix, bool demo, struct hf_err *err);
void hf_advb_newest(struct hf_advb *b, uint64_t unix_time); /* the source's facts are at least as new as this */
void hf_advb_rejected(struct hf_advb *b);
/* Number of the advisory for hf_advb_add_row; the earlier one when the source said exactly this before.  HF_E_LIMIT. */
HF_MUSTUSE int hf_advb_add(struct hf_advb *b, const struct hf_advb_advisory *a, uint32_t *ret, struct hf_err *err);
/* name is normalised here. Rows equal to one already there (same namespace, name, id, content) are left out. */
HF_MUSTUSE int hf_advb_add_row(struct hf_advb *b, uint32_t adv, struct hf_span ns, struct hf_span name, const struct hf_advb_row *row, struct hf_err *err);
HF_MUSTUSE int hf_advb_epss(struct hf_advb *b, struct hf_span cve, double score, double percentile, struct hf_err *err);
HF_MUSTUSE int hf_advb_kev(struct hf_advb *b, struct hf_span cve, struct hf_span added, struct hf_span due, bool ransomware, struct hf_err *err);
/* Writes the file (temporary beside it, fsync, rename). */
HF_MUSTUSE int hf_advb_write(struct hf_advb *b, const char *path, struct hf_err *err);
uint64_t hf_advb_count(const struct hf_advb *b);

/* --- from files --- */
struct hf_advdb_build_opts {
    uint64_t max_memory;   /* 0: 4 GiB */
    uint64_t fetched_unix; /* 0: each file's own time */
    bool quiet;
};
/* Reads every source (a folder laid out as the public bucket, a zip, a single file of any feed known) and writes out_path.
 * report gets a line for each file that was left out or damaged.  HF_E_INCOMPLETE when there was one (the database is written),
 * HF_E_NOT_FOUND when nothing was read. */
HF_MUSTUSE int hf_advdb_build(const char *const *sources, size_t n, const struct hf_advdb_build_opts *o, const char *out_path,
        struct hf_buf *report, struct hf_err *err);
