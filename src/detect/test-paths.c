// SPDX-License-Identifier: Apache-2.0
/* Which files a rule names, through macros and lists, and which it only leaves out. */
#include "detect/paths.h"
#include "tap.h"

static char told[4096];

static bool take(void *ctx, const struct hf_rule_path *p)
{
    size_t *left = ctx;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%.*s%s ", HF_SPAN_ARG(p->path), p->below ? "/**" : "");
    return !left || --*left;
}

static const char *paths(const char *condition, const char *more, size_t *max)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_rules_freep) struct hf_rules *r = NULL;
    char text[4096];
    snprintf(text, sizeof text,
            "- list: keys\n  items: [/srv/key, /srv/cert]\n- macro: secret\n  condition: (fd.name in (keys) or fd.name startswith /srv/private/)\n"
            "- rule: r\n  desc: d\n  condition: %s\n  output: o\n  priority: LOW\n%s",
            condition, more);
    told[0] = 0;
    if (hf_rules_new(&r, NULL, &err) < 0 || hf_rules_add(r, "t.yaml", hf_span_z(text), &err) < 0 || hf_rules_compile(r, &err) < 0)
        return err.msg[0] ? (snprintf(told, sizeof told, "%s", err.msg), told) : "error";
    hf_rule_paths(hf_rules_at(r, 0), take, max);
    return told;
}

static uint64_t classes;

static bool take_classes(void *ctx, const struct hf_rule_path *p)
{
    (void)ctx;
    classes = p->classes;
    return true;
}

/* Whether it is told of reading. */
static bool reads(const char *condition)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_rules_freep) struct hf_rules *r = NULL;
    char text[1024];
    snprintf(text, sizeof text, "- macro: w\n  condition: (evt.is_open_write = true)\n- rule: r\n  desc: d\n  condition: %s\n  output: o\n  priority: LOW\n", condition);
    classes = 0;
    if (hf_rules_new(&r, NULL, &err) < 0 || hf_rules_add(r, "t.yaml", hf_span_z(text), &err) < 0 || hf_rules_compile(r, &err) < 0)
        return false;
    hf_rule_paths(hf_rules_at(r, 0), take_classes, NULL);
    return classes & HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_OPEN);
}

int main(void)
{
    OK(reads("evt.type = openat and fd.name = /opt/x") && reads("evt.type = openat and fd.name = /opt/x and (w or proc.name = x)"));
    OK(reads("evt.type = openat and fd.name = /opt/x and not w"));
    OK(!reads("evt.type = openat and fd.name = /opt/x and w") && !reads("evt.type = openat and fd.name = /opt/x and (w or evt.is_open_create = true)"));
    OK(!reads("evt.type = unlink and fd.name = /opt/x") && classes == HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_UNLINK));
    size_t one = 1;
    EQ_S(hf_span_z(paths("evt.type = openat and fd.name = /opt/x", "", NULL)), "/opt/x ");
    EQ_S(hf_span_z(paths("evt.type = openat and secret", "", NULL)), "/srv/key /srv/cert /srv/private//** ");
    EQ_S(hf_span_z(paths("evt.type = openat and secret", "", &one)), "/srv/key ");
    EQ_S(hf_span_z(paths("evt.type = openat and fd.directory in (/opt/a, /opt/b)", "", NULL)), "/opt/a/** /opt/b/** ");
    EQ_S(hf_span_z(paths("evt.type = openat and fd.name pmatch (/opt/a)", "", NULL)), "/opt/a/** ");
    EQ_S(hf_span_z(paths("evt.type = openat and fd.name glob /opt/*/x", "", NULL)), "/opt/*/x ");
    EQ_S(hf_span_z(paths("evt.type in (rename, renameat) and fs.path.target = /opt/y", "", NULL)), "/opt/y ");
    /* what it leaves out, and what names no place */
    EQ_S(hf_span_z(paths("evt.type = openat and not fd.name = /opt/x", "", NULL)), "");
    EQ_S(hf_span_z(paths("evt.type = openat and not (proc.name = x or not fd.name = /opt/x)", "", NULL)), "/opt/x ");
    EQ_S(hf_span_z(paths("evt.type = openat and not secret", "", NULL)), "");
    EQ_S(hf_span_z(paths("evt.type = openat and (fd.name contains /opt/x or fd.name endswith /x or fd.name != /opt/z or fd.name = relative)", "", NULL)), "");
    EQ_S(hf_span_z(paths("evt.type = openat and proc.exepath = /opt/x", "", NULL)), "");
    /* no files, off */
    EQ_S(hf_span_z(paths("evt.type = execve and fd.name = /opt/x", "", NULL)), "");
    EQ_S(hf_span_z(paths("evt.type = openat and fd.name = /opt/x", "  enabled: false\n", NULL)), "");
    return tap_done();
}
