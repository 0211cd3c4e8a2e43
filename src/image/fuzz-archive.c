/* SPDX-License-Identifier: Apache-2.0 */
/* A whole image archive (docker save or OCI) from hostile bytes: index, manifest, config, layer regions. */
#include <stdio.h>
#include <sys/mman.h>

#include "image/image-internal.h"

static int on_image(void *ctx, struct hf_image *img, struct hf_err *err)
{
    uint64_t *size = ctx;
    (void)err;
    for (size_t i = 0; i < img->n_layers; i++)
        if (img->layers[i].offset > *size || img->layers[i].size > *size - img->layers[i].offset)
            abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    uint64_t size = n;
    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct hf_image_opts o = {hf_platform_host(), false, NULL};
    struct hf_err err = HF_ERR_INIT;
    for (int all = 0; all < 2; all++) {
        int rc = hf_source_archive(path, hf_span("", 0), all ? "oci-archive" : "", &o, all, on_image, &size, &err);
        if (rc < 0 && !err.msg[0])
            abort();
    }
    close(fd);
    return 0;
}
