/* SPDX-License-Identifier: Apache-2.0 */
/* publish.h - settings of this machine that a console shows, put into the store by whoever may read them (the daemon; the console before it gives up its
 * privileges): the console itself opens no settings.  No secrets: of a channel its name, kind and routes.
 *
 * Keys "console/channels" and "console/exceptions" of the store's settings.  Unchanged is not written. */
#pragma once
#include "base/json.h"

struct hf_store;
struct hf_nconf;
HF_MUSTUSE int hf_publish_channels(struct hf_store *s, const struct hf_nconf *conf, struct hf_err *err);
/* Files of exceptions of a folder (*.yaml, *.yml) or one file; a path that is not there: none.  What is over 2 MiB together is left out, and said. */
HF_MUSTUSE int hf_publish_exceptions(struct hf_store *s, const char *path, struct hf_err *err);

/* As published: 1 and the document, 0: nothing was.
 * channels: {"channels": [{"name","kind","updates":[...],"routes":[...]}]}; exceptions: {"files": [{"file","text"}], "left_out": N} */
HF_MUSTUSE int hf_published(struct hf_store *s, const char *what, struct hf_json_doc **ret, struct hf_err *err);
