// SPDX-License-Identifier: Apache-2.0
// Pairs from stdin, one order a line: ComparableVersion of maven-artifact.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.maven.artifact.versioning.ComparableVersion;

public class Ref {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        StringBuilder out = new StringBuilder();
        for (String line; (line = in.readLine()) != null;) {
            String[] p = line.split("\t", -1);
            int c = new ComparableVersion(p[0]).compareTo(new ComparableVersion(p[1]));
            out.append(c < 0 ? "<\n" : c > 0 ? ">\n" : "=\n");
        }
        System.out.print(out);
    }
}
