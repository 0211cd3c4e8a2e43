/* SPDX-License-Identifier: Apache-2.0 */
/* Every resolution is checked twice: by openat2, and by the walk that takes its place where openat2 is refused. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tap.h"

static char top[64]; /* folder of this test */
static int root = -1;

static void make(const char *path, const char *text)
{
    hf_autobuf full = HF_BUF_INIT(4096);
    hf_buf_addf(&full, "%s/%s", top, path);
    OK(hf_write_file(hf_buf_z(&full), 0644, hf_span_z(text), NULL) == 0);
}
static void folder(const char *path)
{
    hf_autobuf full = HF_BUF_INIT(4096);
    hf_buf_addf(&full, "%s/%s", top, path);
    OK(hf_mkdirs(hf_buf_z(&full), 0755, NULL) == 0);
}
static void linked(const char *to, const char *path)
{
    OK(symlinkat(to, root, path) == 0);
}

/* The text of the file that path leads to, or the error as "E<number>". */
static void leads(const char *path, int flags, const char *expect, int expect_rc)
{
    for (int way = 0; way < 2; way++) {
        if (way)
            setenv("HF_NO_OPENAT2", "1", 1);
        struct hf_err err = HF_ERR_INIT;
        hf_autobuf text = HF_BUF_INIT(4096);
        hf_autoclose int fd = hf_open_in_root(root, hf_span_z(path), flags, &err);
        unsetenv("HF_NO_OPENAT2");
        if (fd < 0) {
            if (!OK(fd == expect_rc && err.msg[0]))
                printf("# %s (%s): got %d, expected %d: %s\n", path, way ? "by steps" : "openat2", fd, expect_rc, err.msg);
            continue;
        }
        if (!OK(expect_rc == 0))
            printf("# %s (%s): opened, expected %d\n", path, way ? "by steps" : "openat2", expect_rc);
        OK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        if (expect) {
            OK(hf_read_fd(fd, &text, NULL) == 0);
            if (!hf_span_eqz(hf_buf_span(&text), expect))
                printf("# %s (%s)\n", path, way ? "by steps" : "openat2");
            EQ_S(hf_buf_span(&text), expect);
        }
    }
}

