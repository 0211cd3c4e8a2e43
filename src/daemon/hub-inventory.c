// SPDX-License-Identifier: Apache-2.0
/* The hub's inventory: lines of watch to it, scans asked for, results taken in. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "daemon/hub-internal.h"

#include "inventory/inventory.h"

enum { FLUSH_MS = 5000, WAITING_MAX = 8 << 20 };

static void failed(struct hub *h, int rc, const char *why)
{
    hub_note(h->sh->inventory_error, why);
    hub_store_failed(h, "the inventory cannot be written", rc, why);
}

int hub_inv_open(struct hub *h, struct hf_err *err)
{
    if (h->inv)
        return 0;
    hf_buf_init(&h->inv_waits, WAITING_MAX);
    return hf_inv_new(&h->inv, h->store, hf_span_z(h->host_id), hf_span_z(h->host), err);
}

static int take_line(struct hub *h, struct hf_span line)
{
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_inv_line(h->inv, line, &err);
    if (rc < 0 && rc != HF_E_FORMAT && rc != HF_E_LIMIT)
        failed(h, rc, err.msg);
    return h->store_try_ms ? -EAGAIN : 0;
}

/* While the store is down what it is about waits: a container that begins then is not to be missed. */
void hub_inv_line(struct hub *h, struct hf_span line)
{
    if (!h->inv)
        return;
    if (!h->store_try_ms && !h->inv_waits.n) {
        take_line(h, line);
    } else if (hf_inv_concerns(line) && h->inv_waits.n + line.n < h->inv_waits.max) {
        hf_buf_adds(&h->inv_waits, line);
        hf_buf_addc(&h->inv_waits, '\n');
    }
}

static void lines_that_waited(struct hub *h)
{
    struct hf_span rest = hf_buf_span(&h->inv_waits), line;
    while (hf_span_line(&rest, &line) && take_line(h, line) == 0)
        ;
    memmove(h->inv_waits.p, rest.n ? rest.p : h->inv_waits.p, rest.n);
    h->inv_waits.n = rest.n;
}

/* What the last scan came to, then the next image. */
static void scans(struct hub *h)
{
    hf_autobuf digest = HF_BUF_INIT(4096), text = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    if (hub_slow_result(h, &digest, &text) > 0) {
        HF_SHARED_ADD(h->sh->scans, text.n == 0);
        HF_SHARED_ADD(h->sh->scans_failed, text.n != 0);
        if (hf_inv_scanned(h->inv, hf_buf_span(&digest), hf_buf_span(&text), hf_store_now(), &err) < 0)
            hf_log(HF_LOG_WARNING, "inventory", "%s", err.msg);
    }
    HF_SHARED_SET(h->sh->scans_waiting, hf_inv_waiting(h->inv));
    if (!h->hand || !h->c->daemon_scan || !hub_slow_free(h))
        return;
    hf_buf_clear(&digest);
    hf_buf_clear(&text);
    if (hf_inv_wanted(h->inv, hf_store_now(), &text, &digest) > 0)
        hub_slow_scan(h, hf_buf_span(&text), hf_buf_span(&digest));
}

void hub_inv_step(struct hub *h)
{
    struct hf_err err = HF_ERR_INIT;
    uint64_t now = hub_now_ms();
    if (!h->inv)
        return;
    if (h->inv_waits.n)
        lines_that_waited(h);
    scans(h);
    if (now - h->inv_flushed_ms >= FLUSH_MS) {
        h->inv_flushed_ms = now;
        int rc = hf_inv_flush(h->inv, hf_store_now(), &err);
        if (rc < 0)
            failed(h, rc, err.msg);
    }
}

void hub_inv_end(struct hub *h)
{
    struct hf_err err = HF_ERR_INIT;
    if (h->inv && hf_inv_flush(h->inv, hf_store_now(), &err) < 0)
        hf_log(HF_LOG_WARNING, "inventory", "%s", err.msg);
    hf_inv_free(h->inv);
    hf_buf_done(&h->inv_waits);
    h->inv = NULL;
}
