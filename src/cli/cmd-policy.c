// SPDX-License-Identifier: Apache-2.0
/* holdfast policy: policy files checked, tested and explained, before anyone enforces them. */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "cli/policy-cli.h"
#include "cli/rules-cli.h"
#ifdef HF_SENSOR
#include <fcntl.h>

#include "protect/selftest.h"
#include "sensor/kernel.h"
#endif

struct adding {
    struct hf_prot_set *set;
};

static int add(void *ctx, const char *name, struct hf_span text, struct hf_err *err)
{
    struct adding *a = ctx;
    return hf_prot_add(a->set, name, text, err);
}

int hf_cli_policies(const char *const *paths, size_t n, struct hf_prot_set **ret, struct hf_err *err)
{
    hf_cleanup(hf_prot_freep) struct hf_prot_set *set = NULL;
    int rc = hf_prot_new(&set, err);
    struct adding a = {set};
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = hf_cli_each_file(paths[i], add, &a, err);
    rc = rc < 0 ? rc : hf_prot_check(set, err);
    if (rc < 0)
        return rc;
    *ret = hf_take(set);
    return 0;
}

/* Operands and --json of a command, and the policies they name.  1: --help. */
static int begin(const char *name, const char *summary, const char *details, int argc, char **argv, bool *json, struct hf_prot_set **ret, struct hf_err *err)
{
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, json, NULL, NULL, 0, 0, "as JSON"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {name, "[options] PATH...", summary, details, opts, 1, 64};
    const char *args[65];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, err);
    return rc != 0 ? rc : hf_cli_policies(args, n, ret, err);
}

static void whom(const struct hf_prot_policy *p, struct hf_buf *b)
{
    for (size_t i = 0; i < p->images.n; i++) {
        hf_buf_addz(b, i ? " or " : "image ");
        hf_buf_add_escaped(b, p->images.v[i], 0);
    }
    if (p->namespace.n) {
        hf_buf_addz(b, b->n ? ", namespace " : "namespace ");
        hf_buf_add_escaped(b, p->namespace, 0);
    }
    for (size_t i = 0; i + 1 < p->labels.n; i += 2) {
        hf_buf_addz(b, b->n ? ", label " : "label ");
        hf_buf_add_escaped(b, p->labels.v[i], 0);
        hf_buf_addc(b, '=');
        hf_buf_add_escaped(b, p->labels.v[i + 1], 0);
    }
}

/* ---- check ---- */

