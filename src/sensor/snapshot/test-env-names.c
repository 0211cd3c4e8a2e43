// SPDX-License-Identifier: Apache-2.0
#include "sensor/snapshot/env-names.h"

#include "tap.h"

#define ENV(text) hf_span(text, sizeof(text) - 1)

/* NUL as ';' to compare. */
static struct hf_span shown(struct hf_span env, size_t max, struct hf_buf *out)
{
    hf_buf_clear(out);
    hf_env_filter(env, max, out);
    for (size_t i = 0; i < out->n; i++)
        if (!out->p[i])
            out->p[i] = ';';
    return hf_buf_span(out);
}

int main(void)
{
    hf_autobuf out = HF_BUF_INIT(65536);
    EQ_S(shown(ENV("PATH=/bin\0APP=x\0LD_PRELOAD=/tmp/a.so\0https_proxy=h\0"), 4096, &out), "PATH=/bin;LD_PRELOAD=/tmp/a.so;https_proxy=h;");
    EQ_S(shown(ENV("DB_PASSWORD=hunter2\0API_TOKEN=t\0AWS_SECRET_ACCESS_KEY=k\0MYTOKENS=x\0monkey=1\0"), 4096, &out),
            "DB_PASSWORD=***;API_TOKEN=***;AWS_SECRET_ACCESS_KEY=***;MYTOKENS=***;");
    EQ_S(shown(ENV("LD_PASSWORD=hunter2\0"), 4096, &out), "LD_PASSWORD=***;"); /* wanted and secret: secret */
    EQ_S(shown(ENV("LD_A=a=b\0PATH\0=x\0\0PATH=\0"), 4096, &out), "LD_A=a=b;PATH=;"); /* no name, no value, nothing at all */
    EQ_S(shown(ENV("PATHX=1\0XPATH=1\0XLD_A=1\0http_proxyx=1\0"), 4096, &out), ""); /* whole names */
    EQ_S(shown(ENV("PATH=/bin"), 4096, &out), "PATH=/bin;"); /* cut off by the kernel */
    EQ_S(shown(ENV("PATH=/bin\0HOME=/root\0"), 10, &out), "PATH=/bin;");
    EQ_S(shown(ENV("PATH=/bin\0HOME=/root\0"), 9, &out), "");
    EQ_S(shown(ENV(""), 4096, &out), "");
    char big[5000];
    memset(big, 'x', sizeof big);
    memcpy(big, "PATH=", 5);
    EQ_U(shown(hf_span(big, sizeof big), 4096, &out).n, 5 + 256 + 1);
    hf_buf_clear(&out);
    hf_buf_addz(&out, "before");
    hf_env_filter(ENV("PATH=/bin\0"), 10, &out); /* max counts what is added */
    EQ_U(out.n, 6 + 10);
    return tap_done();
}
