// SPDX-License-Identifier: Apache-2.0
/* The settings of an OpenID provider (oidc.h). */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/yaml-file.h"
#include "console/oidc.h"

enum { FILE_MAX = 64 << 10, NODES_MAX = 1000, TEXT_MAX = 1024, ROLES_MAX = 64, SECRET_MAX = 8192 };
enum key { PROVIDER, ISSUER, CLIENT, SECRET_FILE, SECRET_CREDENTIAL, CA_FILE, SCOPES, USER_CLAIM, ROLE_CLAIM, VIEWER, RESPONDER, ADMINISTRATOR, EVERYONE, KEYS };
static const char *const key_names[KEYS] = {"provider", "issuer", "client", "secret_file", "secret_credential", "ca_file", "scopes", "user_claim", "role_claim", "viewer", "responder", "administrator", "everyone"};

struct loader {
    struct hf_oidc_conf *c;
    struct hf_yaml y;
    unsigned n;
};

static int keep(struct loader *l, const char *name, const yaml_node_t *n, struct hf_span *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    bool bad = !s.n || s.n > TEXT_MAX || !hf_span_is_utf8(s);
    for (size_t i = 0; !bad && i < s.n; i++)
        bad = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f;
    if (bad)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a text of at most %u bytes", name, (unsigned)TEXT_MAX);
    return hf_arena_dup(&l->c->arena, s, ret) < 0 ? hf_fail(l->y.err, HF_E_LIMIT, "%s takes more memory than it may", l->y.file) : 0;
}

/* A text, or a list of them. */
static int keep_list(struct loader *l, const char *name, const yaml_node_t *n, enum hf_role role)
{
    struct hf_oidc_conf *c = l->c;
    bool list = n && n->type == YAML_SEQUENCE_NODE;
    size_t count = list ? (size_t)(n->data.sequence.items.top - n->data.sequence.items.start) : 1;
    int rc = 0;
    if (count > ROLES_MAX || !(c->roles[role] = hf_arena_calloc(&c->arena, count + 1, sizeof(struct hf_span))))
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u entries", name, (unsigned)ROLES_MAX);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = keep(l, name, list ? hf_yaml_at(&l->y, n->data.sequence.items.start[i]) : n, &c->roles[role][i]);
    c->n_roles[role] = count;
    return rc;
}

static int secret_at(struct loader *l, const yaml_node_t *n, bool credential)
{
    struct hf_oidc_conf *c = l->c;
    const char *name = credential ? "secret_credential" : "secret_file";
    if (c->secret_file.n)
        return hf_yaml_wrong(&l->y, n, "\"%s\": the file and the credential of one secret are both given", name);
    c->secret_credential = credential;
    int rc = keep(l, name, n, &c->secret_file);
    if (rc == 0 && credential && (hf_span_find(c->secret_file, '/') != SIZE_MAX || c->secret_file.p[0] == '.'))
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be the name of a systemd credential, not a path", name);
    if (rc == 0 && !credential && c->secret_file.p[0] != '/')
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be an absolute path", name);
    return rc;
}

/* https, or http to this machine alone. */
static bool safe_address(struct hf_span s)
{
    static const char *const near[] = {"http://127.0.0.1", "http://[::1]", "http://localhost"};
    if (hf_span_search(s, HF_S("@")) != SIZE_MAX || hf_span_find(s, '?') != SIZE_MAX || hf_span_find(s, '#') != SIZE_MAX)
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(near); i++) {
        struct hf_span rest = hf_span_from(s, strlen(near[i]));
        if (hf_span_starts(s, hf_span_z(near[i])) && (!rest.n || rest.p[0] == ':' || rest.p[0] == '/'))
            return true;
    }
    return hf_span_starts(s, HF_S("https://")) && s.n > 8;
}

static int read_key(struct loader *l, enum key k, const yaml_node_t *n)
{
    static const char *const roles[] = {"nobody", "viewer", "responder", "administrator"};
    struct hf_oidc_conf *c = l->c;
    unsigned v;
    int rc;
    switch (k) {
    case PROVIDER:
        return keep(l, key_names[k], n, &c->name);
    case ISSUER:
        rc = keep(l, key_names[k], n, &c->issuer);
        return rc == 0 && !safe_address(c->issuer) ? hf_yaml_wrong(&l->y, n, "\"issuer\" must be an https:// address (http:// only to this machine)") : rc;
    case CLIENT:
        return keep(l, key_names[k], n, &c->client);
    case SECRET_FILE:
    case SECRET_CREDENTIAL:
        return secret_at(l, n, k == SECRET_CREDENTIAL);
    case CA_FILE:
        return keep(l, key_names[k], n, &c->ca_file);
    case SCOPES:
        return keep(l, key_names[k], n, &c->scopes);
    case USER_CLAIM:
        return keep(l, key_names[k], n, &c->user_claim);
    case ROLE_CLAIM:
        return keep(l, key_names[k], n, &c->role_claim);
    case VIEWER:
    case RESPONDER:
    case ADMINISTRATOR:
        return keep_list(l, key_names[k], n, (enum hf_role)(HF_ROLE_VIEWER + (k - VIEWER)));
    case EVERYONE:
        rc = hf_yaml_choice(&l->y, key_names[k], n, roles, 3, &v);
        if (rc == 0)
            c->everyone = (enum hf_role)v;
        return rc;
    case KEYS:
        break;
    }
    return 0;
}

