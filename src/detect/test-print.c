// SPDX-License-Identifier: Apache-2.0
/* What is printed of a condition means the same: loaded as a condition of its own it prints the same again, for hand-made rules and for Falco's. */
#include "detect/print.h"

#include <dirent.h>

#include "tap.h"

static struct hf_rules *load(const char *name, struct hf_span text, struct hf_err *err)
{
    struct hf_rules *r = NULL;
    if (hf_rules_new(&r, NULL, err) < 0 || hf_rules_add(r, name, text, err) < 0 || hf_rules_compile(r, err) < 0) {
        hf_rules_free(r);
        return NULL;
    }
    return r;
}

/* The printed condition as a rule of its own, printed. */
static bool again(struct hf_span printed, struct hf_buf *out)
{
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(8u << 20);
    hf_buf_addz(&text, "- rule: r\n  output: o\n  condition: |\n");
    struct hf_span rest = printed, line;
    while (hf_span_line(&rest, &line)) {
        hf_buf_addz(&text, "    ");
        hf_buf_adds(&text, line);
        hf_buf_addc(&text, '\n');
    }
    hf_cleanup(hf_rules_freep) struct hf_rules *r = load("again", hf_buf_span(&text), &err);
    if (!r) {
        printf("# %s\n", err.msg);
        return false;
    }
    hf_prog_print(hf_rules_at(r, 0)->prog, 0, 0, out);
    return true;
}

static void by_hand(void)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_rules_freep) struct hf_rules *r = load("t", HF_S("- list: a\n  items: [x, 'y \"z\\']\n- macro: m\n  condition: (evt.type in (execve) or not fd.name pmatch (/etc))\n"
            "- rule: r\n  output: o\n  condition: m and not (m and proc.name in (a)) and proc.aname[2] = sh and tolower(proc.name) = val(proc.pname) and fd.name exists\n"
            "    and evt.arg.flags contains O_CREAT\n"), &err);
    OK(r);
    if (!r) {
        printf("# %s\n", err.msg);
        return;
    }
    hf_autobuf out = HF_BUF_INIT(8192), second = HF_BUF_INIT(8192);
    hf_prog_print(hf_rules_at(r, 0)->prog, 0, 0, &out);
    EQ_S(hf_buf_span(&out), "(\n    evt.type in (\"execve\")\n    or not fd.name pmatch (\"/etc\")\n)\nand not (\n    (\n        evt.type in (\"execve\")\n"
            "        or not fd.name pmatch (\"/etc\")\n    )\n    and proc.name in (\"x\", \"y \\\"z\\\\\")\n)\nand proc.aname[2] = \"sh\"\nand tolower(proc.name) = val(proc.pname)\n"
            "and fd.name exists\nand evt.arg.flags contains \"O_CREAT\"\n");
    OK(again(hf_buf_span(&out), &second));
    OK(hf_span_eq(hf_buf_span(&out), hf_buf_span(&second)));
    const struct hf_field_def *fields[16];
    struct hf_span macros[16];
    EQ_U(hf_rule_fields(hf_rules_at(r, 0), fields, 16), 6);
    EQ_S(hf_span_z(fields[1]->name), "fd.name");
    EQ_U(hf_rule_macros(hf_rules_at(r, 0), macros, 16), 1);
    EQ_S(macros[0], "m");
    EQ_U(hf_rule_fields(hf_rules_at(r, 0), fields, 2), 2);
}

static void falco(void)
{
    const char *root = getenv("HF_SOURCE_ROOT");
    struct hf_err err = HF_ERR_INIT;
    char path[4096];
    snprintf(path, sizeof path, "%s/../shared/data/rules/falco/rules", root ? root : ".");
    DIR *d = opendir(path);
    if (!d) {
        printf("# skipped: %s is not on this machine\n", path);
        return;
    }
    closedir(d);
    struct hf_rules *r = NULL;
    OK(hf_rules_new(&r, NULL, &err) == 0);
    OK(hf_rules_add_path(r, path, &err) == 0 && hf_rules_compile(r, &err) == 0);
    size_t n = 0, same = 0;
    for (size_t i = 0; i < hf_rules_count(r); i++) {
        hf_autobuf out = HF_BUF_INIT(8u << 20), second = HF_BUF_INIT(8u << 20);
        if (!hf_rules_at(r, i)->prog)
            continue;
        n++;
        hf_prog_print(hf_rules_at(r, i)->prog, 0, 0, &out);
        bool ok = hf_buf_ok(&out) && again(hf_buf_span(&out), &second) && hf_span_eq(hf_buf_span(&out), hf_buf_span(&second));
        same += ok;
        if (!ok)
            printf("# %.*s\n", HF_SPAN_ARG(hf_rules_at(r, i)->name));
    }
    OK(n > 80);
    EQ_U(same, n);
    hf_rules_free(r);
}

int main(void)
{
    by_hand();
    falco();
    return tap_done();
}
