// SPDX-License-Identifier: Apache-2.0
#include "notify/conf.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/opts.h"
#include "base/yaml-file.h"
#include "notify/address.h"

#define FILE_MAX (1u << 20)
#define NODES_MAX 20000
#define MEMORY_MAX (8u << 20)
#define CHANNELS_MAX 64u   /* each has a thread */
#define ROUTES_MAX 256u
#define LIST_MAX 128u
#define TEXT_MAX 1024u
#define SECRET_MAX 8192u
#define GIVE_UP_S (3u * 86400) /* a server may be down for a long weekend */
#define GROUP_S 10u
#define READ_BACK_S 60u
#define READ_BACK_MIN_S 10u /* Jira Cloud counts requests by the hour */
#define DIGEST_MIN_S 600u
#define METRICS_MIN_S 1u

const char *const hf_nkinds[HF_N_KINDS] = {"slack", "slack-webhook", "teams", "mattermost", "discord", "matrix", "pagerduty", "jsm-ops", "jira", "github", "gitlab", "mail", "syslog", "webhook", "otlp", "file"};
const char *const hf_nseverities[HF_NSEVS] = {"debug", "info", "notice", "low", "medium", "high", "critical"};
const char *const hf_nformats[HF_NFMTS] = {"text", "cef", "leef", "ocsf", "json"};
static const char *const update_names[5] = {"state", "severity", "alert", "comment", "action"};

/* Keys of a channel, as bits of hf_nchannel.keys. */
enum {
    K_URL = 1, K_TOKEN = 2, K_KEY = 4, K_USER = 8, K_TO = 16, K_FROM = 32, K_PATH = 64, K_FORMAT = 128, K_PROJECT = 256, K_ISSUE_TYPE = 512, K_TRANSITIONS = 1024,
    K_LABELS = 2048, K_API = 4096, K_PLAIN = 8192, K_CA = 16384, K_PROXY = 32768, K_UPDATES = 65536, K_TYPE = 131072, K_APP = 1 << 18,
    K_PEOPLE = 1 << 19, K_RESPONDERS = 1 << 20, K_READ_BACK = 1 << 21, K_DIGEST = 1 << 22, K_METRICS = 1 << 23,
};
static const struct {
    uint32_t bit;
    const char *name;
} key_names[] = {
        {K_URL, "url"}, {K_TOKEN, "token_file"}, {K_KEY, "key_file"}, {K_USER, "user"}, {K_TO, "to"}, {K_FROM, "from"}, {K_PATH, "path"}, {K_FORMAT, "format"}, {K_PROJECT, "project"},
        {K_ISSUE_TYPE, "issue_type"}, {K_TRANSITIONS, "transitions"}, {K_LABELS, "labels"}, {K_API, "api"}, {K_PLAIN, "plain"}, {K_CA, "ca_file"}, {K_PROXY, "proxy"}, {K_UPDATES, "updates"},
        {K_APP, "app_token_file"}, {K_PEOPLE, "people"}, {K_RESPONDERS, "responders"}, {K_READ_BACK, "read_back"}, {K_DIGEST, "digest"}, {K_METRICS, "metrics"},
};
#define NET (K_PLAIN | K_CA | K_PROXY | K_UPDATES)
#define TOLD (HF_NUP_STATE | HF_NUP_SEVERITY | HF_NUP_COMMENT | HF_NUP_ACTION)
static const struct {
    uint32_t needs, takes;
    bool secret_url;       /* whoever has the address may post: it must not stand in the file */
    const char *url;       /* default */
    unsigned updates;
} rules[HF_N_KINDS] = {
        [HF_N_SLACK] = {K_TOKEN | K_TO, K_URL | K_APP | K_KEY | K_PEOPLE | K_RESPONDERS | NET, false, "https://slack.com/api", HF_NUP_ALL},
        [HF_N_SLACK_WEBHOOK] = {K_URL, NET, true, NULL, TOLD},
        [HF_N_TEAMS] = {K_URL, NET, true, NULL, TOLD},
        [HF_N_MATTERMOST] = {K_URL, K_TO | NET, true, NULL, TOLD},
        [HF_N_DISCORD] = {K_URL, NET, true, NULL, HF_NUP_ALL},
        [HF_N_MATRIX] = {K_URL | K_TOKEN | K_TO, NET, false, NULL, HF_NUP_ALL},
        [HF_N_PAGERDUTY] = {K_TOKEN, K_URL | K_KEY | K_PEOPLE | NET, false, "https://events.pagerduty.com", HF_NUP_STATE | HF_NUP_SEVERITY},
        [HF_N_JSM_OPS] = {K_TOKEN, K_URL | K_LABELS | NET, false, "https://api.atlassian.com/jsm/ops/integration", TOLD},
        [HF_N_JIRA] = {K_URL | K_TOKEN | K_PROJECT, K_USER | K_ISSUE_TYPE | K_TRANSITIONS | K_LABELS | K_API | K_PEOPLE | K_READ_BACK | NET, false, NULL, TOLD},
        [HF_N_GITHUB] = {K_TOKEN | K_PROJECT, K_URL | K_LABELS | NET, false, "https://api.github.com", TOLD},
        [HF_N_GITLAB] = {K_TOKEN | K_PROJECT, K_URL | K_LABELS | NET, false, "https://gitlab.com/api/v4", TOLD},
        [HF_N_MAIL] = {K_URL | K_FROM | K_TO, K_USER | K_TOKEN | K_DIGEST | NET, false, NULL, TOLD},
        [HF_N_SYSLOG] = {K_URL, K_FORMAT | NET, false, NULL, HF_NUP_ALL},
        [HF_N_WEBHOOK] = {K_URL | K_KEY, NET, false, NULL, HF_NUP_ALL},
        [HF_N_OTLP] = {K_URL, K_TOKEN | K_METRICS | NET, false, NULL, HF_NUP_ALL},
        [HF_N_FILE] = {K_PATH, K_FORMAT | K_UPDATES, false, NULL, HF_NUP_ALL},
};

