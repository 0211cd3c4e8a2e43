/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ra.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "tap.h"

/* Memory and a region of a descriptor must answer alike. */
static void same(const struct hf_ra *ra)
{
    char buf[16] = "................";
    struct hf_err err = HF_ERR_INIT;
    struct hf_span s = HF_S("untouched");
    hf_autobuf hold = HF_BUF_INIT(16);
    OK(hf_ra_read(ra, 2, buf, 3, &err) == 0 && memcmp(buf, "234.", 4) == 0);
    OK(hf_ra_read(ra, 10, buf, 0, &err) == 0);
    OK(hf_ra_read(ra, 9, buf, 2, &err) == HF_E_TRUNCATED && err.offset == 9 && err.msg[0]);
    OK(hf_ra_read(ra, 11, buf, 0, &err) == HF_E_TRUNCATED);
    OK(hf_ra_read(ra, UINT64_MAX, buf, 1, &err) == HF_E_TRUNCATED);
    OK(hf_ra_read(ra, UINT64_MAX - 1, buf, SIZE_MAX, NULL) == HF_E_TRUNCATED);
    OK(hf_ra_get(ra, 1, SIZE_MAX, &hold, &s, &err) == HF_E_TRUNCATED);
    EQ_S(s, "untouched");
    OK(hf_ra_get(ra, 4, 6, &hold, &s, &err) == 0);
    EQ_S(s, "456789");
    OK(hf_ra_get(ra, 0, 2, &hold, &s, &err) == 0);
    EQ_S(s, "01");
    OK(hf_ra_all(ra, &hold, &s, &err) == 0);
    EQ_S(s, "0123456789");
    OK(hf_ra_get(ra, 10, 0, &hold, &s, &err) == 0 && s.n == 0);
}

int main(void)
{
    struct hf_ra mem = hf_ra_mem(HF_S("0123456789"));
    same(&mem);
    int fd = memfd_create("ra", MFD_CLOEXEC);
    OK(fd >= 0 && write(fd, "head0123456789tail", 18) == 18);
    struct hf_ra file = hf_ra_fd(fd, 4, 10);
    same(&file);

    struct hf_err err = HF_ERR_INIT;
    struct hf_span s = HF_S("");
    char buf[32];
    hf_autobuf small = HF_BUF_INIT(4);
    OK(hf_ra_get(&file, 0, 5, &small, &s, &err) == HF_E_LIMIT); /* the buffer's ceiling bounds what is held */
    OK(hf_ra_get(&file, 0, 4, &small, &s, &err) == 0); /* and it can be used again */
    EQ_S(s, "0123");
    OK(hf_ra_get(&mem, 0, 5, &small, &s, &err) == 0); /* borrowed bytes need no room */
    /* A file that shrank under us, and a region that claims more than there is. */
    struct hf_ra liar = hf_ra_fd(fd, 10, UINT64_C(1) << 40);
    OK(hf_ra_read(&liar, 0, buf, 20, &err) == HF_E_TRUNCATED && err.msg[0]);
    OK(ftruncate(fd, 8) == 0 && hf_ra_read(&file, 0, buf, 10, &err) == HF_E_TRUNCATED);
    OK(hf_ra_read(&file, 0, buf, 4, &err) == 0 && memcmp(buf, "0123", 4) == 0);
    close(fd);
    int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct hf_ra folder = hf_ra_fd(dir, 0, 10);
    OK(hf_ra_read(&folder, 0, buf, 1, &err) == -21); /* EISDIR, not silence */
    close(dir);
    struct hf_ra none = hf_ra_mem(hf_span(NULL, 0));
    OK(hf_ra_all(&none, &small, &s, &err) == 0 && s.n == 0);
    return tap_done();
}
