// SPDX-License-Identifier: Apache-2.0
/* hang-fuse.c - a file system of one file, `prog`, whose server answers everybody but processes called holdfast*: hang-fuse FILE MOUNTPOINT; with a third
 * argument everybody.  Speaks the kernel's protocol itself (linux/fuse.h).  For tests/e2e/test_protect_content.py; ends when it is unmounted. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int dev, file, kind;
static struct stat of;

static int is_holdfast(unsigned pid)
{
    char path[64], name[16] = "";
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof name - 1);
    if (fd >= 0)
        close(fd);
    return n > 8 && !strncmp(name, "holdfast", 8);
}

static void answer(unsigned long unique, int error, const void *body, size_t n)
{
    static char out[1 << 18];
    struct fuse_out_header h = {.len = (unsigned)(sizeof h + n), .error = -error, .unique = unique};
    memcpy(out, &h, sizeof h);
    if (n)
        memcpy(out + sizeof h, body, n);
    if (write(dev, out, sizeof h + n) < 0 && errno != ENOENT)
        perror("answer");
}

static void attr(struct fuse_attr *a, unsigned long node)
{
    *a = (struct fuse_attr){.ino = node, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0755, .nlink = 1, .size = node == 1 ? 0 : (unsigned long)of.st_size, .blksize = 4096};
}

static void serve(const struct fuse_in_header *in, const char *body)
{
    static char data[1 << 17];
    struct fuse_entry_out e = {.nodeid = 2, .attr_valid = 1, .entry_valid = 1};
    struct fuse_attr_out a = {.attr_valid = 1};
    struct fuse_open_out o = {.fh = 1};
    const struct fuse_read_in *r = (const void *)body;
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 1 << 16, .max_readahead = 1 << 16};
    if (in->opcode != FUSE_INIT && in->opcode != FUSE_FORGET && !kind && is_holdfast(in->pid))
        return; /* never */
    switch (in->opcode) {
    case FUSE_INIT:
        answer(in->unique, 0, &init, sizeof init);
        break;
    case FUSE_LOOKUP:
        attr(&e.attr, 2);
        answer(in->unique, strcmp(body, "prog") ? ENOENT : 0, &e, strcmp(body, "prog") ? 0 : sizeof e);
        break;
    case FUSE_GETATTR:
        attr(&a.attr, in->nodeid);
        answer(in->unique, 0, &a, sizeof a);
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        answer(in->unique, 0, &o, sizeof o);
        break;
    case FUSE_READ: {
        ssize_t n = pread(file, data, r->size < sizeof data ? r->size : sizeof data, (off_t)r->offset);
        answer(in->unique, 0, data, n > 0 ? (size_t)n : 0);
        break;
    }
    case FUSE_FORGET:
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        answer(in->unique, 0, NULL, 0);
        break;
    default:
        answer(in->unique, ENOSYS, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    static char buf[1 << 18];
    char options[128];
    ssize_t n;
    kind = argc == 4;
    if (argc < 3 || argc > 4 || (file = open(argv[1], O_RDONLY)) < 0 || fstat(file, &of) < 0 || (dev = open("/dev/fuse", O_RDWR)) < 0)
        return 1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", dev);
    if (mount("hang", argv[2], "fuse.hang", 0, options) < 0)
        return 1;
    while ((n = read(dev, buf, sizeof buf)) >= (ssize_t)sizeof(struct fuse_in_header) || errno == EINTR)
        if (n > 0)
            serve((const void *)buf, buf + sizeof(struct fuse_in_header));
    return 0;
}