static int check(int argc, char **argv)
{
    bool json = false;
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_prot_freep) struct hf_prot_set *set = NULL;
    int rc = begin("policy check", "are policy files right", "Files (or folders of them) are loaded together: also names twice, and policies that are equally specific and could match the same container.",
            argc, argv, &json, &set, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_array(&w);
    for (size_t i = 0; i < hf_prot_count(set); i++) {
        const struct hf_prot_policy *p = hf_prot_at(set, i);
        hf_autobuf names = HF_BUF_INIT(4096), who = HF_BUF_INIT(1u << 20);
        whom(p, &who);
        if (json) {
            hf_jw_object(&w);
            hf_jw_kstr(&w, "policy", p->name);
            hf_jw_kstr(&w, "file", p->file);
            hf_jw_ku64(&w, "line", p->line);
            hf_jw_kstrz(&w, "mode", hf_prot_modes[p->mode]);
            hf_jw_kstrz(&w, "fail", p->fail_closed ? "closed" : "open");
            hf_jw_kstr(&w, "for", hf_buf_span(&who));
            hf_jw_key(&w, "clauses");
            hf_jw_array(&w);
        }
        for (unsigned c = 1; c < HF_CLAUSES; c++) {
            if (!(p->clauses >> c & 1))
                continue;
            if (json)
                hf_jw_strz(&w, hf_prot_clauses[c].name);
            hf_buf_addf(&names, "%s%s", names.n ? ", " : "", hf_prot_clauses[c].name);
        }
        if (json) {
            hf_jw_array_end(&w);
            hf_jw_object_end(&w);
            continue;
        }
        size_t used = hf_buf_add_escaped(&out, p->name, 28);
        hf_buf_addf(&out, "%*s%-9s ", (int)(30 - HF_MIN(used, (size_t)29)), "", hf_prot_modes[p->mode]);
        hf_buf_adds(&out, hf_buf_span(&who));
        hf_buf_addf(&out, "\n    %s\n", hf_buf_z(&names));
    }
    if (json) {
        hf_jw_array_end(&w);
        hf_buf_addc(&out, '\n');
    } else {
        hf_buf_addf(&out, "\n%zu polic%s, %zu test%s\n", hf_prot_count(set), hf_prot_count(set) == 1 ? "y" : "ies", hf_prot_tests(set), hf_prot_tests(set) == 1 ? "" : "s");
    }
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* ---- test ---- */

static int test(int argc, char **argv)
{
    bool json = false;
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_prot_freep) struct hf_prot_set *set = NULL;
    size_t failed = 0;
    int rc = begin("policy test", "do policies refuse what written tests expect", "The tests stand in the files, beside the policies. Exit 1 when one fails.", argc, argv, &json, &set, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (!hf_prot_tests(set))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "there is no test in these files"));
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_array(&w);
    for (size_t i = 0; i < hf_prot_tests(set); i++) {
        const struct hf_prot_test *t = hf_prot_test_at(set, i);
        const struct hf_prot_policy *p;
        enum hf_prot_clause clause;
        bool window, good = hf_prot_test_run(set, t, &p, &clause, &window);
        failed += !good;
        if (json) {
            hf_jw_object(&w);
            hf_jw_kstr(&w, "test", t->name);
            hf_jw_kstrz(&w, "file", t->file);
            hf_jw_ku64(&w, "line", t->line);
            hf_jw_kbool(&w, "passed", good);
            if (p)
                hf_jw_kstr(&w, "policy", p->name);
            if (clause)
                hf_jw_kstrz(&w, "clause", hf_prot_clauses[clause].name);
            hf_jw_kbool(&w, "refused", clause != HF_CLAUSE_NONE);
            hf_jw_kbool(&w, "maintenance", window);
            hf_jw_object_end(&w);
            continue;
        }
        hf_buf_addz(&out, good ? "ok      " : "FAILED  ");
        hf_buf_add_escaped(&out, t->name, 0);
        hf_buf_addc(&out, '\n');
        if (good)
            continue;
        hf_buf_addf(&out, "    %s:%u: expected %s%s%s, got %s", t->file, t->line, !t->refused ? "allowed" : t->maintenance ? "maintenance" : "refused", t->clause ? " by " : "",
                t->clause ? hf_prot_clauses[t->clause].name : "", clause ? "refused by " : p ? "allowed" : "allowed: no policy is for this container");
        if (clause)
            hf_buf_addf(&out, "%s of policy \"%.*s\"%s", hf_prot_clauses[clause].name, HF_SPAN_ARG(p->name), window ? ", in a maintenance window" : "");
        hf_buf_addc(&out, '\n');
    }
    if (json) {
        hf_jw_array_end(&w);
        hf_buf_addc(&out, '\n');
    } else {
        hf_buf_addf(&out, "\n%zu test%s, %zu failed\n", hf_prot_tests(set), hf_prot_tests(set) == 1 ? "" : "s", failed);
    }
    return hf_cli_print(&out, failed ? HF_EXIT_FINDINGS : HF_EXIT_OK);
}

/* ---- explain ---- */

/* What this kernel holds, as the self-test found. */
struct here {
    bool asked;
#ifdef HF_SENSOR
    struct hf_guard_kernel *k;
    struct hf_proof proof;
#endif
};

