/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/open-image.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HF_SENSOR
#include "image/docker-api.h"
#include "image/running.h"
#include "respond/target.h"

int hf_cli_open_running(const char *name, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    hf_autofree struct hf_target *t = calloc(1, sizeof *t);
    if (!t)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = hf_target_find(name, t, err);
    if (rc < 0)
        return rc;
    struct hf_running r = {.pid = hf_target_pid(t), .name = hf_span_z(t->name[0] ? t->name : t->id), .ref = hf_span_z(t->image)};
    hf_autoclose int fd = r.pid ? (int)syscall(SYS_pidfd_open, r.pid, 0) : -1;
    if (fd < 0 || !hf_target_has(t, r.pid)) /* asked after its number is pinned */
        return hf_fail(err, HF_E_NOT_FOUND, "container %.100s has ended", name);
    r.pidfd = fd;
    if (hf_digest_parse(hf_span_z(t->image_digest), &r.image) < 0)
        r.image.n = 0;
    return hf_image_open_running(&r, cb, ctx, err);
}
#else
int hf_cli_open_running(const char *name, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    (void)cb;
    (void)ctx;
    return hf_fail(err, HF_E_UNSUPPORTED, "container %.100s: this program was built without what finds running containers (-Dsensor)", name);
}
#endif

int hf_cli_open_image(const char *target, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
#ifdef HF_SENSOR
    struct hf_span name = hf_span_z(target);
    if (hf_span_starts(name, HF_S("container:")) && name.n > 10) {
        struct hf_err daemon = HF_ERR_INIT, why = HF_ERR_INIT;
        int rc = hf_docker_has_container(target + 10, o, &daemon);
        if (rc == HF_E_USAGE)
            return hf_fail(err, rc, "%s", daemon.msg);
        if (rc != 1) {
            rc = hf_cli_open_running(target + 10, cb, ctx, &why);
            if (rc == HF_E_NOT_FOUND)
                return hf_fail(err, rc, "%s; and %s", why.msg, daemon.msg);
            if (rc < 0 && err)
                *err = why;
            return rc;
        }
    }
#endif
    return hf_image_open(target, o, all, cb, ctx, err);
}
