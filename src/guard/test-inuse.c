// SPDX-License-Identifier: Apache-2.0
/* Packages in use: marked, kept, read again. */
#include "guard/inuse.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "tap.h"

#define IMAGE "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char text[65536];
static unsigned n;

static void each(void *ctx, const struct hf_inuse_package *p)
{
    (void)ctx;
    n++;
    snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s=%x|", HF_SPAN_ARG(p->package), p->how);
    OK(p->first_s > 1600000000u && p->last_s >= p->first_s);
}

static int read_back(const char *path)
{
    hf_autobuf b = HF_BUF_INIT(HF_INUSE_BYTES);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_span image;
    uint64_t since;
    n = 0;
    text[0] = 0;
    int rc = hf_read_file(path, &b, NULL);
    return rc < 0 ? rc : hf_inuse_read(hf_buf_span(&b), &image, &since, each, NULL, &doc, NULL);
}

int main(void)
{
    char dir[] = "/tmp/test-inuse-XXXXXX", path[4352];
    struct hf_inuse_store *s = NULL;
    struct stat st;
    if (!mkdtemp(dir))
        return 1;
    OK(hf_inuse_path(dir, HF_S(IMAGE), path) && !hf_inuse_path(dir, HF_S("sha256:../../x"), path + 0));
    OK(hf_inuse_path(dir, HF_S(IMAGE), path));
    EQ_I(hf_inuse_store_new(&s, dir, NULL), 0);
    struct hf_inuse *u = hf_inuse_get(s, IMAGE, HF_S("web:1"));
    OK(u && hf_inuse_get(s, IMAGE, HF_S("web:1")) == u);
    OK(!hf_inuse_get(s, "sha256:short", HF_S("x")));
    hf_inuse_mark(u, HF_S("zlib1g 1.2"), HF_INUSE_MAPPED);
    hf_inuse_mark(u, HF_S("bash 5.2"), HF_INUSE_RAN | HF_INUSE_ROOT);
    hf_inuse_mark(u, HF_S("zlib1g 1.2"), HF_INUSE_LISTENS);
    hf_inuse_mark(u, HF_S(""), HF_INUSE_RAN);
    hf_inuse_put(s, u);
    OK(stat(path, &st) < 0); /* another one still has it */
    hf_inuse_store_write(s, true);
    OK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    EQ_I(read_back(path), 0);
    EQ_U(n, 2);
    OK(!strcmp(text, "bash 5.2=9|zlib1g 1.2=6|"));
    hf_inuse_put(s, u);
    /* what was kept is read again, and grows no further than it may */
    u = hf_inuse_get(s, IMAGE, HF_S("web:1"));
    OK(u != NULL);
    for (unsigned i = 0; u && i < HF_INUSE_PACKAGES + 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%u 1", i);
        hf_inuse_mark(u, hf_span_z(name), HF_INUSE_RAN);
    }
    hf_inuse_put(s, u);
    EQ_I(read_back(path), 0);
    EQ_U(n, HF_INUSE_PACKAGES);
    OK(strstr(text, "bash 5.2=9|") == text);
    /* one that is no good is begun anew */
    EQ_I(hf_write_file(path, 0600, HF_S("{\"schema\": \"holdfast.inuse-state/1\", \"packages\": [{\"package\": 7}, {}, 3"), NULL), 0);
    OK(read_back(path) < 0);
    u = hf_inuse_get(s, IMAGE, HF_S("web:1"));
    hf_inuse_mark(u, HF_S("new 1"), HF_INUSE_RAN);
    hf_inuse_store_free(s);
    EQ_I(read_back(path), 0);
    EQ_U(n, 1);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/inuse", dir);
    (void)rmdir(path);
    (void)rmdir(dir);
    return tap_done();
}
