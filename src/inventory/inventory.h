/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.h - what runs where and what is in it, kept in the store so that a new advisory finds its images without reading any of them.
 *
 *  - hf_inv_scan: the document of `holdfast scan --json` becomes an image with its packages and findings;
 *  - hf_inv_line: lines of `watch --json` keep hosts, containers and which packages are used;
 *  - hf_inv_wanted: which images that run were not scanned yet, one after the other;
 *  - hf_inv_rematch: every package of the inventory against a new advisory database, with the verdicts a scan of the image would give;
 *  - hf_inv_incidents: what is new and runs becomes incidents, few and sorted; hf_inv_settle ends those whose containers are gone.
 *
 * Documents and lines are hostile: sizes are bounded, what is refused says why and where.  Functions use the caller's store handle and so belong to
 * its thread; hf_inv_rematch takes seconds for hundreds of images and is meant for a thread with a handle of its own.  It writes one image at a
 * time, other writers get their turn between them. */
#pragma once
#include "base/span.h"
#include "store/inventory.h"

struct hf_store;
struct hf_inc;
struct hf_jw;
struct cJSON;

enum {
    HF_INV_SCAN_MAX = 64 << 20,      /* bytes of a scan document */
    HF_INV_PACKAGES_MAX = 100000,    /* of an image */
    HF_INV_FINDINGS_MAX = 200000,
    HF_INV_LAYERS_MAX = 1000,
    HF_INV_LINE_MAX = 2 << 20,
    HF_INV_WANTED_MAX = 4096,        /* images that wait to be scanned */
    HF_INV_LABELS_MAX = 64,          /* of a container */
};

/* "critical", "high", "medium", "low", "negligible", "unknown" (nobody has rated it), "not_counted" (accepted, or without consequence in an image) for the
 * severities 6 to 0 of findings in the store. */
const char *hf_inv_severity_name(int severity);
/* A document of the store (hf_jnode) as a value of another. */
void hf_inv_json(struct hf_jw *w, const struct cJSON *value);

/* A scan: image (doc: docs/store.md, "Documents of the inventory"), packages and findings, in one transaction; what was there of the image is replaced, but
 * `found` of findings that stay, and what is known of use.  HF_E_FORMAT: no holdfast.scan/1, or one without an image digest (a folder or an SBOM);
 * HF_E_LIMIT: over a limit above, named.  Nothing is changed then.  digest: by which its runtime knows the image: taken where the
 * scan says none (of a running container), or names it as that of the index or the config; else empty.  ret_digest (may be NULL): of the image. */
HF_MUSTUSE int hf_inv_scan(struct hf_store *s, struct hf_span scan_json, struct hf_span digest, struct hf_buf *ret_digest, struct hf_err *err);

/* A scan by the privileged process (hand/hand.h), put into the store. */
struct hf_hand;
struct hf_inv_asking {
    struct hf_hand *hand;
    struct hf_store *s;
    struct hf_span ref, digest; /* one may be empty: by ref, else by digest; what is not to be had so is looked for in a container that runs of the digest */
    struct hf_span by, via;     /* who asks */
    unsigned timeout_ms;
};
/* HF_E_NOT_FOUND also when the reference means another image by now (which is in the store then); errors of the hand, of hf_inv_scan. */
HF_MUSTUSE int hf_inv_ask(const struct hf_inv_asking *a, struct hf_err *err);

/* What `holdfast inuse --json` says: packages whose files ran or were loaded in containers, libraries too, of which lines say nothing.  They and their findings are
 * marked ("in_use" as in a scan).  Returns how many packages were not known to be used that way; HF_E_FORMAT, HF_E_LIMIT. */
HF_MUSTUSE int hf_inv_inuse(struct hf_store *s, struct hf_span inuse_json, struct hf_err *err);

/* What `holdfast seal list --json` says: which images are sealed, since when (hf_store_seal_get by either digest).  Returns how many seals are new or others than
 * before; HF_E_FORMAT, HF_E_LIMIT. */
HF_MUSTUSE int hf_inv_seals(struct hf_store *s, struct hf_span seals_json, struct hf_err *err);

/* What `holdfast seal verify --json` says of a container that runs: 1 when something of it counts (a sealed file or link that was changed or removed, a program that the image has not), with an
 * alert appended to ret_alert that is a line as of `watch --json` (rule "Files of a container differ from its seal", at most 50 differences); 0: nothing does.  ret_hash: of what counts, so that
 * the same is not told twice.  HF_E_FORMAT, HF_E_LIMIT. */
HF_MUSTUSE int hf_inv_verified(struct hf_span verify_json, const struct hf_inv_container *c, int64_t now, struct hf_buf *ret_alert, char ret_hash[65], struct hf_err *err);

/* ---- from the lines of watch --json ---- */
struct hf_inv;
/* host_id: /etc/machine-id, host_name: as `watch` says it.  The sensor tells all containers that run when it starts, then that it has: those of this host that the store
 * has as running and that it did not name are ended by the next hf_inv_flush. */
HF_MUSTUSE int hf_inv_new(struct hf_inv **ret, struct hf_store *s, struct hf_span host_id, struct hf_span host_name, struct hf_err *err);
void hf_inv_free(struct hf_inv *v);
HF_DEFINE_FREEP(struct hf_inv, hf_inv_free)
/* One line.  1: an image is wanted that was not before (hf_inv_wanted), 0; HF_E_FORMAT: no line of watch --json; errors of the store.  Cheap for lines of
 * other types: one look. */
