# SPDX-License-Identifier: Apache-2.0
"""The documents say what the program does: options and settings of the manual pages against --help and config show, every example is run, every
link and path exists.

Examples are the blocks fenced as sh or console in the Markdown files, and the literal blocks of EXAMPLES in the manual pages.  The blocks of a file
run one line after another in a folder of their own that holds image.tar (tests/tools/mkimage.py), night.hfrec (tests/recordings), demo.hfdb (the demonstration database, also the
default of db.path) and data/.  "# exit N" behind a command is its exit code, else 0.  In console blocks "$ " marks commands; what is shown under one is
compared, "..." standing for any number of lines.  Other literal blocks whose first line is "# NAME.yaml" are written to that file first.  What
cannot run here is in CANNOT_RUN with its reason."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402
from test_scan import BASE, TOP  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAN = sorted((ROOT / "man").glob("*.scd"))
MARKDOWN = sorted(p for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("man/**/*.md"), *ROOT.glob("tests/**/*.md"), *ROOT.glob("data/**/*.md")])
NOW = "1720000000"  # 2024-07-03: exceptions in examples do not run out, and the demonstration data is two days old

# A whole command line, or the words it begins with -> why it is not run.
CANNOT_RUN = {
    "make run": "builds; the tests run below make test themselves",
    "make test": "runs this test",
    "make fuzz": "takes ten minutes a target",
    "make bench": "takes minutes",
    "holdfast db update": "needs a network; test_update.py has mirrors of its own",
    "docker save": "needs a docker daemon and an image from a registry",
    "holdfast scan docker:": "needs a docker daemon",
    "holdfast scan container:": "needs a docker daemon",
    "holdfast watch": "runs until Ctrl-C; test_watch.py runs it",
    "holdfast protect": "needs root and the state of a watch with policies; test_protect.py runs it",
    "holdfast sensor": "loads programs into the kernel; test_watch.py runs it",
    "sudo ": "changes the machine",
    "apt-get ": "changes the machine",
    "tests/bench/": "builds and scans images of gigabytes",
    "ninja -C build": "builds",
    "gcc -O2 -std=gnu17 -D_GNU_SOURCE -Isrc tests/bench/": "needs the build folder and the shared advisories",
    "/tmp/avs ": "the program of the line before it",
    "HF_UPDATE_GOLDEN=1 ": "rewrites files of the tree",
}
OPTIONAL = {"holdfast scan docker:", "holdfast scan container:", "sudo ", "apt-get ", "make fuzz", "make bench"}  # may stand in no document
LANGUAGES = {"sh", "console", "yaml", "json", "text", "c", "meson"}


def plain(scd):
    """scdoc text without its marks."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)\*|(?<![A-Za-z0-9\\])_|_(?![A-Za-z0-9])", "", scd))


def help_of(run, *command):
    rc, out, err = run(*command, "--help")
    assert rc == 0 and err == ""
    return out


def commands_of(text):
    return re.findall(r"^  ([a-z]+) ", text.split("\nCommands:\n")[1], re.M)


def help_options(text):
    """{long name: (letter, placeholder)} and the choices named in a --help."""
    options = {m[2]: (m[1] or "", m[3] or "") for m in re.finditer(r"^  (?:-(\w), |    )--([a-z-]+)(?: ([^ ]+))?  ", text, re.M)}
    options.update({m[2]: (m[1] or "", m[3] or "") for m in re.finditer(r"^  (?:-(\w), |    )--([a-z-]+) (\S+) (?! )", text, re.M) if m[2] not in options})
    options.update({m[1]: ("", m[2]) for m in re.finditer(r"^      --([a-z-]+)(\[=[A-Z]+\]) ", text, re.M)})
    choices = {c for m in re.finditer(r"^ {20,}\(([a-z|]+)\)$", text, re.M) for c in m[1].split("|")}
    options.setdefault("help", ("h", ""))  # a command without options of its own has no table
    return options, choices


def page_options(text):
    """The same from the definitions of a page: lines that begin with *-."""
    return {m[2]: (m[1] or "", plain(m[3] or m[4] or "")) for m in re.finditer(r"^(?:\*-(\w)\*, )?\*--([a-z-]+)\*(?: (.+)|(\[=.+\]))?$", text, re.M)}


def page(name):
    path = ROOT / "man" / f"{name}.scd"
    assert path.is_file(), f"man/{name}.scd is missing: every command and the settings have a page"
    return path.read_text()