static int read_item(void *ctx, const yaml_node_t *item)
{
    struct loader *l = ctx;
    struct hf_oidc_conf *c = l->c;
    struct hf_yaml_walk w = {.at = 0};
    const yaml_node_t *value;
    size_t which;
    int rc = 1;
    if (l->n++)
        return hf_yaml_wrong(&l->y, item, "there is more than one provider");
    while (rc >= 0 && (rc = hf_yaml_next(&l->y, &w, "the provider", item, key_names, KEYS, &which, &value)) == 1)
        rc = read_key(l, (enum key)which, value);
    if (rc < 0)
        return rc;
    if (!c->name.n || !c->issuer.n || !c->client.n)
        return hf_yaml_wrong(&l->y, item, "a provider needs \"provider\" (its name on the page), \"issuer\" and \"client\"");
    if (!c->everyone && !c->n_roles[HF_ROLE_VIEWER] && !c->n_roles[HF_ROLE_RESPONDER] && !c->n_roles[HF_ROLE_ADMIN])
        return hf_yaml_wrong(&l->y, item, "nobody could sign in: give \"administrator\", \"responder\", \"viewer\" or \"everyone\"");
    return 0;
}

int hf_oidc_parse(struct hf_oidc_conf **ret, struct hf_span text, const char *name, struct hf_err *err)
{
    static const struct hf_yaml_limits limits = {FILE_MAX, NODES_MAX, "a list with one provider is expected"};
    hf_cleanup(hf_oidc_conf_freep) struct hf_oidc_conf *c = calloc(1, sizeof *c);
    struct loader l = {.c = c};
    if (!c)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_arena_init(&c->arena, 1u << 20);
    c->scopes = HF_S("openid profile email");
    c->user_claim = HF_S("preferred_username");
    c->role_claim = HF_S("groups");
    int rc = hf_yaml_load(&l.y, name, text, &limits, err);
    if (rc < 0)
        return rc;
    rc = hf_yaml_each(&l.y, read_item, &l);
    if (rc == 0 && !l.n)
        rc = hf_fail(err, HF_E_USAGE, "%s has no provider", name);
    hf_yaml_done(&l.y);
    if (rc == 0)
        *ret = hf_take(c);
    return rc;
}

static int read_secret(struct hf_oidc_conf *c, struct hf_err *err)
{
    char path[4096];
    hf_autobuf text = HF_BUF_INIT(SECRET_MAX);
    struct stat st;
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (c->secret_credential && !dir)
        return hf_fail(err, HF_E_USAGE, "the credential \"" HF_SPAN_FMT "\" is not there: systemd gives it (LoadCredential=) and sets CREDENTIALS_DIRECTORY", HF_SPAN_ARG(c->secret_file));
    snprintf(path, sizeof path, "%s%s" HF_SPAN_FMT, c->secret_credential ? dir : "", c->secret_credential ? "/" : "", HF_SPAN_ARG(c->secret_file));
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return hf_fail(err, HF_E_USAGE, "%s is not a file", path);
    int rc = hf_read_file(path, &text, err);
    if (rc < 0)
        return hf_wrap(err, HF_E_USAGE, "the provider's secret %s", path);
    if (!c->secret_credential && stat(path, &st) == 0 && st.st_mode & 7)
        return hf_fail(err, HF_E_USAGE, "everyone may read %s; chmod 640 or less", path);
    struct hf_span v = hf_span_trim(hf_buf_span(&text));
    bool bad = !v.n;
    for (size_t i = 0; i < v.n; i++)
        bad |= (unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f;
    return bad ? hf_fail(err, HF_E_USAGE, "%s must hold one line of text", path) : hf_arena_dup(&c->arena, v, &c->secret);
}

int hf_oidc_load(struct hf_oidc_conf **ret, const char *path, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(FILE_MAX + 1);
    hf_cleanup(hf_oidc_conf_freep) struct hf_oidc_conf *c = NULL;
    int rc = hf_read_file(path, &text, err);
    rc = rc < 0 ? rc : hf_oidc_parse(&c, hf_buf_span(&text), path, err);
    rc = rc < 0 || !c->secret_file.n ? rc : read_secret(c, err);
    if (rc == 0)
        *ret = hf_take(c);
    return rc;
}

void hf_oidc_conf_free(struct hf_oidc_conf *c)
{
    if (c)
        hf_arena_done(&c->arena);
    free(c);
}