HF_MUSTUSE int hf_inv_line(struct hf_inv *v, struct hf_span line, struct hf_err *err);
/* Whether hf_inv_line learns anything of it; one look. */
bool hf_inv_concerns(struct hf_span line);
/* What lines said of use is written at most every few seconds; this writes it now.  To be called now and then, and at the end. */
HF_MUSTUSE int hf_inv_flush(struct hf_inv *v, int64_t now, struct hf_err *err);
/* The next image to scan: 1 and its reference (as the container was started with) and digest, 0: none that is due.  An image is asked for once by its
 * digest, also when many containers of it run; after a failure again with growing pauses (1 minute to 6 hours). */
HF_MUSTUSE int hf_inv_wanted(struct hf_inv *v, int64_t now, struct hf_buf *ret_ref, struct hf_buf *ret_digest);
/* How the scan of what hf_inv_wanted gave went.  why empty: it is in the store (hf_inv_scan).  Else the reason is kept with the image ("scan_error" of its
 * doc), for people to see. */
HF_MUSTUSE int hf_inv_scanned(struct hf_inv *v, struct hf_span digest, struct hf_span why, int64_t now, struct hf_err *err);
/* Ask for an image again (console: scan now). */
HF_MUSTUSE int hf_inv_want(struct hf_inv *v, struct hf_span ref, struct hf_span digest);
/* How many wait. */
size_t hf_inv_waiting(const struct hf_inv *v);

/* ---- new advisories ---- */
struct hf_inv_new {
    struct hf_span digest, image;            /* of the image: digest and name */
    const struct hf_inv_finding *finding;    /* doc: as the scan's, docs/schema/scan-1.json "vulnerabilities" */
    uint64_t running;                        /* containers of it that run */
    bool known_image;                        /* the image was matched before: the advisory is what is new.  false: its first match */
    bool kev;                                /* known to be exploited (CISA) */
};
/* Called for each finding that was not there before; a result < 0 ends the re-match (what was written stays). */
typedef int (*hf_inv_new_cb)(void *ctx, const struct hf_inv_new *n);
struct hf_inv_rematch_opts {
    const char *db_path;                     /* the advisory database */
    uint64_t stale_after_s;                  /* as db.max_age */
    const char *ignore_file;                 /* NULL: none; entries as for a scan */
    bool all;                                /* also images that were matched against this very database */
    uint64_t now_unix;                       /* 0: now */
};
struct hf_inv_rematched {
    uint64_t images, packages, findings;     /* matched; findings there are now */
    uint64_t added, removed, changed;
    uint64_t current, unscanned, failed;     /* images: matched against this database before; without a scan; left as they were (the log says why) */
};
/* Every scanned image of the store that was not matched against this database yet.  Returns 0, or < 0: -ENOENT and others of the database, of the store, of cb. */
HF_MUSTUSE int hf_inv_rematch(struct hf_store *s, const struct hf_inv_rematch_opts *o, hf_inv_new_cb cb, void *ctx, struct hf_inv_rematched *ret, struct hf_err *err);

/* ---- incidents of advisories ---- */
struct hf_inv_policy {
    int min_severity;     /* from this on (5: high); what is known to be exploited always, what is in use one step lower */
    unsigned alone_max;   /* up to so many new vulnerabilities of an image each are an incident of their own (3); more are one incident of the image */
    bool only_in_use;     /* only packages whose files ran or were loaded, and what is known to be exploited */
};
#define HF_INV_POLICY_DEFAULT ((struct hf_inv_policy){5, 3, false})
/* As the settings inventory.incident_... say.  HF_E_USAGE: the severity is none. */
struct hf_config;
HF_MUSTUSE int hf_inv_policy_of(const struct hf_config *c, struct hf_inv_policy *ret, struct hf_err *err);
/* Collects what hf_inv_rematch tells (give hf_inv_collect as its cb and this as ctx), then makes or extends the incidents of containers that run: one for each
 * advisory and image, or one for an image with many.  Each is written with its audit entry in one transaction.  Returns how many incidents are new or changed. */
struct hf_inv_news;
HF_MUSTUSE int hf_inv_news_new(struct hf_inv_news **ret, struct hf_store *s, const struct hf_inv_policy *p);
void hf_inv_news_free(struct hf_inv_news *n);
HF_DEFINE_FREEP(struct hf_inv_news, hf_inv_news_free)
int hf_inv_collect(void *news, const struct hf_inv_new *n);
HF_MUSTUSE int hf_inv_incidents(struct hf_inv_news *n, struct hf_span host, int64_t now, struct hf_err *err);
/* Incidents of advisories none of whose containers runs any longer, or none of whose vulnerabilities is found there any longer, are resolved with a note
 * that says which.  Returns how many. */
HF_MUSTUSE int hf_inv_settle(struct hf_store *s, int64_t now, struct hf_err *err);
/* The vulnerabilities of packages whose files really ran in the images of an incident, worst first, as nodes of its graph (at most 10).  The caller stores the
 * document.  Returns how many were added. */
HF_MUSTUSE int hf_inv_enrich(struct hf_store *s, struct hf_inc *inc, struct hf_err *err);
/* The document of an incident with those vulnerabilities, appended to out: what the correlator's flush gives is not changed.  Also when < 0, then without. */
HF_MUSTUSE int hf_inv_document(struct hf_store *s, const struct hf_inc *inc, struct hf_buf *out, struct hf_err *err);