struct names { /* channels a route names before all of them are known */
    struct hf_span *v;
    size_t n, cap;
};
struct pending {
    struct hf_nspans to, escalate_to;
};
struct loader {
    struct hf_nconf *c;
    struct hf_yaml y;
    struct hf_nchannel *ch;
    struct hf_nroute *r;
    struct pending *p;
    struct pending *pending; /* one a route */
    size_t n_pending, cap_pending;
};
struct key {
    const char *name;
    int (*read)(struct loader *l, const char *name, const yaml_node_t *value, unsigned arg);
    unsigned arg;
};

/* ---- values ---- */

static int keep(struct loader *l, const char *name, const yaml_node_t *n, struct hf_span *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    if (!n || n->type != YAML_SCALAR_NODE || !s.n)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a text", name);
    if (s.n > TEXT_MAX)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u bytes", name, TEXT_MAX);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return hf_yaml_wrong(&l->y, n, "\"%s\" has a control character", name);
    if (!hf_span_is_utf8(s))
        return hf_yaml_wrong(&l->y, n, "\"%s\" is not UTF-8", name);
    return hf_arena_dup(&l->c->arena, s, ret) < 0 ? hf_fail(l->y.err, HF_E_LIMIT, "%s takes more memory than it may", l->y.file) : 0;
}

/* "30s", "15m", "24h", "3d" */
static int duration(struct loader *l, const char *name, const yaml_node_t *n, uint32_t max_s, uint32_t *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    uint64_t v = 0;
    char unit = s.n ? s.p[s.n - 1] : 0;
    uint32_t by = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
    if (!by || hf_parse_u64(hf_span_sub(s, 0, s.n - 1), 10, 0, max_s, &v) < 0 || v * by > max_s)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a time such as 30s, 15m, 24h or 3d, at most %ud", name, max_s / 86400);
    *ret = (uint32_t)v * by;
    return 0;
}

static int add_span(struct loader *l, const char *name, const yaml_node_t *n, struct hf_nspans *list)
{
    struct hf_span s;
    int rc = keep(l, name, n, &s);
    if (rc < 0)
        return rc;
    struct hf_span *slot = hf_grow((void **)&list->v, &list->n, &list->cap, sizeof *list->v, 2 * LIST_MAX);
    if (!slot)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u entries", name, LIST_MAX);
    *slot = s;
    return 0;
}

/* A text, or a list of them. */
static int spans(struct loader *l, const char *name, const yaml_node_t *n, struct hf_nspans *list)
{
    int rc = 0;
    if (!n || n->type != YAML_SEQUENCE_NODE)
        return add_span(l, name, n, list);
    if (n->data.sequence.items.top == n->data.sequence.items.start)
        return hf_yaml_wrong(&l->y, n, "\"%s\" is empty", name);
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top && rc == 0; i++)
        rc = add_span(l, name, hf_yaml_at(&l->y, *i), list);
    return rc;
}

static int mapping(struct loader *l, const char *what, const yaml_node_t *n, const struct key *keys, size_t count)
{
    const char *names[HF_YAML_KEYS_MAX];
    struct hf_yaml_walk w = {.at = 0};
    const yaml_node_t *value;
    size_t which;
    int rc = 1;
    for (size_t i = 0; i < count && i < HF_YAML_KEYS_MAX; i++)
        names[i] = keys[i].name;
    while (rc >= 0 && (rc = hf_yaml_next(&l->y, &w, what, n, names, count, &which, &value)) == 1)
        rc = keys[which].read(l, keys[which].name, value, keys[which].arg);
    return rc;
}

/* ---- times of the week ---- */

static int clock_of(struct hf_span s, uint32_t *ret)
{
    uint64_t h, m;
    if (s.n != 5 || s.p[2] != ':' || hf_parse_u64(hf_span_sub(s, 0, 2), 10, 0, 24, &h) < 0 || hf_parse_u64(hf_span_sub(s, 3, 2), 10, 0, 59, &m) < 0 || h * 60 + m > 1440)
        return HF_E_FORMAT;
    *ret = (uint32_t)(h * 60 + m);
    return 0;
}

static bool days_of(struct hf_span s, unsigned *from, unsigned *to)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    if (hf_span_eqz(s, "daily")) {
        *from = 0;
        *to = 6;
        return true;
    }
    *from = *to = 7;
    for (unsigned i = 0; i < 7; i++) {
        if (hf_span_eqz(hf_span_sub(s, 0, 3), days[i]))
            *from = i;
        if (hf_span_eqz(hf_span_from(s, s.n == 7 ? 4 : 0), days[i]))
            *to = i;
    }
    return *from < 7 && *to < 7 && *from <= *to && (s.n == 3 || (s.n == 7 && s.p[3] == '-'));
}

