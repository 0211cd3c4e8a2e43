// SPDX-License-Identifier: Apache-2.0
#include "cli/rule-files.h"

#include "detect/paths.h"

#define DEPTH 2u          /* levels of folders below one that a rule names */
#define NAMES_MAX 1024u

struct adding {
    struct hf_rule_files *f;
    struct hf_homes homes;
    const struct hf_rule *last; /* told of already */
    struct hf_err *err;
    int rc;
};

static unsigned what(uint64_t classes)
{
    static const struct {
        uint8_t op, what;
    } ops[] = {{HF_FILE_OPEN, HF_W_READ}, {HF_FILE_WRITE, HF_W_WRITE}, {HF_FILE_CREATE, HF_W_WRITE | HF_W_NAMES}, {HF_FILE_UNLINK, HF_W_NAMES}, {HF_FILE_RENAME, HF_W_NAMES},
            {HF_FILE_LINK, HF_W_NAMES}, {HF_FILE_SYMLINK, HF_W_NAMES}, {HF_FILE_MKDIR, HF_W_NAMES}, {HF_FILE_RMDIR, HF_W_NAMES}, {HF_FILE_MKNOD, HF_W_NAMES},
            {HF_FILE_CHMOD, HF_W_ATTR}, {HF_FILE_CHOWN, HF_W_ATTR}, {HF_FILE_XATTR, HF_W_ATTR}, {HF_FILE_ATTRIB, HF_W_ATTR}};
    unsigned w = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(ops); i++)
        w |= classes & HF_CLASS_BIT(HF_CLASS_FILE + ops[i].op) ? ops[i].what : 0;
    return w;
}

/* Whether a row tells of it, or of something that lies below. */
static bool known(struct adding *a, struct hf_span path, bool below)
{
    for (unsigned where = HF_W_HOST; where <= HF_W_CONTAINER; where <<= 1) {
        struct hf_watch_found found = hf_watch_match(a->f->list, &a->homes, where, path);
        if (found.watch_class || (below && found.leads))
            return true;
    }
    return false;
}

static void row(struct adding *a, struct hf_span pattern, unsigned depth, unsigned w)
{
    a->f->rows++;
    if (a->f->rows > HF_RULE_FILES_MAX) {
        a->f->rows--;
        a->f->left++;
    } else if (a->f->add) {
        a->rc = hf_watch_add(a->f->list, pattern, w, HF_W_HOST | HF_W_CONTAINER, depth, a->err);
    }
}

/* A path of which the pattern is one: "*" is a digit, of "[0-9]" the first. */
static void sample(struct hf_span pattern, struct hf_buf *out)
{
    hf_buf_clear(out);
    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.p[i];
        hf_buf_addc(out, c == '*' || c == '?' ? '0' : c == '[' && i + 1 < pattern.n ? pattern.p[i + 1] : c);
        while (c == '[' && i < pattern.n && pattern.p[i] != ']')
            i++;
    }
}

/* Files of the kernel, which are there and the table has those that matter, and processes by number: no marks lie on these beforehand. */
static bool nowhere(struct hf_span path)
{
    return hf_span_eqz(path, "/proc") || hf_span_eqz(path, "/sys") || hf_span_eqz(path, "/dev") || hf_span_starts(path, HF_S("/proc/")) || hf_span_starts(path, HF_S("/sys/"));
}

static bool one(void *ctx, const struct hf_rule_path *p)
{
    struct adding *a = ctx;
    hf_autobuf b = HF_BUF_INIT(HF_PATH_BYTES);
    struct hf_span path = p->path;
    bool slash = path.p[path.n - 1] == '/';
    struct hf_span bare = hf_span_sub(path, 0, path.n - slash);
    sample(bare, &b);
    if (!bare.n || !hf_buf_ok(&b) || nowhere(bare) || known(a, hf_buf_span(&b), p->below))
        return true;
    hf_buf_addz(&b, "/x");
    if (p->below && known(a, hf_buf_span(&b), false))
        return true;
    if (a->last != p->rule && a->f->names.n < NAMES_MAX) {
        hf_buf_addz(&a->f->names, a->f->names.n ? "; " : "");
        hf_buf_adds(&a->f->names, p->rule->name);
    }
    a->last = p->rule;
    unsigned w = what(p->classes);
    if (p->below) { /* the folder; and what only begins like it */
        hf_buf_clear(&b);
        hf_buf_adds(&b, bare);
        hf_buf_addc(&b, '/');
        row(a, hf_buf_span(&b), DEPTH, w);
        b.p[b.n - 1] = '*';
    }
    if (a->rc == 0 && !(p->below && slash))
        row(a, p->below ? hf_buf_span(&b) : bare, 0, w);
    return a->rc == 0;
}

int hf_rule_files(const struct hf_rules *rules, struct hf_rule_files *f, struct hf_err *err)
{
    struct adding a = {.f = f, .err = err};
    hf_buf_init(&f->names, 4 * NAMES_MAX);
    hf_homes_init(&a.homes);
    hf_homes_add(&a.homes, HF_S("/root"));
    for (size_t i = 0; i < hf_rules_count(rules) && a.rc == 0; i++)
        hf_rule_paths(hf_rules_at(rules, i), one, &a);
    hf_homes_done(&a.homes);
    return a.rc;
}
