/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - channels and routes: /etc/holdfast/notify.yaml, holdfast-notify(5).
 *
 * A file is a list of `- settings:`, `- channel: NAME` and `- route: NAME`.  Reading it is pure (no files, clock or network); what a
 * channel must keep secret never stands in it: the file names other files or systemd credentials, which hf_nconf_secrets reads.
 * Errors are HF_E_USAGE with file:line.  Not thread-safe while loading; afterwards constant. */
#pragma once
#include "base/mem.h"

enum hf_nkind {
    HF_N_SLACK,
    HF_N_SLACK_WEBHOOK,
    HF_N_TEAMS,
    HF_N_MATTERMOST,
    HF_N_DISCORD,
    HF_N_MATRIX,
    HF_N_PAGERDUTY,
    HF_N_JSM_OPS,
    HF_N_JIRA,
    HF_N_GITHUB,
    HF_N_GITLAB,
    HF_N_MAIL,
    HF_N_SYSLOG,
    HF_N_WEBHOOK,
    HF_N_OTLP,
    HF_N_FILE,
    HF_N_KINDS,
};
extern const char *const hf_nkinds[HF_N_KINDS];

enum hf_nseverity { HF_NSEV_DEBUG, HF_NSEV_INFO, HF_NSEV_NOTICE, HF_NSEV_LOW, HF_NSEV_MEDIUM, HF_NSEV_HIGH, HF_NSEV_CRITICAL, HF_NSEVS };
extern const char *const hf_nseverities[HF_NSEVS];

enum hf_nformat { HF_NFMT_TEXT, HF_NFMT_CEF, HF_NFMT_LEEF, HF_NFMT_OCSF, HF_NFMT_JSON, HF_NFMTS };
extern const char *const hf_nformats[HF_NFMTS];

/* What makes a channel say something about an incident it already spoke of. */
enum { HF_NUP_STATE = 1, HF_NUP_SEVERITY = 2, HF_NUP_ALERT = 4, HF_NUP_COMMENT = 8, HF_NUP_ACTION = 16, HF_NUP_ALL = 31 };

struct hf_nspans {
    struct hf_span *v;
    size_t n, cap;
};
enum { HF_NSECRETS = 4 };
enum hf_nsecret_kind { HF_NSECRET_URL, HF_NSECRET_TOKEN, HF_NSECRET_KEY, HF_NSECRET_APP }; /* KEY signs: ours (webhook), theirs (slack, pagerduty) */
struct hf_nsecret {
    struct hf_span file;       /* path, or name of a credential */
    bool credential;
    struct hf_span value;      /* after hf_nconf_secrets; else empty */
};
struct hf_nchannel {
    struct hf_span name;
    enum hf_nkind kind;
    uint32_t line, keys;       /* which keys were given: private */
    struct hf_span url;        /* inline or the default of the kind; empty when secret */
    struct hf_nsecret secret[HF_NSECRETS];
    struct hf_span user, from, path, project, issue_type, ca_file, proxy;
    struct hf_nspans to, labels;
    struct hf_span transition[4]; /* Jira's name for open, acknowledged, contained, resolved; empty: none */
    enum hf_nformat format;
    bool data_center;          /* Jira: API version 2, plain text */
    bool plain;                /* without TLS beyond this machine: asked for explicitly */
    unsigned updates;          /* HF_NUP_* */
    struct hf_nspans people;   /* id there, account here, id, account */
    struct hf_nspans responders; /* ids there (or accounts) that may act on containers */
    uint32_t read_back_s;      /* Jira: how often it is asked what changed; 0: never */
    uint32_t metrics_s;        /* otlp: how often numbers go to /v1/metrics; 0: never */
    uint32_t digest_s;         /* mail: what happened in this time, as one mail; 0: each by itself */
    bool digest_quiet;         /* mail: what quiet hours held back comes as one mail */
    uint32_t digest_at;        /* minutes since 00:00 at which the day's digest goes out; UINT32_MAX: every digest_s since 00:00 */
};
struct hf_nwindow {
    uint32_t from, to;         /* minutes since Monday 00:00; to may go beyond the week's end */
};
struct hf_nwindows {
    struct hf_nwindow *v;
    size_t n, cap;
};
struct hf_nroute {
    struct hf_span name;
    uint32_t line;
    enum hf_nseverity at_least;
    struct hf_nspans images, namespaces, rules, labels; /* labels: name, value, name, value */
    struct hf_nwindows hours, quiet;
    enum hf_nseverity quiet_below; /* what is held back in quiet hours */
    uint32_t *to, *escalate_to;    /* indices of channels */
    size_t n_to, n_escalate_to;
    uint32_t group_s, escalate_s;  /* escalate_s 0: never */
    bool stop;                     /* no route behind this one when it matches */
};
struct hf_nconf {
    struct hf_arena arena;
    struct hf_nchannel *channels;
    struct hf_nroute *routes;
    size_t n_channels, cap_channels, n_routes, cap_routes;
    struct hf_span console, proxy, file; /* console: address of the page, without "/" at its end; may be empty */
    uint32_t give_up_s;                  /* a delivery older than this is a dead letter */
    bool local_time;                     /* windows: this machine's time zone instead of UTC */
    bool seen_settings;
};
/* HF_E_USAGE, HF_E_LIMIT. */
HF_MUSTUSE int hf_nconf_parse(struct hf_nconf **ret, struct hf_span text, const char *name, struct hf_err *err);
HF_MUSTUSE int hf_nconf_load(struct hf_nconf **ret, const char *path, struct hf_err *err);
void hf_nconf_free(struct hf_nconf *c);
HF_DEFINE_FREEP(struct hf_nconf, hf_nconf_free)
/* Reads what channels keep secret (of one channel: only); an address found so is checked as one in the file is.  Refuses files that
 * everyone may read.  HF_E_USAGE names the channel and the file, never what is in it. */
HF_MUSTUSE int hf_nconf_secrets(struct hf_nconf *c, const struct hf_nchannel *only_or_null, struct hf_err *err);
/* Index of a channel; SIZE_MAX. */
size_t hf_nconf_channel(const struct hf_nconf *c, struct hf_span name);
/* The address a channel speaks to: given, read, or its kind's. */
struct hf_span hf_nchannel_url(const struct hf_nchannel *ch);
/* Replaces every secret of the channel in text (same length or shorter) by "***". */
/* The account of somebody there; empty: none is known.  Whether they may act on containers. */
struct hf_span hf_nchannel_account(const struct hf_nchannel *ch, struct hf_span id);
bool hf_nchannel_responder(const struct hf_nchannel *ch, struct hf_span id);
void hf_nchannel_scrub(const struct hf_nchannel *ch, char *text);