/* "Mon-Fri 08:00-18:00", "Sat 00:00-24:00", "daily 22:00-07:00" (into the next day). */
static int window(struct loader *l, const char *name, const yaml_node_t *n, struct hf_nwindows *list)
{
    struct hf_span s = hf_yaml_scalar(n), day, times = s;
    uint32_t from, to;
    unsigned first, last;
    bool right = hf_span_cut(&times, ' ', &day);
    if (!right || !days_of(day, &first, &last) || times.n != 11 || times.p[5] != '-' || clock_of(hf_span_sub(times, 0, 5), &from) < 0 || clock_of(hf_span_from(times, 6), &to) < 0 || from == to)
        return hf_yaml_wrong(&l->y, n, "\"%s\": a time is written as \"Mon-Fri 08:00-18:00\", \"Sat 00:00-24:00\" or \"daily 22:00-07:00\"", name);
    to += to < from ? 1440 : 0;
    for (unsigned i = first; i <= last; i++) {
        struct hf_nwindow *w = hf_grow((void **)&list->v, &list->n, &list->cap, sizeof *w, 7 * LIST_MAX);
        if (!w)
            return hf_yaml_wrong(&l->y, n, "\"%s\" has too many entries", name);
        *w = (struct hf_nwindow){i * 1440 + from, i * 1440 + to};
    }
    return 0;
}

static int windows(struct loader *l, const char *name, const yaml_node_t *n, struct hf_nwindows *list)
{
    int rc = 0;
    if (!n || n->type != YAML_SEQUENCE_NODE)
        return window(l, name, n, list);
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top && rc == 0; i++)
        rc = window(l, name, hf_yaml_at(&l->y, *i), list);
    return rc;
}

/* ---- channels ---- */

static int read_kind(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    unsigned kind;
    (void)arg;
    int rc = hf_yaml_choice(&l->y, name, n, hf_nkinds, HF_N_KINDS, &kind);
    if (rc < 0)
        return rc;
    l->ch->kind = (enum hf_nkind)kind;
    l->ch->keys |= K_TYPE;
    return 0;
}

static int read_text(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    struct hf_nchannel *ch = l->ch;
    struct hf_span *to = bit == K_URL ? &ch->url : bit == K_USER ? &ch->user : bit == K_FROM ? &ch->from : bit == K_PATH ? &ch->path : bit == K_PROJECT ? &ch->project
            : bit == K_ISSUE_TYPE ? &ch->issue_type : bit == K_CA ? &ch->ca_file : &ch->proxy;
    ch->keys |= bit;
    return keep(l, name, n, to);
}

static const uint32_t secret_keys[HF_NSECRETS] = {K_URL, K_TOKEN, K_KEY, K_APP};

/* arg: kind of secret, and 16 for a credential. */
static int read_secret(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_nsecret *s = &l->ch->secret[arg & 3];
    if (s->file.n)
        return hf_yaml_wrong(&l->y, n, "\"%s\": the file and the credential of one secret are both given", name);
    s->credential = arg & 16;
    l->ch->keys |= secret_keys[arg & 3];
    int rc = keep(l, name, n, &s->file);
    if (rc == 0 && s->credential && (hf_span_find(s->file, '/') != SIZE_MAX || s->file.p[0] == '.'))
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be the name of a systemd credential, not a path", name);
    if (rc == 0 && !s->credential && s->file.p[0] != '/')
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be an absolute path", name);
    return rc;
}

static int read_list(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    l->ch->keys |= bit;
    return spans(l, name, n, bit == K_TO ? &l->ch->to : &l->ch->labels);
}

/* Ids, or a mapping of ids to names of accounts; a mapping of responders names both at once. */
static int read_people(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    int rc = 0;
    l->ch->keys |= bit;
    if (n && n->type == YAML_SEQUENCE_NODE && bit == K_RESPONDERS)
        return n->data.sequence.items.top == n->data.sequence.items.start ? 0 : spans(l, name, n, &l->ch->responders);
    if (!n || n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a mapping of their ids to names of accounts%s", name, bit == K_RESPONDERS ? ", or a list of ids" : "");
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top && rc == 0; p++) {
        rc = add_span(l, name, hf_yaml_at(&l->y, p->key), &l->ch->people);
        rc = rc < 0 ? rc : add_span(l, name, hf_yaml_at(&l->y, p->value), &l->ch->people);
        if (rc == 0 && bit == K_RESPONDERS)
            rc = add_span(l, name, hf_yaml_at(&l->y, p->key), &l->ch->responders);
    }
    return rc;
}

static int read_read_back(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    l->ch->keys |= bit;
    if (hf_span_eqz(hf_yaml_scalar(n), "never")) {
        l->ch->read_back_s = 0;
        return 0;
    }
    int rc = duration(l, name, n, 86400, &l->ch->read_back_s);
    return rc == 0 && l->ch->read_back_s < READ_BACK_MIN_S ? hf_yaml_wrong(&l->y, n, "\"%s\" is \"never\" or at least %us", name, READ_BACK_MIN_S) : rc;
}

