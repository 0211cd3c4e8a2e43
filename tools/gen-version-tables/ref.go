// SPDX-License-Identifier: Apache-2.0
// Pairs from stdin, one order a line: golang.org/x/mod/semver.  Toolchain names become versions as golang.org/x/vuln makes them:
// go1.22rc1 is v1.22.0-rc.1, go1.22 is v1.22.0, what follows a dash or space is dropped.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"
)

var tag = regexp.MustCompile(`^(?:go)?(\d+\.\d+)(\.\d+)?(?:(rc|beta)(\d+))?$`)

func version(s string) string {
	if strings.HasPrefix(s, "go") {
		if i := strings.IndexAny(s, " -"); i >= 0 {
			s = s[:i]
		}
	} else if semver.IsValid("v" + strings.TrimPrefix(s, "v")) {
		return "v" + strings.TrimPrefix(s, "v")
	}
	m := tag.FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	v := "v" + m[1] + m[2]
	if m[2] == "" {
		v += ".0"
	}
	if m[3] != "" {
		v += "-" + m[3] + "." + m[4]
	}
	return v
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		p := strings.Split(in.Text(), "\t")
		a, b := version(p[0]), version(p[1])
		if !semver.IsValid(a) || !semver.IsValid(b) {
			fmt.Fprintln(out, "!")
		} else {
			fmt.Fprintln(out, string("<=>"[semver.Compare(a, b)+1]))
		}
	}
}
