/* SPDX-License-Identifier: Apache-2.0 */
/* Packages have a name and a version, paths are bounded and relative. */
#include <stdlib.h>

#include "formats/apkdb/apkdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span rest = hf_span((const char *)data, size), path;
    struct hf_apk_pkg p;
    hf_autobuf work = HF_BUF_INIT(64 << 10), sum = HF_BUF_INIT(256);
    int rc;
    while ((rc = hf_apk_next(&rest, &p, NULL)) != 0) {
        if (rc < 0)
            continue;
        if (!p.name.n || !p.version.n)
            abort();
        struct hf_apk_files it = {p.body, {NULL, 0}};
        while ((rc = hf_apk_file(&it, &work, &path, NULL)) != 0)
            if (rc == 1 && (!path.n || path.n > HF_APK_PATH_MAX || path.p[0] == '/'))
                abort();
        hf_buf_clear(&sum);
        if (hf_apk_checksum(p.checksum, &sum) && !sum.n)
            abort();
    }
    return 0;
}