static int read_metrics(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    l->ch->keys |= bit;
    int rc = duration(l, name, n, 86400, &l->ch->metrics_s);
    return rc == 0 && l->ch->metrics_s < METRICS_MIN_S ? hf_yaml_wrong(&l->y, n, "\"%s\" is at least %us", name, METRICS_MIN_S) : rc;
}

/* "1h", "15m", "1d", "1d at 08:00", "quiet" */
static int read_digest(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    struct hf_span s = hf_yaml_scalar(n), every = s;
    size_t at = hf_span_search(s, HF_S(" at "));
    struct hf_nchannel *ch = l->ch;
    uint64_t v = 0;
    ch->keys |= bit;
    ch->digest_at = UINT32_MAX;
    ch->digest_quiet = hf_span_eqz(s, "quiet");
    if (ch->digest_quiet)
        return 0;
    if (at != SIZE_MAX)
        every = hf_span_sub(s, 0, at);
    char unit = every.n ? every.p[every.n - 1] : 0;
    uint32_t by = unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
    if (by && hf_parse_u64(hf_span_sub(every, 0, every.n - 1), 10, 1, 86400, &v) == 0 && v * by >= DIGEST_MIN_S && v * by <= 86400 && 86400 % (v * by) == 0)
        ch->digest_s = (uint32_t)v * by;
    if (!ch->digest_s || (at != SIZE_MAX && (ch->digest_s != 86400 || clock_of(hf_span_from(s, at + 4), &ch->digest_at) < 0 || ch->digest_at >= 1440)))
        return hf_yaml_wrong(&l->y, n, "\"%s\" is a part of a day such as 15m, 1h, 6h or 1d (at least %um), \"1d at 08:00\", or \"quiet\"", name, DIGEST_MIN_S / 60);
    return 0;
}

static int read_format(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    unsigned v;
    int rc = hf_yaml_choice(&l->y, name, n, hf_nformats, HF_NFMTS, &v);
    if (rc == 0)
        l->ch->format = (enum hf_nformat)v;
    l->ch->keys |= bit;
    return rc;
}

static int read_api(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    static const char *const names[] = {"cloud", "data-center"};
    unsigned v;
    int rc = hf_yaml_choice(&l->y, name, n, names, 2, &v);
    if (rc == 0)
        l->ch->data_center = v;
    l->ch->keys |= bit;
    return rc;
}

static int read_plain(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    l->ch->keys |= bit;
    return hf_yaml_flag(&l->y, name, n, &l->ch->plain);
}

static int read_transition(struct loader *l, const char *name, const yaml_node_t *n, unsigned state)
{
    return keep(l, name, n, &l->ch->transition[state]);
}

static int read_transitions(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    static const struct key keys[] = {{"open", read_transition, 0}, {"acknowledged", read_transition, 1}, {"contained", read_transition, 2}, {"resolved", read_transition, 3}};
    l->ch->keys |= bit;
    return mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
}

static int read_updates(struct loader *l, const char *name, const yaml_node_t *n, unsigned bit)
{
    l->ch->keys |= bit;
    l->ch->updates = 0;
    if (!n || n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a list", name);
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
        unsigned v;
        int rc = hf_yaml_choice(&l->y, name, hf_yaml_at(&l->y, *i), update_names, HF_ARRAY_LEN(update_names), &v);
        if (rc < 0)
            return rc;
        l->ch->updates |= 1u << v;
    }
    return 0;
}

static int read_name(struct loader *l, const char *name, const yaml_node_t *n, unsigned route)
{
    struct hf_span *to = route ? &l->r->name : &l->ch->name;
    int rc = keep(l, name, n, to);
    if (rc == 0 && to->n > 64)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than 64 bytes", name);
    for (size_t i = 0; rc == 0 && i < to->n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", to->p[i]))
            return hf_yaml_wrong(&l->y, n, "\"%s\" may have letters, digits, '-', '_' and '.' only", name);
    return rc;
}

static const char *key_name(uint32_t bits)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(key_names); i++)
        if (bits & key_names[i].bit)
            return key_names[i].name;
    return "type";
}

/* A value that becomes part of an address's path. */
static bool path_like(struct hf_span s, bool slashes)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", s.p[i]) && !(slashes && s.p[i] == '/'))
            return false;
    return s.n && hf_span_search(s, HF_S("..")) == SIZE_MAX;
}

