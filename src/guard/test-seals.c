// SPDX-License-Identifier: Apache-2.0
/* Where an image's layers lie. */
#include "guard/seals.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "tap.h"

static int lower(const char *text, struct hf_buf *out)
{
    hf_buf_clear(out);
    return hf_overlay_lower(hf_span_z(text), out, NULL);
}

/* docker's folders are links, "l/AB" -> "../HEX-init/diff". */
static void init_layer(void)
{
    char base[] = "/tmp/hf-seals-XXXXXX", path[200], dirs[2][64];
    const char *hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const bool dropped[] = {true, false, false};
    if (!mkdtemp(base)) {
        OK(!"a folder");
        return;
    }
    snprintf(dirs[1], sizeof dirs[1], "%s", base);
    for (size_t i = 0; i < HF_ARRAY_LEN(dropped); i++) {
        hf_autobuf b = HF_BUF_INIT(1024);
        snprintf(path, sizeof path, i == 0 ? "%s/%s-init/diff" : i == 1 ? "%s/%s/diff" : "%s/x%.63s-init/diff", base, hex);
        OK(hf_mkdirs(path, 0700, NULL) == 0);
        snprintf(dirs[0], sizeof dirs[0], "%s/l%zu", base, i);
        OK(symlink(path, dirs[0]) == 0);
        for (size_t k = 0; k < 2; k++) {
            hf_buf_addz(&b, dirs[k]);
            hf_buf_addc(&b, 0);
        }
        size_t all = b.n;
        hf_overlay_drop_init(&b);
        EQ_U(b.n, dropped[i] ? strlen(dirs[1]) + 1 : all);
        EQ_S(hf_span_z(b.p), dropped[i] ? dirs[1] : dirs[0]);
        hf_buf_clear(&b); /* alone */
        hf_buf_addz(&b, dirs[0]);
        hf_buf_addc(&b, 0);
        hf_overlay_drop_init(&b);
        EQ_U(b.n, strlen(dirs[0]) + 1);
        unlink(dirs[0]);
        rmdir(path);
        *strrchr(path, '/') = 0;
        rmdir(path);
    }
    rmdir(base);
    hf_autobuf none = HF_BUF_INIT(64);
    hf_overlay_drop_init(&none);
    EQ_U(none.n, 0);
}

#define ROOT "36 35 0:33 / / rw,relatime master:1 - overlay overlay "

int main(void)
{
    hf_autobuf b = HF_BUF_INIT(1u << 16);
    EQ_I(lower("22 1 8:1 / /proc rw - proc proc rw\n" ROOT "rw,lowerdir=/d/l/A:/d/l/B,upperdir=/d/u,workdir=/d/w\n", &b), 0);
    EQ_U(b.n, 14);
    OK(!memcmp(b.p, "/d/l/A\0/d/l/B\0", 14));
    EQ_I(lower(ROOT "rw,lowerdir=/a\\040b\\134:c:/e\\054f,upperdir=/u\n", &b), 0); /* blank, colon within a name, comma */
    OK(b.n == 12 && !memcmp(b.p, "/a b:c\0/e,f\0", 12));
    EQ_I(lower(ROOT "rw,lowerdir+=/a,lowerdir+=/b,upperdir=/u\n", &b), 0);
    OK(b.n == 6 && !memcmp(b.p, "/a\0/b\0", 6));
    /* the last mount at / counts */
    EQ_I(lower(ROOT "rw,lowerdir=/old\n" ROOT "rw,lowerdir=/new\n", &b), 0);
    OK(b.n == 5 && !memcmp(b.p, "/new", 5));
    EQ_I(lower(ROOT "rw,lowerdir=/old\n99 1 8:1 / / rw - ext4 /dev/sda1 rw\n", &b), HF_E_UNSUPPORTED);
    EQ_I(lower(ROOT "rw,lowerdir=l/A:l/B,upperdir=/u\n", &b), HF_E_UNSUPPORTED); /* relative to a directory that is not known */
    EQ_I(lower(ROOT "rw,lowerdir=/a::/data,upperdir=/u\n", &b), HF_E_UNSUPPORTED);
    EQ_I(lower(ROOT "rw,lowerdir=/a,datadir+=/data\n", &b), HF_E_UNSUPPORTED);
    EQ_I(lower(ROOT "rw,upperdir=/u\n", &b), HF_E_UNSUPPORTED);
    EQ_I(lower("", &b), HF_E_UNSUPPORTED);
    EQ_I(lower("36 35\n - overlay\nx / / - \n", &b), HF_E_UNSUPPORTED);
    hf_autobuf many = HF_BUF_INIT(1u << 20);
    hf_buf_addz(&many, ROOT "rw,lowerdir=/0");
    for (unsigned i = 1; i < 600; i++)
        hf_buf_addf(&many, ":/%u", i);
    hf_buf_clear(&b);
    EQ_I(hf_overlay_lower(hf_buf_span(&many), &b, NULL), HF_E_LIMIT);
    init_layer();
    return tap_done();
}
