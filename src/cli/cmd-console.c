// SPDX-License-Identifier: Apache-2.0
/* holdfast console: the page and the API over a store, without the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "cli/rules-cli.h"
#include "cli/store-cli.h"
#include "console/console.h"
#include "console/oidc.h"

static volatile int stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static void ready(void *ctx, const char *url)
{
    (void)ctx;
    printf("%s\n", url);
    fflush(stdout);
}

static int open_live(const char *live, int *ret, struct hf_err *err)
{
    if (!live)
        return 0;
    *ret = strcmp(live, "-") ? open(live, O_RDONLY | O_CLOEXEC) : dup(0);
    return *ret < 0 ? hf_fail(err, -errno, "%s cannot be read", live) : 0;
}

int hf_cmd_console(int argc, char **argv)
{
    const char *args[1], *live = NULL, *oidc = NULL;
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    struct hf_strs rules_of = {.n = 0};
    size_t n;
    struct hf_console_opts o = {.listen = "127.0.0.1:8470", .listen_fd = -1, .live_fd = -1, .hub_fd = -1, .hand_fd = -1, .user_uid = -1, .user_gid = -1, .stop = &stop, .ready = ready};
    const struct hf_opt opts[] = {
            {"behind-proxy", 0, HF_OPT_FLAG, &o.behind_proxy, NULL, NULL, 0, 0, "a reverse proxy on this machine says in X-Forwarded-For who asks"},
            {"listen", 0, HF_OPT_STR, &o.listen, "ADDRESS", NULL, 0, 0, "ADDRESS:PORT or unix:PATH (default: 127.0.0.1:8470)"},
            {"live", 0, HF_OPT_STR, &live, "FILE", NULL, 0, 0, "lines of watch --json, shown live; \"-\": standard input"},
            {"no-sandbox", 0, HF_OPT_FLAG, &o.no_sandbox, NULL, NULL, 0, 0, "keep all system calls and files (to find an error)"},
            {"oidc", 0, HF_OPT_STR, &oidc, "FILE", NULL, 0, 0, "sign in by the OpenID Connect provider in FILE, too"},
            {"public-url", 0, HF_OPT_STR, &o.public_url, "URL", NULL, 0, 0, "how people reach it, such as https://holdfast.example.org"},
            {"rules", 'r', HF_OPT_LIST, &rules_of, "PATH", NULL, 0, 0, "rule file or folder of them, instead of those that come with holdfast; can be repeated"},
            HF_CLI_PLACE_OPTS(at),
            {"tls-cert", 0, HF_OPT_STR, &o.tls_cert, "FILE", NULL, 0, 0, "certificate and chain, PEM"},
            {"tls-key", 0, HF_OPT_STR, &o.tls_key, "FILE", NULL, 0, 0, "its key, PEM"},
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"console", "[options]", "the page and the API over a store, without the daemon",
            "Shows what a store holds, and lets people work on incidents: the same page and API that holdfast daemon serves, for a copy of a store, or beside a daemon on another "
            "machine. Prints its address once it takes requests; ends with SIGTERM or Ctrl-C. Nothing can be done to containers from it.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_rules_freep) struct hf_rules *rules = NULL;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    hf_cleanup(hf_oidc_conf_freep) struct hf_oidc_conf *provider = NULL;
    struct sigaction sa = {.sa_handler = on_signal};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_console_listen_ok(o.listen, o.tls_cert, &err);
    if (rc == 0 && !o.tls_cert != !o.tls_key)
        rc = hf_fail(&err, HF_E_USAGE, "a certificate and its key go together: --tls-cert and --tls-key");
    if (rc == 0 && !at.url)
        rc = hf_config_load(&config, at.file, &err);
    o.store_url = at.url ? at.url : config ? config->store_url : NULL;
    rc = rc < 0 ? rc : hf_store_open(&at.store, o.store_url, &err); /* makes it when there is none */
    hf_cli_place_done(&at);
    rc = rc < 0 ? rc : open_live(live, &o.live_fd, &err);
    rc = rc < 0 || !oidc ? rc : hf_oidc_load(&provider, oidc, &err);
    o.oidc = provider;
    rc = rc < 0 ? rc : hf_cli_rules(&rules_of, &rules, &err);
    o.rules = rules;
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    rc = rc < 0 ? rc : hf_console_run(&o, &err);
    if (o.live_fd >= 0)
        close(o.live_fd);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}