static int check_kind(struct loader *l, const yaml_node_t *item)
{
    struct hf_nchannel *ch = l->ch;
    if (ch->kind == HF_N_GITHUB && (!path_like(ch->project, true) || hf_span_find(ch->project, '/') != hf_span_rfind(ch->project, '/') || hf_span_find(ch->project, '/') == SIZE_MAX))
        return hf_yaml_wrong(&l->y, item, "\"project\" of a github channel is OWNER/REPOSITORY");
    if (ch->kind == HF_N_GITLAB && !path_like(ch->project, true))
        return hf_yaml_wrong(&l->y, item, "\"project\" of a gitlab channel is its path or number");
    if (ch->kind == HF_N_JIRA && !ch->data_center && !ch->user.n)
        return hf_yaml_wrong(&l->y, item, "a jira channel (cloud) needs \"user\", the account's e-mail address");
    if ((ch->kind == HF_N_SLACK || ch->kind == HF_N_MATRIX || ch->kind == HF_N_MATTERMOST) && ch->to.n > 1)
        return hf_yaml_wrong(&l->y, item, "\"to\" of a %s channel is one place; make a channel for each", hf_nkinds[ch->kind]);
    for (size_t i = 0; ch->kind == HF_N_MAIL && i <= ch->to.n; i++)
        if (!hf_naddress_ok(i < ch->to.n ? ch->to.v[i] : ch->from))
            return hf_yaml_wrong(&l->y, item, "\"%s\" must be an e-mail address such as security@example.org", i < ch->to.n ? "to" : "from");
    if (ch->kind == HF_N_FILE && ch->path.p[0] != '/')
        return hf_yaml_wrong(&l->y, item, "\"path\" must be absolute");
    if (ch->kind == HF_N_FILE && !(ch->keys & K_FORMAT))
        ch->format = HF_NFMT_JSON;
    if (ch->kind == HF_N_JIRA && !(ch->keys & K_READ_BACK))
        ch->read_back_s = READ_BACK_S;
    if (ch->kind == HF_N_SLACK && ch->keys & (K_PEOPLE | K_RESPONDERS) && !(ch->keys & (K_APP | K_KEY)))
        return hf_yaml_wrong(&l->y, item, "\"people\" and \"responders\" answer by \"app_token_file\" (Socket Mode) or \"key_file\" (signed requests): neither is given");
    if (ch->kind == HF_N_MAIL && !!ch->user.n != !!ch->secret[HF_NSECRET_TOKEN].file.n)
        return hf_yaml_wrong(&l->y, item, "\"user\" and \"token_file\" (the password) go together");
    return 0;
}

static int check_channel(struct loader *l, const yaml_node_t *item)
{
    struct hf_nchannel *ch = l->ch;
    if (!(ch->keys & K_TYPE))
        return hf_yaml_wrong(&l->y, item, "channel \"%.*s\" has no \"type\"", HF_SPAN_ARG(ch->name));
    uint32_t needs = rules[ch->kind].needs, extra = ch->keys & ~(needs | rules[ch->kind].takes | K_TYPE), lacks = needs & ~ch->keys;
    const char *kind = hf_nkinds[ch->kind];
    if (ch->url.n && ch->secret[HF_NSECRET_URL].file.n)
        return hf_yaml_wrong(&l->y, item, "\"url\" and \"url_file\" or \"url_credential\" are both given");
    if (ch->url.n && rules[ch->kind].secret_url)
        return hf_yaml_wrong(&l->y, item, "whoever knows the address of a %s channel may post there: write it to a file and name that in \"url_file\" or \"url_credential\"", kind);
    if (lacks)
        return hf_yaml_wrong(&l->y, item, "a %s channel needs \"%s\"", kind, lacks & K_URL && rules[ch->kind].secret_url ? "url_file" : key_name(lacks));
    if (extra)
        return hf_yaml_wrong(&l->y, item, "a %s channel has no \"%s\"", kind, key_name(extra));
    if (!(ch->keys & K_UPDATES))
        ch->updates = rules[ch->kind].updates;
    if (!ch->url.n && !ch->secret[HF_NSECRET_URL].file.n && rules[ch->kind].url)
        ch->url = hf_span_z(rules[ch->kind].url);
    if (ch->url.n) {
        struct hf_err why = HF_ERR_INIT;
        while (ch->url.n && ch->url.p[ch->url.n - 1] == '/' && ch->kind != HF_N_WEBHOOK)
            ch->url.n--;
        if (hf_naddress_check(ch->kind, ch->url, ch->plain, &why) < 0)
            return hf_yaml_wrong(&l->y, item, "\"url\" %s", why.msg);
    }
    return check_kind(l, item);
}

static int read_channel(struct loader *l, const yaml_node_t *item)
{
    static const struct key keys[] = {
            {"channel", read_name, 0}, {"type", read_kind, 0}, {"url", read_text, K_URL}, {"url_file", read_secret, HF_NSECRET_URL}, {"url_credential", read_secret, HF_NSECRET_URL | 16},
            {"token_file", read_secret, HF_NSECRET_TOKEN}, {"token_credential", read_secret, HF_NSECRET_TOKEN | 16}, {"key_file", read_secret, HF_NSECRET_KEY},
            {"key_credential", read_secret, HF_NSECRET_KEY | 16}, {"user", read_text, K_USER}, {"to", read_list, K_TO}, {"from", read_text, K_FROM}, {"path", read_text, K_PATH},
            {"format", read_format, K_FORMAT}, {"project", read_text, K_PROJECT}, {"issue_type", read_text, K_ISSUE_TYPE}, {"transitions", read_transitions, K_TRANSITIONS},
            {"labels", read_list, K_LABELS}, {"api", read_api, K_API}, {"plain", read_plain, K_PLAIN}, {"ca_file", read_text, K_CA}, {"proxy", read_text, K_PROXY}, {"updates", read_updates, K_UPDATES},
            {"app_token_file", read_secret, HF_NSECRET_APP}, {"app_token_credential", read_secret, HF_NSECRET_APP | 16}, {"people", read_people, K_PEOPLE}, {"responders", read_people, K_RESPONDERS},
            {"read_back", read_read_back, K_READ_BACK}, {"digest", read_digest, K_DIGEST}, {"metrics", read_metrics, K_METRICS},
    };
    l->ch = hf_grow((void **)&l->c->channels, &l->c->n_channels, &l->c->cap_channels, sizeof *l->ch, CHANNELS_MAX);
    if (!l->ch)
        return hf_yaml_wrong(&l->y, item, "there are more than %u channels", CHANNELS_MAX);
    l->ch->line = (uint32_t)item->start_mark.line + 1;
    int rc = mapping(l, "channel", item, keys, HF_ARRAY_LEN(keys));
    for (size_t i = 0; rc == 0 && i + 1 < l->c->n_channels; i++)
        if (hf_span_eq(l->c->channels[i].name, l->ch->name))
            return hf_yaml_wrong(&l->y, item, "channel \"%.*s\" stands twice (line %u)", HF_SPAN_ARG(l->ch->name), l->c->channels[i].line);
    return rc < 0 ? rc : check_channel(l, item);
}

