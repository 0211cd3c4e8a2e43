/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h - the result of a scan: what every writer in report/ turns into its format.  Contract: docs/schema/scan-1.json.
 *
 * Plain data; spans and arrays belong to the arena of the scan. */
#pragma once
#include "advisories/db/advdb.h"
#include "packages/package.h"

struct hf_layer_info {
    struct hf_span digest, diff_id, created_by; /* digests as text; digest empty where the source has none */
    uint64_t size; /* bytes of the layer as stored */
    bool cached;   /* facts came from the cache */
};
struct hf_location {
    struct hf_span path;
    uint32_t layer; /* index in layers, or UINT32_MAX when the source has no layers */
};
struct hf_scan_package {
    struct hf_package p;
    struct hf_span purl;
    const struct hf_location *locations;
    size_t n_locations;
    const struct hf_package *owner; /* OS package whose file it was found in (R21); NULL where some place of it is nobody's */
    const struct hf_package **more_owners; /* of its other places, each once */
    size_t n_more_owners;
};
enum hf_vuln_status { HF_VULN_FIXED, HF_VULN_UNFIXED, HF_VULN_WONT_FIX, HF_VULN_DEFERRED, HF_VULN_INVESTIGATING, HF_VULN_EOL };
const char *hf_vuln_status_name(enum hf_vuln_status s); /* "fixed" = a fix exists ("fixed","unfixed","wont-fix",...) */
struct hf_why { /* R-n trace, for --why */
    struct hf_span rule;     /* "R1" ... */
    struct hf_span record;   /* advisory id */
    struct hf_span source;   /* feed */
    struct hf_span ns;       /* namespace and key it was looked up under */
    struct hf_span key;
    struct hf_span installed, compared; /* versions compared; compared says "< 1.2-3" or "in versions[]" */
    struct hf_span text;     /* one plain sentence */
};
/* Whether the package ran or was loaded in containers of the image: what to do first, and what can wait. */
enum hf_vuln_use { HF_USE_UNKNOWN, HF_USED_NOW /* loaded, reachable from the network, as root */, HF_USED_REACHABLE, HF_USED, HF_USED_NEVER };
struct hf_vuln {
    struct hf_span id;              /* CVE when exactly one, else the native id (R24) */
    const struct hf_span *aliases;
    size_t n_aliases;
    uint32_t package;               /* index in packages */
    enum hf_severity severity;
    const struct hf_adv_cvss *cvss; /* best first */
    size_t n_cvss;
    bool has_epss, has_kev;
    struct hf_epss epss;
    struct hf_kev kev;
    enum hf_vuln_status status;
    const struct hf_span *fixed_in; /* versions, lowest that helps first */
    size_t n_fixed_in;
    struct hf_span summary;
    uint64_t published_unix;
    const struct hf_span *urls;
    size_t n_urls;
    const struct hf_why *why;
    size_t n_why;
    bool collapsed;                 /* R30: kernel headers and the like; counted apart */
    enum hf_vuln_use use;
    bool use_root;
    uint64_t use_first_unix, use_last_unix; /* 0: not */
    struct hf_span ignored_by;      /* reason of the ignore rule that took it out; empty: counts */
};
struct hf_finding { /* kind: secret, malware, sensitive-data, config, size, license, trust, drift */
    struct hf_span kind, rule, title, path, evidence, remediation;
    enum hf_severity severity;
    unsigned line;
    uint32_t layer;
    const struct hf_span *references;
    size_t n_references;
};
struct hf_incomplete {
    struct hf_span path, reason;
    uint32_t layer;
    bool unlisted; /* what is at path, or below it, is not even in the list of files */
};
struct hf_mark { /* an observation of a cataloger: "apk-repositories", "ubuntu-pro", "rhel-content-set", "java-unnamed" */
    struct hf_span key, text;
};
struct hf_scan {
    struct hf_arena arena;
    struct hf_span target;          /* as the user gave it, with the scheme it resolved to */
    struct hf_span digest, os, arch, created; /* image; empty for directories and SBOMs */
    struct hf_span index, config;             /* other digests it is known by: of the image index its manifest is from, of its config; may be empty */
    const struct hf_layer_info *layers;
    size_t n_layers;
    struct hf_os_release release;   /* of the content; id empty: none found */
    uint64_t eol_unix;              /* end of life, 0: unknown */
    bool eol;                       /* past it today (R20) */
    bool matched;                   /* held against advisories at all */
    bool gaps;                      /* with advisories that are not whole: stale, missing, past the end of support, demonstration data (R20) */
    struct hf_scan_package *packages;
    size_t n_packages;
    struct hf_vuln *vulns;
    size_t n_vulns;
    struct hf_finding *findings;
    size_t n_findings;
    struct hf_incomplete *incomplete;
    size_t n_incomplete;
    const struct hf_adv_source *feeds; /* those that were consulted */
    size_t n_feeds;
    struct hf_mark *marks;
    size_t n_marks, cap_marks;
    struct hf_span *warnings;       /* stale feed, no data for this release, demonstration data, EOL: plain sentences */
    size_t n_warnings;
    uint64_t used_since_unix;       /* since when it is known which packages are used; 0: it is not */
    uint64_t files, bytes;          /* looked at */
    uint64_t started_unix, elapsed_ns;
};
void hf_scan_init(struct hf_scan *s, size_t max_bytes);
void hf_scan_done(struct hf_scan *s);
HF_PRINTF(4, 5) int hf_scan_incomplete(struct hf_scan *s, struct hf_span path, uint32_t layer, const char *fmt, ...);
HF_PRINTF(2, 3) int hf_scan_warn(struct hf_scan *s, const char *fmt, ...);
