// SPDX-License-Identifier: Apache-2.0
// Pairs from stdin, one order a line: npm's semver, loose or (argument "strict") not.
const semver = require('semver');
for (const line of require('fs').readFileSync(0, 'utf8').split('\n').slice(0, -1)) {
    const [a, b] = line.split('\t');
    const loose = {loose: process.argv[2] !== 'strict'};
    if (!semver.valid(a, loose) || !semver.valid(b, loose)) {
        console.log('!');
        continue;
    }
    console.log('<=>'[semver.compare(a, b, loose) + 1]);
}