/* ---- routes ---- */

static int read_severity(struct loader *l, const char *name, const yaml_node_t *n, unsigned below)
{
    unsigned v;
    int rc = hf_yaml_choice(&l->y, name, n, hf_nseverities, HF_NSEVS, &v);
    if (rc == 0)
        *(below ? &l->r->quiet_below : &l->r->at_least) = (enum hf_nseverity)v;
    return rc;
}

static int read_patterns(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_nspans *to[] = {&l->r->images, &l->r->namespaces, &l->r->rules, &l->p->to, &l->p->escalate_to};
    return spans(l, name, n, to[arg]);
}

static int read_labels(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    int rc = 0;
    (void)arg;
    if (!n || n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a mapping of names to values", name);
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top && rc == 0; p++) {
        rc = add_span(l, name, hf_yaml_at(&l->y, p->key), &l->r->labels);
        rc = rc < 0 ? rc : add_span(l, name, hf_yaml_at(&l->y, p->value), &l->r->labels);
    }
    return rc;
}

static int read_windows(struct loader *l, const char *name, const yaml_node_t *n, unsigned quiet)
{
    return windows(l, name, n, quiet ? &l->r->quiet : &l->r->hours);
}

static int read_match(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"severity", read_severity, 0}, {"image", read_patterns, 0}, {"namespace", read_patterns, 1}, {"rule", read_patterns, 2}, {"labels", read_labels, 0}, {"hours", read_windows, 0}};
    (void)arg;
    return mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
}

static int read_time(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    return duration(l, name, n, arg == 2 ? 30 * 86400 : 86400, arg == 0 ? &l->r->group_s : arg == 1 ? &l->r->escalate_s : &l->c->give_up_s);
}

static int read_escalate(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"after", read_time, 1}, {"to", read_patterns, 4}};
    (void)arg;
    int rc = mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
    if (rc == 0 && (!l->r->escalate_s || !l->p->escalate_to.n))
        return hf_yaml_wrong(&l->y, n, "\"escalate\" needs \"after\" and \"to\"");
    return rc;
}

static int read_stop(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return hf_yaml_flag(&l->y, name, n, &l->r->stop);
}

static int read_route(struct loader *l, const yaml_node_t *item)
{
    static const struct key keys[] = {{"route", read_name, 1}, {"match", read_match, 0}, {"to", read_patterns, 3}, {"group", read_time, 0}, {"quiet", read_windows, 1}, {"quiet_below", read_severity, 1},
            {"escalate", read_escalate, 0}, {"stop", read_stop, 0}};
    l->r = hf_grow((void **)&l->c->routes, &l->c->n_routes, &l->c->cap_routes, sizeof *l->r, ROUTES_MAX);
    l->p = l->r ? hf_grow((void **)&l->pending, &l->n_pending, &l->cap_pending, sizeof *l->p, ROUTES_MAX) : NULL;
    if (!l->p)
        return hf_yaml_wrong(&l->y, item, "there are more than %u routes", ROUTES_MAX);
    l->r->line = (uint32_t)item->start_mark.line + 1;
    l->r->at_least = HF_NSEV_LOW;
    l->r->quiet_below = HF_NSEV_HIGH;
    l->r->group_s = GROUP_S;
    int rc = mapping(l, "route", item, keys, HF_ARRAY_LEN(keys));
    if (rc == 0 && !l->p->to.n)
        return hf_yaml_wrong(&l->y, item, "route \"%.*s\" has no \"to\"", HF_SPAN_ARG(l->r->name));
    for (size_t i = 0; rc == 0 && i + 1 < l->c->n_routes; i++)
        if (hf_span_eq(l->c->routes[i].name, l->r->name))
            return hf_yaml_wrong(&l->y, item, "route \"%.*s\" stands twice (line %u)", HF_SPAN_ARG(l->r->name), l->c->routes[i].line);
    return rc;
}

/* ---- settings ---- */