static void resolution(void)
{
    folder("in/usr/lib");
    folder("in/a/b/c");
    make("secret", "outside");
    make("in/usr/lib/os-release", "debian");
    make("in/top", "top");
    make("in/a/b/c/deep", "deep");
    hf_autobuf in = HF_BUF_INIT(4096);
    hf_buf_addf(&in, "%s/in", top);
    root = open(hf_buf_z(&in), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OK(root >= 0);
    linked("usr/lib", "lib");                 /* usr-merge */
    linked("/usr/lib/os-release", "absolute"); /* below the root, not the host's */
    linked("../secret", "escape");
    linked("../../../../../../../../etc/passwd", "escape-far");
    linked("/etc/passwd", "escape-absolute");
    linked("loop-b", "loop-a");
    linked("loop-a", "loop-b");
    linked("self", "self");
    linked("a/b/../b/c/../../../top", "winding");
    linked("a/b/c/", "slash");
    linked("..", "up");
    linked("missing", "dangling");
    linked("/", "slash-root");
    OK(mkfifoat(root, "fifo", 0600) == 0);

    leads("top", O_RDONLY, "top", 0);
    leads("/top", O_RDONLY, "top", 0);
    leads("//a//b/./c/deep", O_RDONLY, "deep", 0);
    leads("lib/os-release", O_RDONLY, "debian", 0);
    leads("absolute", O_RDONLY, "debian", 0);
    leads("winding", O_RDONLY, "top", 0);
    leads("slash/deep", O_RDONLY, "deep", 0);
    leads("a/b/c/../../../top", O_RDONLY, "top", 0);
    leads("../../../../top", O_RDONLY, "top", 0);
    leads("up/up/up/top", O_RDONLY, "top", 0);
    leads("slash-root/a/b/c/deep", O_RDONLY, "deep", 0);
    leads("a/b/c/..", O_RDONLY | O_DIRECTORY, NULL, 0);
    leads("", O_RDONLY | O_DIRECTORY, NULL, 0);
    leads("/", O_RDONLY | O_DIRECTORY, NULL, 0);
    leads("slash", O_RDONLY | O_DIRECTORY, NULL, 0);
    leads("top", O_PATH, NULL, 0);
    leads("fifo", O_RDONLY, "", 0); /* does not wait for a writer */

    leads("escape", O_RDONLY, NULL, -ENOENT);
    leads("../secret", O_RDONLY, NULL, -ENOENT);
    leads("a/../../secret", O_RDONLY, NULL, -ENOENT);
    leads("escape-far", O_RDONLY, NULL, -ENOENT);
    leads("escape-absolute", O_RDONLY, NULL, -ENOENT);
    leads("loop-a", O_RDONLY, NULL, -ELOOP);
    leads("self/x", O_RDONLY, NULL, -ELOOP);
    leads("dangling", O_RDONLY, NULL, -ENOENT);
    leads("missing/top", O_RDONLY, NULL, -ENOENT);
    leads("missing/../top", O_RDONLY, NULL, -ENOENT);
    leads("top/x", O_RDONLY, NULL, -ENOTDIR);
    leads("top/../top", O_RDONLY, NULL, -ENOTDIR);
    leads("top/", O_RDONLY, NULL, -ENOTDIR);
    leads("top/.", O_RDONLY, NULL, -ENOTDIR);
    leads("absolute/", O_RDONLY, NULL, -ENOTDIR);
    leads("absolute", O_RDONLY | O_NOFOLLOW, NULL, -ELOOP);
    leads("lib/os-release", O_RDONLY | O_NOFOLLOW, "debian", 0); /* only the last part counts */
    leads("lib", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, NULL, -ENOTDIR);
    leads("top", O_RDONLY | O_DIRECTORY, NULL, -ENOTDIR);

    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_open_in_root(root, HF_S("top\0x"), O_RDONLY, &err), -EINVAL);
    char far[5000];
    memset(far, '/', sizeof far);
    EQ_I(hf_open_in_root(root, hf_span(far, sizeof far), O_RDONLY, &err), -ENAMETOOLONG);
    for (size_t i = 0; i + 1 < 4000; i += 2)
        memcpy(far + i, "./", 2);
    leads((far[4000] = 0, far), O_RDONLY | O_DIRECTORY, NULL, 0);
    /* Work stays bounded: a path that goes down and up again and again. */
    hf_autobuf wind = HF_BUF_INIT(4096);
    for (unsigned i = 0; i < 390; i++)
        hf_buf_addz(&wind, "a/b/../../");
    hf_buf_addz(&wind, "top");
    setenv("HF_NO_OPENAT2", "1", 1);
    EQ_I(hf_open_in_root(root, hf_buf_span(&wind), O_RDONLY, &err), -ELOOP);
    unsetenv("HF_NO_OPENAT2");
}

