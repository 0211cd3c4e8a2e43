/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over its corpus (files and folders given) as an ordinary test: any compiler, any sanitizer.  Each file is
 * given whole, then cut at several lengths, since most parsers break at ends. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

static void one(const uint8_t *p, size_t n)
{
    /* An exact-size heap copy, so that the address sanitizer sees a read one byte past the end. */
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, p, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -1;
    if (S_ISDIR(st.st_mode)) {
        DIR *d = opendir(path);
        if (!d)
            return -1;
        int rc = 0;
        for (struct dirent *e; (e = readdir(d));) {
            if (e->d_name[0] == '.')
                continue;
            char sub[4096];
            snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
            rc |= replay(sub);
        }
        closedir(d);
        return rc;
    }
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    uint8_t *p = malloc((size_t)st.st_size + 1);
    size_t n = p ? fread(p, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    if (!p)
        return -1;
    one(p, n);
    for (size_t cut = 1; cut < n; cut *= 3)
        one(p, n - cut);
    free(p);
    inputs++;
    return 0;
}

int main(int argc, char **argv)
{
    int bad = 0;
    one(NULL, 0);
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    printf("%s 1 - %u corpus inputs replayed\n1..1\n", bad || !inputs ? "not ok" : "ok", inputs);
    return bad || !inputs;
}