static int read_address(struct loader *l, const char *name, const yaml_node_t *n, unsigned proxy)
{
    struct hf_err why = HF_ERR_INIT;
    struct hf_span *to = proxy ? &l->c->proxy : &l->c->console;
    int rc = keep(l, name, n, to);
    while (rc == 0 && to->n && to->p[to->n - 1] == '/')
        to->n--;
    if (rc == 0 && hf_naddress_check(HF_N_WEBHOOK, *to, true, &why) < 0)
        return hf_yaml_wrong(&l->y, n, "\"%s\" %s", name, why.msg);
    return rc;
}

static int read_clock(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const char *const names[] = {"utc", "local"};
    unsigned v;
    (void)arg;
    int rc = hf_yaml_choice(&l->y, name, n, names, 2, &v);
    if (rc == 0)
        l->c->local_time = v;
    return rc;
}

static int read_settings_map(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"console", read_address, 0}, {"proxy", read_address, 1}, {"give_up_after", read_time, 2}, {"time", read_clock, 0}};
    (void)arg;
    if (l->c->seen_settings)
        return hf_yaml_wrong(&l->y, n, "\"settings\" stand twice");
    l->c->seen_settings = true;
    return mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
}

static int read_settings(struct loader *l, const yaml_node_t *item)
{
    static const struct key keys[] = {{"settings", read_settings_map, 0}};
    return mapping(l, "the list", item, keys, 1);
}

static int read_item(void *ctx, const yaml_node_t *item)
{
    struct loader *l = ctx;
    if (item && item->type == YAML_MAPPING_NODE) {
        if (hf_yaml_member(&l->y, item, "channel"))
            return read_channel(l, item);
        if (hf_yaml_member(&l->y, item, "route"))
            return read_route(l, item);
        if (hf_yaml_member(&l->y, item, "settings"))
            return read_settings(l, item);
    }
    return hf_yaml_wrong(&l->y, item, "an entry begins with \"channel:\", \"route:\" or \"settings:\"");
}

/* Names of channels become indices. */
static int resolve(struct loader *l, const struct hf_nroute *r, const struct hf_nspans *names, uint32_t **ret, size_t *ret_n)
{
    *ret = hf_arena_calloc(&l->c->arena, HF_MAX(names->n, 1u), sizeof **ret);
    if (!*ret)
        return hf_fail(l->y.err, HF_E_LIMIT, "%s takes more memory than it may", l->y.file);
    for (size_t i = 0; i < names->n; i++) {
        size_t at = hf_nconf_channel(l->c, names->v[i]);
        if (at == SIZE_MAX) {
            const char *known[CHANNELS_MAX + 1] = {NULL};
            for (size_t k = 0; k < l->c->n_channels; k++)
                known[k] = l->c->channels[k].name.p; /* copies of an arena end in NUL */
            const char *near = hf_nearest(names->v[i].p, known);
            return hf_fail(l->y.err, HF_E_USAGE, "%s:%u: route \"%.*s\" speaks of a channel \"%.*s\" that is not there%s%s", l->y.file, r->line, HF_SPAN_ARG(r->name), HF_SPAN_ARG(names->v[i]), near ? "; did you mean " : "", near ? near : "");
        }
        (*ret)[(*ret_n)++] = (uint32_t)at;
    }
    return 0;
}

int hf_nconf_parse(struct hf_nconf **ret, struct hf_span text, const char *name, struct hf_err *err)
{
    static const struct hf_yaml_limits limits = {FILE_MAX, NODES_MAX, "a list of channels and routes is expected"};
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = calloc(1, sizeof *c);
    struct loader l = {.c = c};
    if (!c)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_arena_init(&c->arena, MEMORY_MAX);
    c->give_up_s = GIVE_UP_S;
    int rc = hf_yaml_load(&l.y, name, text, &limits, err);
    if (rc < 0)
        return rc;
    rc = hf_yaml_each(&l.y, read_item, &l);
    for (size_t i = 0; rc == 0 && i < c->n_routes; i++) {
        rc = resolve(&l, &c->routes[i], &l.pending[i].to, &c->routes[i].to, &c->routes[i].n_to);
        rc = rc < 0 ? rc : resolve(&l, &c->routes[i], &l.pending[i].escalate_to, &c->routes[i].escalate_to, &c->routes[i].n_escalate_to);
    }
    if (rc == 0 && hf_arena_dup(&c->arena, hf_span_z(name), &c->file) < 0)
        rc = hf_fail(err, HF_E_LIMIT, "%s takes more memory than it may", name);
    for (size_t i = 0; i < l.n_pending; i++) {
        free(l.pending[i].to.v);
        free(l.pending[i].escalate_to.v);
    }
    free(l.pending);
    hf_yaml_done(&l.y);
    if (rc < 0)
        return rc;
    *ret = hf_take(c);
    return 0;
}

int hf_nconf_load(struct hf_nconf **ret, const char *path, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(FILE_MAX + 1);
    int rc = hf_read_file(path, &text, err);
    return rc < 0 ? rc : hf_nconf_parse(ret, hf_buf_span(&text), path, err);
}

void hf_nconf_free(struct hf_nconf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_channels; i++) {
        free(c->channels[i].to.v);
        free(c->channels[i].labels.v);
        free(c->channels[i].people.v);
        free(c->channels[i].responders.v);
    }
    for (size_t i = 0; i < c->n_routes; i++) {
        struct hf_nroute *r = &c->routes[i];
        free(r->images.v);
        free(r->namespaces.v);
        free(r->rules.v);
        free(r->labels.v);
        free(r->hours.v);
        free(r->quiet.v);
    }
    free(c->channels);
    free(c->routes);
    hf_arena_done(&c->arena);
    free(c);
}