def parts(text, marks):
    """{heading: text below it}: "#" in capitals, "##" in small letters."""
    cut = re.split(rf"^{marks} ({'[a-z-]+' if marks == '##' else '[A-Z][A-Z ]+'})$", text, flags=re.M)
    return dict(zip(cut[1::2], cut[2::2]))


def check_command(command, text, where):
    want, choices = help_options(text)
    have = page_options(where)
    have.setdefault("help", ("h", ""))  # said once for all commands of a page
    assert have == want, f"options of holdfast {command}: page {have}, --help {want}"
    missing = [c for c in choices if not re.search(rf"\*{c}\*", where)]
    assert not missing, f"the page of holdfast {command} does not name {missing}"


def test_every_command_has_a_page_with_its_options(run):
    top = help_of(run)
    commands = commands_of(top)
    assert set(commands) >= {"scan", "db", "config"}
    main = page("holdfast.1")
    known = {"help", "version"}
    for command in commands:
        assert re.search(rf"^\*{command}\*$", parts(main, "#")["COMMANDS"], re.M), f"holdfast(1) does not list {command}"
        text, where = help_of(run, command), page(f"holdfast-{command}.1")
        assert "*-h*" in where and "*--help*" in where
        if "\nCommands:\n" not in text:
            check_command(command, text, where)
            known |= set(help_options(text)[0])
            continue
        below = parts(parts(where, "#")["COMMANDS"], "##")
        assert set(below) == set(commands_of(text)), f"holdfast-{command}(1) has {sorted(below)}, --help {sorted(commands_of(text))}"
        for sub in commands_of(text):
            assert f"*holdfast {command} {sub}*" in where, f"the synopsis lacks {command} {sub}"
            check_command(f"{command} {sub}", help_of(run, command, sub), below[sub])
            known |= set(help_options(help_of(run, command, sub))[0])
    for path in MAN:
        unknown = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", path.read_text())) - known
        assert not unknown, f"{path.name} speaks of options that no command has: {unknown}"


def test_every_setting_is_in_the_manual_with_its_default(binary, tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "XDG_"))}
    p = subprocess.run([binary, "config", "show", "--config", tmp_path / "empty.yaml"], capture_output=True, text=True, env={**env, "HOME": "/home/u"})
    assert p.returncode == 0, p.stderr
    shown = {line.split()[0]: line.split()[1].replace("/home/u", "~") for line in p.stdout.splitlines()}
    text = parts(page("holdfast.conf.5"), "#")
    keys = dict(re.findall(r"^\*([a-z]+\.[a-z_]+)\*\n((?:\t.*\n)+)", text["KEYS"], re.M))
    assert set(keys) == set(shown), f"holdfast.conf(5) has {sorted(keys)}, config show {sorted(shown)}"
    for key, value in shown.items():
        assert value in plain(keys[key]), f"holdfast.conf(5): {key} has the default {value}"
        section, name = key.split(".")
        assert re.search(rf"^{section}:\n(?:  .*\n)*?  {name}: ", text["EXAMPLES"], re.M), f"the example file of holdfast.conf(5) lacks {key}"


def test_pages_are_well_formed():
    scdoc = shutil.which("scdoc")
    if not scdoc:
        pytest.skip("scdoc is not installed")
    listed = re.search(r"man_pages = \[(.*?)\]", (ROOT / "man/meson.build").read_text(), re.S)[1]
    for path in MAN:
        p = subprocess.run([scdoc], stdin=open(path, "rb"), capture_output=True, text=True)
        assert p.returncode == 0 and p.stdout.startswith('.\\" Generated by scdoc'), f"{path.name}: {p.stderr}"
        assert f"'{path.stem}'" in listed, f"man/meson.build does not build {path.stem}"
        for name, section in re.findall(r"\*(holdfast[a-z.-]*)\*\((\d)\)", path.read_text()):
            assert (ROOT / "man" / f"{name}.{section}.scd").exists(), f"{path.name} refers to {name}({section})"


# --- examples ---

def blocks_of(path):
    """(line, language, text) of every fenced block; in a manual page "sh" for those of EXAMPLES."""
    found, section, start, language, text = [], "", 0, "", []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = re.match(r"\s*```(.*)$", line)
        if fence and not start:
            start, text = number, []
            language = fence[1].strip() if path.suffix == ".md" else "sh" if section == "EXAMPLES" else "text"
        elif fence:
            found.append((start, language, "\n".join(text) + "\n"))
            start = 0
        elif start:
            text.append(line)
        elif path.suffix != ".md" and line.startswith("# "):
            section = line[2:]
    assert not start, f"{path}:{start}: the block does not end"
    return found


