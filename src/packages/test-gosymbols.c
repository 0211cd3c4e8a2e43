/* SPDX-License-Identifier: Apache-2.0 */
#include "packages/gosymbols.h"
#include "tap.h"

static void split(const char *name, const char *path, const char *symbol)
{
    hf_autobuf work = HF_BUF_INIT(8192);
    struct hf_span p, s;
    if (!OK(hf_go_symbol_split(hf_span_z(name), &work, &p, &s) == (path != NULL)) || !path)
        return;
    EQ_S(p, path);
    EQ_S(s, symbol);
}

int main(void)
{
    split("golang.org/x/net/http2.(*Framer).ReadFrame", "golang.org/x/net/http2", "Framer.ReadFrame");
    split("net/http.Get", "net/http", "Get");
    split("main.main", "main", "main");
    split("gopkg.in/yaml%2ev2.Unmarshal", "gopkg.in/yaml.v2", "Unmarshal");
    split("slices.SortFunc[go.shape.[]github.com/a/b.T]", "slices", "SortFunc");
    split("example.com/x.(*Set[go.shape.int]).Add-fm", "example.com/x", "Set.Add");
    split("example.com/x.T.M.func1", "example.com/x", "T.M.func1");
    split("nodot", NULL, NULL);
    split("", NULL, NULL);
    split(".x", NULL, NULL);
    split("a/b.", NULL, NULL);
    uint32_t a[] = {1, 5, 9}, b[] = {2, 5, UINT32_MAX}, want[] = {1, 2, 5, 9, UINT32_MAX};
    hf_autobuf out = HF_BUF_INIT(4096);
    OK(hf_go_symbol_union(hf_span((const char *)a, sizeof a), hf_span((const char *)b, sizeof b), &out));
    OK(out.n == sizeof want && memcmp(out.p, want, sizeof want) == 0);
    OK(hf_go_symbol_union(hf_span(NULL, 0), hf_span((const char *)b, sizeof b), &out) && out.n == sizeof b);
    uint32_t one = hf_go_symbol_hash(HF_S("net/http.Get"));
    OK(hf_go_symbol_linked(hf_span((const char *)&one, sizeof one), HF_S("net/http.Get")));
    OK(!hf_go_symbol_linked(hf_span((const char *)&one, sizeof one), HF_S("net/http.Post")));
    OK(!hf_go_symbol_linked(hf_span(NULL, 0), HF_S("net/http.Get")));
    return tap_done();
}