/* ---- secrets ---- */

static int read_one(struct hf_nconf *c, struct hf_nchannel *ch, struct hf_nsecret *s, struct hf_err *err)
{
    char path[4096];
    hf_autobuf text = HF_BUF_INIT(SECRET_MAX);
    struct stat st;
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (s->credential && !dir)
        return hf_fail(err, HF_E_USAGE, "channel \"%.*s\": the credential \"%.*s\" is not there: systemd gives it (LoadCredential=) and sets CREDENTIALS_DIRECTORY", HF_SPAN_ARG(ch->name), HF_SPAN_ARG(s->file));
    snprintf(path, sizeof path, "%s%s%.*s", s->credential ? dir : "", s->credential ? "/" : "", HF_SPAN_ARG(s->file));
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return hf_fail(err, HF_E_USAGE, "channel \"%.*s\": %s is not a file", HF_SPAN_ARG(ch->name), path);
    int rc = hf_read_file(path, &text, err);
    if (rc < 0)
        return hf_wrap(err, HF_E_USAGE, "channel \"%.*s\": %s", HF_SPAN_ARG(ch->name), path);
    if (!s->credential && stat(path, &st) == 0 && st.st_mode & 7)
        return hf_fail(err, HF_E_USAGE, "channel \"%.*s\": everyone may read %s; chmod 640 or less", HF_SPAN_ARG(ch->name), path);
    struct hf_span v = hf_span_trim(hf_buf_span(&text));
    bool bad = !v.n;
    for (size_t i = 0; i < v.n; i++)
        bad |= (unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f;
    if (bad)
        return hf_fail(err, HF_E_USAGE, "channel \"%.*s\": %s must hold one line of text", HF_SPAN_ARG(ch->name), path);
    return hf_arena_dup(&c->arena, v, &s->value);
}

int hf_nconf_secrets(struct hf_nconf *c, const struct hf_nchannel *only, struct hf_err *err)
{
    for (size_t i = 0; i < c->n_channels; i++) {
        struct hf_nchannel *ch = &c->channels[i];
        for (unsigned k = 0; k < HF_NSECRETS && (!only || only == ch); k++) {
            struct hf_err why = HF_ERR_INIT;
            int rc = ch->secret[k].file.n && !ch->secret[k].value.n ? read_one(c, ch, &ch->secret[k], err) : 0;
            if (rc < 0)
                return rc;
            if (k == HF_NSECRET_URL && ch->secret[k].value.n && hf_naddress_check(ch->kind, ch->secret[k].value, ch->plain, &why) < 0)
                return hf_fail(err, HF_E_USAGE, "channel \"%.*s\": the address in %.*s %s", HF_SPAN_ARG(ch->name), HF_SPAN_ARG(ch->secret[k].file), why.msg);
        }
    }
    return 0;
}

size_t hf_nconf_channel(const struct hf_nconf *c, struct hf_span name)
{
    for (size_t i = 0; i < c->n_channels; i++)
        if (hf_span_eq(c->channels[i].name, name))
            return i;
    return SIZE_MAX;
}

struct hf_span hf_nchannel_account(const struct hf_nchannel *ch, struct hf_span id)
{
    for (size_t i = 0; i + 1 < ch->people.n; i += 2)
        if (hf_span_eq(ch->people.v[i], id))
            return ch->people.v[i + 1];
    return hf_span("", 0);
}

bool hf_nchannel_responder(const struct hf_nchannel *ch, struct hf_span id)
{
    struct hf_span account = hf_nchannel_account(ch, id);
    for (size_t i = 0; i < ch->responders.n; i++)
        if (hf_span_eq(ch->responders.v[i], id) || (account.n && hf_span_eq(ch->responders.v[i], account)))
            return true;
    return false;
}

struct hf_span hf_nchannel_url(const struct hf_nchannel *ch)
{
    return ch->secret[HF_NSECRET_URL].value.n ? ch->secret[HF_NSECRET_URL].value : ch->url;
}

/* Cuts every occurrence of s out of text; short texts are no secrets but words. */
static void cut_out(char *text, struct hf_span s)
{
    for (char *at = s.n >= 6 ? memmem(text, strlen(text), s.p, s.n) : NULL; at; at = memmem(at, strlen(at), s.p, s.n)) {
        memcpy(at, "***", 3);
        memmove(at + 3, at + s.n, strlen(at + s.n) + 1);
        at += 3;
    }
}

void hf_nchannel_scrub(const struct hf_nchannel *ch, char *text)
{
    for (unsigned k = 0; k < HF_NSECRETS; k++)
        cut_out(text, ch->secret[k].value);
    /* The secret of an address is what stands behind the host. */
    struct hf_span url = ch->secret[HF_NSECRET_URL].value;
    size_t at = hf_span_search(url, HF_S("://"));
    if (at != SIZE_MAX) {
        struct hf_span rest = hf_span_from(url, at + 3);
        size_t slash = hf_span_find(rest, '/');
        cut_out(text, slash == SIZE_MAX ? hf_span(NULL, 0) : hf_span_from(rest, slash));
    }
}
