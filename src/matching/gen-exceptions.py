#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns data/exceptions/matching.yaml into a C table.

Reads only the subset of YAML that the file uses (a list of flat mappings, block or flow), so that the build needs no module.
An entry with an unknown key or kind, or without a reason, stops the build with its line."""
import re
import sys

KEYS = ('kind', 'match', 'ids', 'type', 'reason')
KINDS = ('suppress', 'not-a-vulnerability', 'third-party-mail', 'third-party-version', 'vendor', 'kernel')


def unquote(v):
    v = v.strip()
    return v[1:-1] if len(v) > 1 and v[0] == v[-1] and v[0] in '"\'' else v


def main():
    src, dst = sys.argv[1:3]
    entries = []
    with open(src, encoding='utf-8') as f:
        for n, line in enumerate(f, 1):
            line = line.rstrip('\n')
            if not line.strip() or line.lstrip().startswith('#'):
                continue
            flow = re.fullmatch(r'- \{(.*)\}', line)
            if flow:
                pairs = re.findall(r'\s*([a-z]+): ("[^"]*"|[^,]*)(?:,|$)', flow.group(1))
                entries.append((n, {k: unquote(v) for k, v in pairs}))
                continue
            m = re.fullmatch(r'(- |  )([a-z]+): (.*)', line)
            if not m:
                sys.exit(f'{src}:{n}: not "- key: value" nor "- {{key: value, ...}}": {line}')
            if m.group(1) == '- ':
                entries.append((n, {}))
            entries[-1][1][m.group(2)] = unquote(m.group(3))
    with open(dst, 'w', encoding='utf-8') as out:
        out.write('/* SPDX-License-Identifier: Apache-2.0 */\n/* Made from data/exceptions/matching.yaml. */\n'
                  '#include "matching/match-internal.h"\nconst struct hf_exception hf_exceptions[] = {\n')
        for n, e in entries:
            bad = [k for k in e if k not in KEYS]
            if bad or e.get('kind') not in KINDS or not e.get('match') or not e.get('reason'):
                sys.exit(f'{src}:{n}: needs kind (one of {", ".join(KINDS)}), match and reason; got {e}')
            if e['kind'] == 'suppress' and not e.get('ids'):
                sys.exit(f'{src}:{n}: suppress needs ids')
            vals = [e.get(k, '').replace('\\', '\\\\').replace('"', '\\"') for k in KEYS]
            out.write('    {' + ', '.join(f'"{v}"' for v in vals) + '},\n')
        out.write('};\nconst size_t hf_n_exceptions = HF_ARRAY_LEN(hf_exceptions);\n')


main()
