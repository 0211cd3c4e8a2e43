<?php
// SPDX-License-Identifier: Apache-2.0
// Pairs from stdin, one order a line: Composer's VersionParser, then version_compare.  Branches without a number have no order.
require getenv('COMPOSER_SEMVER') ?: '/usr/share/php/Composer/Semver/autoload.php';
$parser = new Composer\Semver\VersionParser;
while (($line = fgets(STDIN)) !== false) {
    [$a, $b] = explode("\t", rtrim($line, "\n"));
    try {
        $x = $parser->normalize($a);
        $y = $parser->normalize($b);
    } catch (\Exception $e) {
        echo "!\n";
        continue;
    }
    if (strpos($x, 'dev-') === 0 || strpos($y, 'dev-') === 0)
        echo "!\n";
    else
        echo '<=>'[version_compare($x, $y) + 1], "\n";
}