#ifdef HF_SENSOR
static int look_here(struct here *h, struct hf_err *err)
{
    struct hf_hierarchy groups;
    int rc = hf_hierarchy_find(&groups, err);
    if (rc < 0)
        return rc;
    hf_autoclose int v2 = groups.v2_mount[0] ? open(groups.v2_mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    struct hf_guard_kernel_opts o = {.hierarchy = groups.id, .v1_subsys = groups.unified ? -1 : hf_kernel_subsys(groups.controller), .v2_root_fd = v2};
    rc = hf_guard_kernel_open(&h->k, &o, err);
    if (rc == 0)
        hf_selftest(h->k, &groups, UINT32_MAX, &h->proof);
    return rc;
}
#endif

/* The rung of a clause as text; empty: not asked. */
static void rung_text(const struct here *h, const struct hf_prot_policy *p, unsigned clause, struct hf_buf *b)
{
#ifdef HF_SENSOR
    char why[160];
    bool whole;
    if (!h->asked)
        return;
    unsigned rung = hf_proof_rung(&h->proof, h->k, p, clause, &whole, why);
    hf_buf_addf(b, "%s%s%s%s", clause <= HF_CLAUSE_WRITTEN && rung ? "fanotify, then " : "", hf_rung_name(rung), whole ? " (proved)" : "", why[0] ? "; " : "");
    hf_buf_addz(b, why);
#else
    (void)h;
    (void)p;
    (void)clause;
    (void)b;
#endif
}

static void ports_text(const struct hf_prot_dest *d, struct hf_buf *b)
{
    if (d->port)
        hf_buf_addf(b, d->port_to > d->port ? "%u-%u" : "%u", d->port, d->port_to);
    else
        hf_buf_addz(b, "any port");
    hf_buf_addz(b, d->protocol == 6 ? "/tcp" : d->protocol == 17 ? "/udp" : "");
}

static void dest_text(const struct hf_prot_dest *d, bool own, struct hf_buf *b)
{
    char text[INET6_ADDRSTRLEN];
    static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
    bool four = d->bits >= 96 && !memcmp(d->addr, mapped, 12);
    if (own) {
        ports_text(d, b);
        return;
    }
    inet_ntop(four ? AF_INET : AF_INET6, four ? d->addr + 12 : d->addr, text, sizeof text);
    hf_buf_addf(b, "%s/%u ", text, four ? d->bits - 96u : d->bits);
    ports_text(d, b);
}

/* The entries of a clause, one after the other; empty: none. */
static void entries(const struct hf_prot_policy *p, unsigned clause, struct hf_buf *b)
{
    const struct hf_prot_dests *nets = clause == HF_CLAUSE_DESTINATIONS ? &p->destinations : clause == HF_CLAUSE_LISTEN ? &p->listen : NULL;
    for (size_t i = 0; nets && i < nets->n; i++) {
        hf_buf_addz(b, b->n ? ", " : "");
        dest_text(&nets->v[i], clause == HF_CLAUSE_LISTEN, b);
    }
    for (size_t i = 0; i < p->allow[clause].n; i++) {
        hf_buf_addz(b, b->n ? ", " : "");
        hf_buf_add_escaped(b, p->allow[clause].v[i], 0);
    }
    for (unsigned u = 0; clause == HF_CLAUSE_KERNEL && u < HF_USES; u++)
        if (p->uses >> u & 1)
            hf_buf_addf(b, "%s%s", b->n ? ", " : "", hf_prot_uses[u]);
}

static void check_program(const struct hf_prot_health *h, struct hf_buf *out)
{
    hf_buf_addz(out, "  disarm   when ");
    for (size_t i = 0; i < h->exec.n; i++) {
        hf_buf_addz(out, i ? " " : "");
        hf_buf_add_escaped(out, h->exec.v[i], 0);
    }
    hf_buf_addf(out, " in the container%s fails %u times, %u s apart", h->has_user ? " (by another user)" : "", h->failures, h->every_s);
    hf_buf_addf(out, "; %u s are given to it\n", h->timeout_s);
}

static void explain_text(const struct hf_prot_policy *p, const struct here *h, struct hf_buf *out)
{
    hf_autobuf who = HF_BUF_INIT(1u << 20);
    whom(p, &who);
    hf_buf_add_escaped(out, p->name, 0);
    hf_buf_addf(out, "  (%.*s:%u)\n", HF_SPAN_ARG(p->file), p->line);
    if (p->description.n) {
        hf_buf_addz(out, "  ");
        hf_buf_add_escaped(out, p->description, 0);
        hf_buf_addc(out, '\n');
    }
    hf_buf_addf(out, "  for      %s\n  mode     %s: %s\n", hf_buf_z(&who), hf_prot_modes[p->mode],
            p->mode == HF_MODE_OBSERVE    ? "nothing is refused; what would have been is counted"
            : p->mode == HF_MODE_REHEARSE ? "nothing is refused; what would have been is kept for seven days"
            : p->mode == HF_MODE_CANARY   ? "refused in the oldest running container of each image, counted in the others"
                                          : "refused");
    hf_buf_addf(out, "  fail     %s: when nobody is there to judge, %s\n", p->fail_closed ? "closed" : "open", p->fail_closed ? "nothing new starts" : "programs start");
    if (p->disarm_blocks)
        hf_buf_addf(out, "  disarm   after more than %u refusals in a minute%s\n", p->disarm_blocks, p->disarm_unhealthy ? ", or when the container's health check fails" : "");
    else if (p->disarm_unhealthy)
        hf_buf_addz(out, "  disarm   when the container's health check fails\n");
    if (p->health.exec.n)
        check_program(&p->health, out);
    else if (p->health.on)
        hf_buf_addf(out, "  disarm   when its service at port %u fails %u checks, %u s apart\n", p->health.port, p->health.failures, p->health.every_s);
    if (p->maintenance.n)
        hf_buf_addf(out, "  windows  %zu a week in which nothing is refused\n", p->maintenance.n);
    for (size_t i = 0; i < p->exec_by.n; i++) {
        hf_buf_addz(out, i ? ", " : "  exec_by  programs that these start by the runtime's exec command are not refused: ");
        hf_buf_add_escaped(out, p->exec_by.v[i], 0);
        hf_buf_addz(out, i + 1 == p->exec_by.n ? "\n" : "");
    }
    hf_buf_addz(out, "  refuses\n");
    for (unsigned c = 1; c < HF_CLAUSES; c++) {
        hf_autobuf list = HF_BUF_INIT(1u << 20);
        if (!(p->clauses >> c & 1))
            continue;
        hf_buf_addf(out, "    %-20s %s  [%s]\n", hf_prot_clauses[c].name, hf_prot_clauses[c].refuses, hf_prot_clauses[c].techniques);
        entries(p, c, &list);
        if (list.n || c >= HF_CLAUSE_DESTINATIONS)
            hf_buf_addf(out, "    %-20s %s: %s\n", "", c == HF_CLAUSE_READ_ONLY ? "paths" : "but for", list.n ? hf_buf_z(&list) : "none");
        hf_buf_clear(&list);
        rung_text(h, p, c, &list);
        if (list.n)
            hf_buf_addf(out, "    %-20s here: %s\n", "", hf_buf_z(&list));
        if (c == HF_CLAUSE_SEALED && p->moved)
            hf_buf_addf(out, "    %-20s content of the image under another path is fine\n", "");
    }
    if (p->digests.n)
        hf_buf_addf(out, "    %-20s %zu contents by SHA-256 are never refused\n", "", p->digests.n);
}

static void explain_json(const struct hf_prot_policy *p, const struct here *h, struct hf_jw *w)
{
    hf_autobuf who = HF_BUF_INIT(1u << 20);
    whom(p, &who);
    hf_jw_object(w);
    hf_jw_kstr(w, "policy", p->name);
    hf_jw_kstr(w, "file", p->file);
    hf_jw_ku64(w, "line", p->line);
    hf_jw_kstr(w, "description", p->description);
    hf_jw_kstr(w, "for", hf_buf_span(&who));
    hf_jw_kstrz(w, "mode", hf_prot_modes[p->mode]);
    hf_jw_kstrz(w, "fail", p->fail_closed ? "closed" : "open");
    hf_jw_ku64(w, "disarm_blocks_per_minute", p->disarm_blocks);
    hf_jw_kbool(w, "disarm_unhealthy", p->disarm_unhealthy);
    hf_jw_ku64(w, "windows", p->maintenance.n);
    hf_jw_key(w, "exec_by");
    hf_jw_array(w);
    for (size_t i = 0; i < p->exec_by.n; i++)
        hf_jw_str(w, p->exec_by.v[i]);
    hf_jw_array_end(w);
    hf_jw_key(w, "refuses");
    hf_jw_array(w);
    for (unsigned c = 1; c < HF_CLAUSES; c++) {
        hf_autobuf list = HF_BUF_INIT(1u << 20);
        if (!(p->clauses >> c & 1))
            continue;
        entries(p, c, &list);
        hf_jw_object(w);
        hf_jw_kstrz(w, "clause", hf_prot_clauses[c].name);
        hf_jw_kstrz(w, "refuses", hf_prot_clauses[c].refuses);
        hf_jw_kstrz(w, "techniques", hf_prot_clauses[c].techniques);
        hf_jw_kstr(w, c == HF_CLAUSE_READ_ONLY ? "paths" : "but_for", hf_buf_span(&list));
        hf_buf_clear(&list);
        rung_text(h, p, c, &list);
        if (list.n)
            hf_jw_kstr(w, "here", hf_buf_span(&list));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static int explain(int argc, char **argv)
{
    bool json = false;
    struct here here = {.asked = false};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_prot_freep) struct hf_prot_set *set = NULL;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
#ifdef HF_SENSOR
            {"here", 0, HF_OPT_FLAG, &here.asked, NULL, NULL, 0, 0, "also on which rung each clause stands on this kernel, proved; needs root"},
#endif
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"policy explain", "[options] PATH...", "what policies refuse, in words",
            "Every policy of the files: whom it is for, its mode, what it refuses, with the techniques of MITRE ATT&CK that this is against.", opts, 1, 64};
    const char *args[65];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_cli_policies(args, n, &set, &err);
#ifdef HF_SENSOR
    if (rc == 0 && here.asked)
        rc = look_here(&here, &err);
#endif
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(64u << 20);
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_array(&w);
    for (size_t i = 0; i < hf_prot_count(set); i++) {
        if (json) {
            explain_json(hf_prot_at(set, i), &here, &w);
            continue;
        }
        hf_buf_addz(&out, i ? "\n" : "");
        explain_text(hf_prot_at(set, i), &here, &out);
    }
    if (json) {
        hf_jw_array_end(&w);
        hf_buf_addc(&out, '\n');
    }
#ifdef HF_SENSOR
    hf_guard_kernel_close(here.k);
#endif
    return hf_cli_print(&out, HF_EXIT_OK);
}

int hf_cmd_policy(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"check", check, "are policy files right"},
            {"test", test, "do policies refuse what written tests expect"},
            {"explain", explain, "what policies refuse, in words"},
    };
    return hf_cli_group("policy", "what containers may not do", commands, HF_ARRAY_LEN(commands), argc, argv);
}