def commands_in(text, language):
    """(offset of the line, command, exit code, output shown or None)."""
    lines, out, i = text.splitlines(), [], 0
    while i < len(lines):
        first, line = i, lines[i]
        if language == "console":
            assert line.startswith("$ "), f"output without a command: {line}"
            line = line[2:]
        while line.endswith("\\") and i + 1 < len(lines):
            i += 1
            line = line[:-1] + lines[i].removeprefix("> ").strip()
        i += 1
        shown = []
        while language == "console" and i < len(lines) and not lines[i].startswith("$ "):
            shown.append(lines[i])
            i += 1
        if not line.strip() or line.startswith("#"):
            continue
        code = re.search(r"# exit (\d)", line)
        out.append((first, line, int(code[1]) if code else 0, shown or None))
    return out


def same_output(shown, out):
    """Shown lines against the real ones; "..." is any number of lines; spaces at line ends do not count."""
    shown, out = [s.rstrip() for s in shown], [s.rstrip() for s in out.splitlines()]
    while shown and not shown[-1]:
        shown.pop()
    while out and not out[-1]:
        out.pop()
    pattern = "".join("(?:.*\n)*?" if s == "..." else re.escape(s) + "\n" for s in shown)
    return re.fullmatch(pattern, "".join(s + "\n" for s in out)) is not None


def reason(line):
    return next((k for k in CANNOT_RUN if line == k or (line.startswith(k) and (k.endswith((" ", ":", "/")) or line[len(k)] in " \t#"))), None)


@pytest.fixture(scope="module")
def kit(run, binary, tmp_path_factory):
    """A folder with what the examples speak of."""
    path = tmp_path_factory.mktemp("kit")
    mkimage.write_image(str(path / "image.tar"), [BASE, TOP])
    shutil.copy(ROOT / "tests/recordings/drop-and-run.hfrec", path / "night.hfrec")
    rc, _, err = run("db", "build", "--from", ROOT / "data/demo-advisories", "--output", path / "demo.hfdb", env={"SOURCE_DATE_EPOCH": NOW})
    assert rc == 0, err
    (path / "bin").mkdir()
    (path / "bin/holdfast").symlink_to(binary.resolve())
    return path


SOURCES = [p for p in [*MAN, *MARKDOWN] if any(b[1] in ("sh", "console") for b in blocks_of(p))]


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(ROOT)) for p in SOURCES])
def test_examples_run(kit, tmp_path, path):
    for name in ("image.tar", "demo.hfdb", "night.hfrec"):
        shutil.copy(kit / name, tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "home").mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "XDG_"))}
    env.update({"PATH": f"{kit / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": NOW,
                "HOLDFAST_DB_PATH": str(tmp_path / "demo.hfdb"), "HOLDFAST_SCAN_CACHE_DIR": str(tmp_path / "cache"),
                "HOLDFAST_DOCKER_HOST": f"unix://{tmp_path}/no-daemon.sock"})
    blocks = blocks_of(path)
    for _, language, text in blocks:
        name = re.match(r"# ([a-z-]+\.yaml)\n", text)
        if name:
            (tmp_path / name[1]).write_text(text)
    problems = []
    for start, language, text in blocks:
        if language not in ("sh", "console") or re.match(r"# [a-z-]+\.yaml\n", text):
            continue
        for offset, line, code, shown in commands_in(text, language):
            if reason(line):
                continue
            p = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            where = f"{path.relative_to(ROOT)}:{start + 1 + offset}: {line}"
            if p.returncode != code:
                problems.append(f"{where}\n  exit code {p.returncode}, documented {code}: {p.stderr.strip()[-300:]}")
            elif shown and not same_output(shown, p.stdout + p.stderr):
                problems.append(f"{where}\n  prints now:\n{p.stdout}{p.stderr}")
    assert not problems, "\n".join(problems)


def test_no_block_and_no_exception_is_forgotten():
    used = set()
    for path in [*MAN, *MARKDOWN]:
        for start, language, text in blocks_of(path):
            assert language in LANGUAGES, f"{path.relative_to(ROOT)}:{start}: say what the block is: {sorted(LANGUAGES)}"
            if language in ("sh", "console"):
                used |= {reason(line) for _, line, _, _ in commands_in(text, language)}
    assert not set(CANNOT_RUN) - used - OPTIONAL, "entries of CANNOT_RUN that no document needs"


