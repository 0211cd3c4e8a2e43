// SPDX-License-Identifier: Apache-2.0
#include "console/mhd.h"

#include <pthread.h>
#include <stddef.h>

#include "base/library.h"

static struct hf_mhd api;
static const char *problem;

#define SYMBOL(name) {"MHD_" #name, offsetof(struct hf_mhd, name)}

static void load(void)
{
    static const struct hf_symbol symbols[] = {
            SYMBOL(add_response_header), SYMBOL(create_response_from_buffer), SYMBOL(create_response_from_callback), SYMBOL(destroy_response), SYMBOL(get_connection_info),
            SYMBOL(get_connection_values_n), SYMBOL(queue_response), SYMBOL(resume_connection), SYMBOL(set_connection_option), SYMBOL(start_daemon), SYMBOL(stop_daemon),
            SYMBOL(suspend_connection),
    };
    problem = hf_library("libmicrohttpd.so.12", symbols, sizeof symbols / sizeof symbols[0], &api);
}

const struct hf_mhd *hf_mhd(struct hf_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!problem)
        return &api;
    hf_fail(err, HF_E_UNSUPPORTED, "libmicrohttpd cannot be loaded (%s); install the package libmicrohttpd12", problem);
    return NULL;
}
