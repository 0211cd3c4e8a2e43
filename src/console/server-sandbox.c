// SPDX-License-Identifier: Apache-2.0
/* What the console gives up once it has what it needs: files but for its store and what curl and PostgreSQL read, and system calls. */
#include <stdio.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "console/console-internal.h"

int hf_console_sandbox(const struct hf_console *c, struct hf_err *err)
{
    /* Libraries that are loaded when needed (curl, libpq), certificates, names of servers; devices: /dev/urandom. */
    const char *readable[] = {"/usr", "/lib", "/lib64", "/etc", "/dev", "/run/systemd/resolve", "/proc/self", [7 + 2 + HF_STORE_READS] = NULL}, *writable[] = {NULL, NULL};
    const char *url = c->o->store_url, *tmp = getenv("TMPDIR");
    char *reads[HF_STORE_READS]; /* kept for the life of the process */
    char folder[4096];
    size_t n = 7;
    if (!strncmp(url, "sqlite:", 7))
        url += 7;
    struct hf_span dir = hf_span_dirname(hf_span_z(url));
    if (!strstr(url, "://")) { /* the folder: SQLite makes its journals beside the file */
        snprintf(folder, sizeof folder, "%.*s", HF_SPAN_ARG(dir));
        writable[0] = dir.n ? folder : url[0] == '/' ? "/" : ".";
    }
    for (size_t i = hf_store_reads(url, reads); i; i--)
        readable[n++] = reads[i - 1];
    if (c->o->oidc && tmp)
        readable[n] = tmp;
    int rc = hf_sandbox_paths(readable, writable, err);
    if (rc == 1)
        hf_log(HF_LOG_NOTICE, "console.landlock", "this kernel has no Landlock: the console can open what its user can");
    return rc < 0 ? rc : hf_sandbox_service(err);
}