@pytest.mark.parametrize("path", MARKDOWN, ids=[str(p.relative_to(ROOT)) for p in MARKDOWN])
def test_examples_are_fenced(path):
    """An indented block would not be run."""
    lines, inside = path.read_text().splitlines(), False
    for number, line in enumerate(lines, 1):
        inside ^= line.lstrip().startswith("```")
        assert inside or not (line.startswith("    ") and (number == 1 or not lines[number - 2].strip())), f"{path.name}:{number}: use a fenced block"


def test_the_example_of_the_ignore_file_has_every_key():
    text = next(t for _, _, t in blocks_of(ROOT / "man/holdfast-scan.1.scd") if t.startswith("# accepted.yaml"))
    source = re.search(r"\} keys\[\] = \{(.*)\};", (ROOT / "src/policy/ignore.c").read_text())[1]
    keys = set(re.findall(r'\{"([a-z]+)"', source))
    assert keys >= {"id", "purl", "path", "reason", "expires"}
    assert set(re.findall(r"^(?:- |  )([a-z]+):", text, re.M)) == keys
    below = parts(page("holdfast-scan.1"), "#")["IGNORE FILE"]
    assert set(re.findall(r"^\*([a-z]+)\*$", below, re.M)) == keys


# --- links ---

NOT_OURS = {"data/json"}  # a path of the Debian security tracker


@pytest.mark.parametrize("path", MARKDOWN, ids=[str(p.relative_to(ROOT)) for p in MARKDOWN])
def test_links_and_paths_exist(path):
    text = re.sub(r"^\s*```.*?^\s*```", "", path.read_text(), flags=re.M | re.S)
    missing = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#") and not (path.parent / target.split("#")[0]).exists():
            missing.append(target)
    # Paths in the text, from the root of the tree.  A name that ends in -x or x stands for any.
    for name in re.findall(r"(?<![\w/.$~-])((?:src|docs|tests|tools|data|man)/[\w./-]*\w)", text):
        if not re.search(r"(?:^|[-/])x(?:\.\w+)?$", name) and name not in NOT_OURS and not (ROOT / name).exists():
            missing.append(name)
    assert not missing, f"{path.relative_to(ROOT)} names what is not there: {missing}"


def test_pages_that_the_code_names_exist():
    missing = {}
    for source in [*(ROOT / "src").rglob("*.[ch]"), *(ROOT / "tools").iterdir()]:
        for name in re.findall(r"\bdocs/[\w./-]+\.(?:md|json)\b", source.read_text(errors="replace")) if source.is_file() else []:
            if not (ROOT / name).exists():
                missing.setdefault(name, str(source.relative_to(ROOT)))
    assert not missing


def test_the_tour_names_every_folder():
    text = (ROOT / "docs/architecture.md").read_text()
    missing = [p.name for p in (ROOT / "src").iterdir() if p.is_dir() and f"src/{p.name}" not in text]
    assert not missing, f"docs/architecture.md does not speak of src/{missing}"


def kind_of(text):
    """What a YAML file of ours is: the command that says whether it is right."""
    first = re.sub(r"^#.*\n", "", text)
    if re.match(r"- policy: ", first):
        return ("policy", "check")
    if re.match(r"- (channel|route|settings): ?", first):
        return ("notify", "check", "--no-secrets", "--config")
    if re.match(r"(scan|db|store|docker|inventory|daemon|console):\n", first) or re.match(r"[a-z]+\.[a-z_]+:", first):
        return ("config", "check", "--config")
    return None


YAML = [(p, start, text) for p in [*MAN, *MARKDOWN] for start, language, text in blocks_of(p) if (language == "yaml" or re.match(r"# [a-z-]+\.yaml\n", text)) and kind_of(text)]


def test_yaml_is_taken(run, tmp_path):
    """Settings, channels and policies as documents show them are such as the program takes."""
    assert {kind_of(t)[0] for _, _, t in YAML} == {"policy", "notify", "config"}
    problems = []
    for path, start, text in YAML:
        file = tmp_path / "x.yaml"
        file.write_text(text)
        rc, out, err = run(*kind_of(text), file)
        if rc:
            problems.append(f"{path.relative_to(ROOT)}:{start}: {err.strip()}")
    assert not problems, "\n".join(problems)