static void files(void)
{
    hf_autobuf path = HF_BUF_INIT(4096);
    hf_autobuf text = HF_BUF_INIT(8);
    struct hf_err err = HF_ERR_INIT;
    struct stat st;
    hf_buf_addf(&path, "%s/file", top);
    const char *file = hf_buf_z(&path);
    OK(hf_write_file(file, 0600, HF_S("one"), &err) == 0);
    OK(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
    OK(hf_write_file(file, 0600, HF_S("second"), &err) == 0);
    OK(hf_read_file(file, &text, &err) == 0);
    EQ_S(hf_buf_span(&text), "second");
    hf_buf_clear(&text);
    OK(hf_write_file(file, 0600, HF_S("nine bytes"), &err) == 0 && hf_read_file(file, &text, &err) == HF_E_LIMIT && strstr(err.msg, file));
    hf_buf_clear(&text);
    EQ_I(hf_read_file(top, &text, &err), -EISDIR);
    EQ_I(hf_read_file("/nonexistent/x", &text, &err), -ENOENT);
    OK(strstr(err.msg, "/nonexistent/x"));
    OK(hf_write_file(file, 0600, hf_span(NULL, 0), &err) == 0 && hf_read_file(file, &text, &err) == 0 && text.n == 0);

    EQ_I(hf_write_file("/nonexistent/x", 0600, HF_S("x"), &err), -ENOENT);
    EQ_I(hf_write_file_soon("/nonexistent/x", 0600, HF_S("x"), &err), -ENOENT);
    EQ_I(hf_write_file_soon(file, 0600, HF_S("soon"), &err), 0);
    OK(hf_read_file(file, &text, &err) == 0 && hf_span_eqz(hf_buf_span(&text), "soon"));
    /* A folder cannot be replaced; nothing may be left beside it. */
    hf_autobuf dir = HF_BUF_INIT(4096);
    hf_buf_addf(&dir, "%s/only/dir", top);
    OK(hf_mkdirs(hf_buf_z(&dir), 0755, &err) == 0 && hf_mkdirs(hf_buf_z(&dir), 0755, &err) == 0);
    EQ_I(hf_write_file(hf_buf_z(&dir), 0600, HF_S("x"), &err), -EISDIR);
    hf_autobuf only = HF_BUF_INIT(4096);
    hf_buf_addf(&only, "%s/only", top);
    OK(stat(hf_buf_z(&only), &st) == 0 && st.st_nlink == 3);
    OK(rmdir(hf_buf_z(&dir)) == 0 && rmdir(hf_buf_z(&only)) == 0);

    hf_buf_clear(&dir);
    hf_buf_addf(&dir, "%s/file/x", top);
    EQ_I(hf_mkdirs(hf_buf_z(&dir), 0755, &err), -ENOTDIR);
    EQ_I(hf_mkdirs(file, 0755, &err), -ENOTDIR);
    EQ_I(hf_mkdirs("", 0755, &err), -ENOENT);
    OK(hf_mkdirs("/", 0755, &err) == 0);
    hf_buf_clear(&dir);
    hf_buf_addf(&dir, "%s//new///path/", top);
    OK(hf_mkdirs(hf_buf_z(&dir), 0755, &err) == 0 && stat(hf_buf_z(&dir), &st) == 0 && S_ISDIR(st.st_mode));
    if (geteuid() != 0)
        EQ_I(hf_mkdirs("/proc/nothing/here", 0755, &err), -ENOENT);
}

/* No system(): removes what the test made, and only that. */
static void clean(int at, const char *name, unsigned deep)
{
    static const char *const names[] = {"secret", "file", "usr", "lib", "os-release", "a", "b", "c", "deep", "top", "absolute", "escape", "escape-far", "escape-absolute", "loop-a", "loop-b", "self",
            "winding", "slash", "up", "dangling", "slash-root", "fifo", "in", "new", "path"};
    int fd = deep < 6 ? openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    for (size_t i = 0; fd >= 0 && i < HF_ARRAY_LEN(names); i++)
        if (unlinkat(fd, names[i], 0) < 0 && (errno == EISDIR || errno == EPERM))
            clean(fd, names[i], deep + 1);
    if (fd >= 0)
        close(fd);
    unlinkat(at, name, AT_REMOVEDIR);
}

static void mountinfo(void)
{
    const struct {
        const char *field, *want;
    } cases[] = {{"/plain", "/plain"}, {"/a\\040b\\011c\\134d", "/a b\tc\\d"}, {"/end\\04", "/end\\04"}, {"/\\000x", "/\\000x"}, {"/\\400x", "/\\400x"}, {"/\\08x", "/\\08x"}, {"", ""}};
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        hf_autobuf out = HF_BUF_INIT(64);
        hf_mountinfo_field(hf_span_z(cases[i].field), &out);
        EQ_S(hf_buf_span(&out), cases[i].want);
    }
}

int main(void)
{
    snprintf(top, sizeof top, "/tmp/hf-test-fs-XXXXXX");
    if (!OK(mkdtemp(top) != NULL))
        return tap_done();
    mountinfo();
    resolution();
    files();
    close(root);
    clean(AT_FDCWD, top, 0);
    OK(access(top, F_OK) < 0);
    return tap_done();
}
