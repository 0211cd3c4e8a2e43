# SPDX-License-Identifier: Apache-2.0
"""holdfast seal: made of real archives and directories, held against what was changed."""
import base64
import ctypes
import io
import json
import hashlib
import os
import pathlib
import pty
import shutil
import sqlite3
import subprocess
import tarfile
import termios
import time

import jsonschema
import pytest

from test_docker import overlay  # noqa: F401  a daemon of the tests' own

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/schema/seal-1.json").read_text())

CAPS = bytes.fromhex("0100000200200000000000000000000000000000")
CONFIG = {"architecture": "amd64", "os": "linux"}
ODD = "usr/lib/new\nline \x1b[31m"


def layer(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, e in entries:
            info = tarfile.TarInfo(name)
            info.mode = e.get("mode", 0o644)
            info.uid, info.gid = e.get("uid", 0), e.get("gid", 0)
            info.type = e.get("type", tarfile.REGTYPE)
            info.linkname = e.get("link", "")
            if e.get("caps"):
                info.pax_headers = {"SCHILY.xattr.security.capability": e["caps"].decode("latin-1")}
            data = e.get("data", b"") if info.type == tarfile.REGTYPE else b""
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive(path, layers, zipped=False):
    import gzip
    ids = ["sha256:" + hashlib.sha256(b).hexdigest() for b in layers]
    config = json.dumps({**CONFIG, "rootfs": {"type": "layers", "diff_ids": ids}}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    members = [(name, config)] + [(f"{i}/layer.tar", gzip.compress(b) if zipped else b) for i, b in enumerate(layers)]
    members.append(("manifest.json", json.dumps([{"Config": name, "RepoTags": ["t:1"], "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]).encode()))
    with tarfile.open(path, "w") as t:
        for n, data in members:
            info = tarfile.TarInfo(n)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return path


D = {"type": tarfile.DIRTYPE, "mode": 0o755}
LOWER = [("bin", D), ("bin/ls", {"mode": 0o755, "data": b"ls" * 5000}), ("bin/ping", {"mode": 0o4755, "data": b"ping", "caps": CAPS}), ("bin/dir", {"type": tarfile.LNKTYPE, "link": "bin/ls", "mode": 0o755}),
         ("etc", D), ("etc/gone", {"data": b"x"}), ("etc/link", {"type": tarfile.SYMTYPE, "link": "../bin/ls", "mode": 0o777}), ("opt", D), ("opt/a", D), ("opt/a/low", {"data": b"low"}),
         (ODD, {"data": b"odd", "uid": 1000, "gid": 4000000000}), ("fifo", {"type": tarfile.FIFOTYPE})]
UPPER = [("etc/.wh.gone", {}), ("opt/a/.wh..wh..opq", {}), ("opt/a/high", {"data": b"high"}), ("bin/vi", {"type": tarfile.LNKTYPE, "link": "bin/ping", "mode": 0o4755, "caps": CAPS})]


def entries(run, seal, *args):
    rc, out, err = run("seal", "show", "--json", seal, *args)
    assert rc == 0, err
    jsonschema.validate(json.loads(out), SCHEMA)
    return {e["path"]: e["entry"] for e in json.loads(out)["entries"]}


@pytest.mark.parametrize("zipped", [False, True])
def test_seal_lists_the_merged_image(run, tmp_path, zipped):
    image = archive(tmp_path / "i.tar", [layer(LOWER), layer(UPPER)], zipped)
    rc, out, err = run("seal", "-o", tmp_path / "s.seal", image)
    assert rc == 0, err
    e = entries(run, tmp_path / "s.seal")
    assert set(e) == {"/bin", "/bin/ls", "/bin/ping", "/bin/dir", "/bin/vi", "/etc", "/etc/link", "/opt", "/opt/a", "/opt/a/high", "/usr", "/usr/lib", "/" + ODD, "/fifo"}
    assert e["/bin/ls"]["sha256"] == e["/bin/dir"]["sha256"] == hashlib.sha256(b"ls" * 5000).hexdigest()
    assert e["/bin/ping"]["mode"] == "0104755" and e["/bin/ping"]["capability"] == CAPS.hex()
    assert e["/bin/vi"]["sha256"] == hashlib.sha256(b"ping").hexdigest() and e["/bin/vi"]["capability"] == CAPS.hex()
    assert e["/etc/link"]["link"] == "../bin/ls" and "sha256" not in e["/etc/link"]
    assert (e["/" + ODD]["uid"], e["/" + ODD]["gid"]) == (1000, 4000000000)
    assert e["/bin/ls"]["layer"] != e["/opt/a/high"]["layer"]
    rc, out, err = run("seal", "verify", "--seal", tmp_path / "s.seal", image)
    assert (rc, out) == (0, "0 differences\n"), err


def test_state_and_other_images(run, tmp_path):
    image = archive(tmp_path / "i.tar", [layer(LOWER)])
    other = archive(tmp_path / "o.tar", [layer(LOWER + [("x", {"data": b"1"})])])
    state = ("--state", tmp_path / "state")
    rc, out, err = run("seal", "verify", *state, image)
    assert rc == 3 and "no seal of this image yet" in err
    assert run("seal", *state, image)[0] == 0
    assert run("seal", "verify", *state, image)[0] == 0
    kept = next((tmp_path / "state" / "seals").glob("*.seal"))
    assert os.stat(kept).st_mode & 0o777 == 0o600
    rc, out, err = run("seal", "verify", "--seal", kept, other)
    assert rc == 3 and "the seal of another image" in err
    rc, out, err = run("seal", "-o", kept, other)
    assert rc == 3 and "--force" in err
    assert run("seal", "--force", "-o", kept, other)[0] == 0


def test_directory_drift_is_named(run, tmp_path):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    for name in ("same", "content", "mode", "gone", "owner", "size"):
        (root / "bin" / name).write_text(name)
    (root / "bin" / "link").symlink_to("same")
    (root / "deep").joinpath(*["d"] * 300).mkdir(parents=True)
    seal = tmp_path / "s.seal"
    assert run("seal", "-o", seal, f"dir:{root}")[0] == 0
    (root / "bin" / "content").write_text("cOntent")
    (root / "bin" / "mode").chmod(0o4755)
    (root / "bin" / "gone").unlink()
    (root / "bin" / "new").write_text("n")
    (root / "bin" / "link").unlink()
    (root / "bin" / "link").symlink_to("/etc/passwd")
    expect = ["modified:  /bin/content (content)", "removed:   /bin/gone", "modified:  /bin/link (link)", "modified:  /bin/mode (mode 0644 -> 4755)", "added:     /bin/new"]
    if os.geteuid() == 0:
        os.chown(root / "bin" / "owner", 7, 8)
        expect.append("modified:  /bin/owner (owner 0:0 -> 7:8)")
    rc, out, err = run("seal", "verify", "--idle", "--seal", seal, f"dir:{root}")
    assert rc == 1, err
    assert out.splitlines()[:-1] == expect
    rc, out, err = run("seal", "verify", "--seal", seal, "--ignore", "/bin/**", f"dir:{root}")
    assert rc == 0 and "ignored" in out
    assert run("seal", "-o", tmp_path / "t.seal", f"dir:{root}")[0] == 0
    rc, out, err = run("seal", "diff", "--json", seal, tmp_path / "t.seal")
    jsonschema.validate(json.loads(out), SCHEMA)
    assert rc == 1 and len(json.loads(out)["differences"]) == len(expect)


@pytest.mark.parametrize("kind", [("ed25519",), ("EC", "-pkeyopt", "ec_paramgen_curve:P-256")])
def test_signatures(run, tmp_path, kind):
    image = archive(tmp_path / "i.tar", [layer(LOWER)])
    for name in "ab":
        subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", tmp_path / f"{name}.pem"], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", tmp_path / f"{name}.pem", "-pubout", "-out", tmp_path / f"{name}.pub"], check=True)
    seal = tmp_path / "s.seal"
    assert run("seal", "-o", seal, "--sign", tmp_path / "a.pem", image)[0] == 0
    assert run("seal", "verify", "--seal", seal, "--key", tmp_path / "a.pub", image)[0] == 0
    rc, out, err = run("seal", "verify", "--seal", seal, "--key", tmp_path / "b.pub", image)
    assert rc == 3 and "not by this key" in err
    rc, out, err = run("seal", "-o", seal, image)
    assert rc == 3 and "is signed" in err
    data = seal.read_bytes()
    seal.write_bytes(data[:len(data) // 2])
    rc, out, err = run("seal", "verify", "--seal", seal, image)
    assert rc == 3 and "cut off" in err
    for at in (70, 200):  # in the first block
        seal.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        rc, out, err = run("seal", "verify", "--seal", seal, image)
        assert rc == 3 and ("changed" in err or "damaged" in err), err
    (tmp_path / "u.seal").write_bytes(b"")
    assert run("seal", "-o", tmp_path / "u2.seal", image)[0] == 0
    rc, out, err = run("seal", "verify", "--seal", tmp_path / "u2.seal", "--key", tmp_path / "a.pub", image)
    assert rc == 3 and "not signed" in err


def cached(cache):
    """{diff id: whether its record says the digests of files}"""
    with sqlite3.connect(cache / "layers.db") as db:
        return {d: hashlib.sha256(b"ls" * 5000).digest() in record for d, record in db.execute("SELECT diff_id, record FROM layer")}


@pytest.mark.parametrize("zipped", [False, True])
def test_the_cache_of_layers(run, tmp_path, zipped):
    """A record without digests is made anew; one with them is believed, also when it lies, and never by verify."""
    image = archive(tmp_path / "i.tar", [layer(LOWER), layer(UPPER)], zipped)
    cache = tmp_path / "cache"
    env = {"HOLDFAST_SCAN_CACHE_DIR": str(cache)}
    assert run("scan", "--no-vulnerabilities", "-f", "json", image, env=env)[0] in (0, 4)
    assert list(cached(cache).values()) == [False, False]
    assert run("seal", "-o", tmp_path / "s.seal", image, env=env)[0] == 0
    assert sorted(cached(cache).values()) == [False, True]  # the upper layer does not have that file
    with_cache = entries(run, tmp_path / "s.seal")
    assert run("seal", "--no-cache", "-o", tmp_path / "n.seal", image, env=env)[0] == 0
    assert with_cache == entries(run, tmp_path / "n.seal")
    # a mark in the record shows who reads it
    with sqlite3.connect(cache / "layers.db") as db:
        for d, record in list(db.execute("SELECT diff_id, record FROM layer")):
            db.execute("UPDATE layer SET record = ? WHERE diff_id = ?", (record.replace(hashlib.sha256(b"ls" * 5000).digest(), b"!" * 32), d))
    db.close()
    assert run("seal", "-o", tmp_path / "m.seal", image, env=env)[0] == 0
    assert entries(run, tmp_path / "m.seal")["/bin/ls"]["sha256"] == (b"!" * 32).hex()
    rc, out, err = run("seal", "verify", "--seal", tmp_path / "m.seal", image, env=env)
    assert rc == 1 and "modified:  /bin/ls (content)" in out
    assert run("scan", "--no-vulnerabilities", "-f", "json", image, env=env)[0] in (0, 4)
    assert run("seal", "--cache-dir", tmp_path / "other", "-o", tmp_path / "o.seal", image, env=env)[0] == 0
    assert entries(run, tmp_path / "o.seal") == with_cache


def test_the_word_make_may_be_left_out(run, tmp_path):
    image = archive(tmp_path / "i.tar", [layer(LOWER)])
    env = {"SOURCE_DATE_EPOCH": "1720000000"}
    for words in ([], ["make"]):
        assert run("seal", *words, "-o", tmp_path / f"s{len(words)}.seal", image, env=env)[0] == 0
        assert run("seal", *words, "--state", tmp_path / "state", image, env=env)[0] == 0
    assert (tmp_path / "s0.seal").read_bytes() == (tmp_path / "s1.seal").read_bytes()
    assert "Usage: holdfast seal [make] [options] IMAGE" in run("seal", "--help")[1]


def test_running_container(run, overlay, tmp_path):  # noqa: F811
    """What the runtime makes is no drift; one byte, a mode and a new file are."""
    image = archive(tmp_path / "i.tar", [layer(LOWER[:1] + [("bin/busybox", {"mode": 0o755, "data": pathlib.Path("/bin/busybox").read_bytes()}), ("bin/sh", {"type": tarfile.LNKTYPE, "link": "bin/busybox", "mode": 0o755}),
                                                            ("bin/tool", {"mode": 0o755, "data": b"tool"}), ("bin/cap", {"mode": 0o755, "data": b"cap", "caps": CAPS}), ("bin/cap2", {"mode": 0o755, "data": b"cap", "caps": CAPS}),
                                                            ("bin/cap3", {"type": tarfile.LNKTYPE, "link": "bin/cap2", "mode": 0o750, "uid": 3})])])
    overlay("load", "-i", image)
    env = {"HOLDFAST_DOCKER_HOST": overlay.host}
    state = ("--state", tmp_path / "state")
    rc, out, err = run("seal", *state, "docker:t:1", env=env)
    assert rc == 0, err
    # the same content whether it comes from the archive or from the daemon's store
    assert run("seal", "-o", tmp_path / "a.seal", image)[0] == 0
    kept = next((tmp_path / "state" / "seals").glob("*.seal"))
    rc, out, err = run("seal", "diff", kept, tmp_path / "a.seal")
    assert rc == 0, out
    box = overlay.text("run", "-d", "--network", "none", "--tmpfs", "/scratch", "-v", f"{tmp_path}:/mnt/in", "t:1", "/bin/sh", "-c", "while :; do /bin/busybox sleep 1; done")
    rc, out, err = run("seal", "verify", *state, f"container:{box}", env=env)
    assert rc == 0 and out.startswith("0 differences"), (out, err)
    # a copy-up parts hard links: /bin/sh stays as it was
    overlay("exec", box, "/bin/sh", "-c", "echo x >> /bin/tool; /bin/busybox chmod 4755 /bin/busybox; echo m > /miner; /bin/busybox touch /bin/cap")
    rc, out, err = run("seal", "verify", *state, f"container:{box}", env=env)
    assert rc == 1, err
    assert [x for x in out.splitlines() if not x[0].isdigit()] == ["modified:  /bin/busybox (mode 0755 -> 4755)", "modified:  /bin/tool (content)", "added:     /miner"]


def cosign_key(path, der, password, n=65536, r=8, p=1, kind="SIGSTORE"):
    """As go-securesystemslib's encrypted.Encrypt writes it, in cosign's PEM."""
    sodium = ctypes.CDLL("libsodium.so.23")
    salt, nonce, box = os.urandom(32), os.urandom(24), ctypes.create_string_buffer(len(der) + 16)
    key = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=1 << 30, dklen=32)
    assert sodium.sodium_init() >= 0 and sodium.crypto_secretbox_easy(box, der, ctypes.c_ulonglong(len(der)), nonce, key) == 0
    b64 = lambda b: base64.b64encode(b).decode()  # noqa: E731
    doc = {"kdf": {"name": "scrypt", "params": {"N": n, "r": r, "p": p}, "salt": b64(salt)}, "cipher": {"name": "nacl/secretbox", "nonce": b64(nonce)}, "ciphertext": b64(box.raw)}
    body = b64(json.dumps(doc).encode())
    lines = "\n".join(body[i:i + 64] for i in range(0, len(body), 64))
    path.write_text(f"-----BEGIN ENCRYPTED {kind} PRIVATE KEY-----\n{lines}\n-----END ENCRYPTED {kind} PRIVATE KEY-----\n")
    return path


@pytest.fixture
def pair(tmp_path):
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", tmp_path / "k.pem"], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "k.pem", "-pubout", "-out", tmp_path / "k.pub"], check=True)
    subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", tmp_path / "k.pem", "-outform", "DER", "-out", tmp_path / "k.der"], check=True)
    return tmp_path / "k"


def sign_and_check(run, seal, key, public, image, *args, **env):
    rc, out, err = run("seal", "--force", "-o", seal, "--sign", key, *args, image, env=env)
    if rc == 0:
        assert "PRIVATE" not in out + err
        assert run("seal", "verify", "--seal", seal, "--key", public, image)[0] == 0
    return rc, err


@pytest.mark.parametrize("kind", ["SIGSTORE", "COSIGN"])
def test_a_key_of_cosign(run, tmp_path, pair, kind):
    image, seal, public = archive(tmp_path / "i.tar", [layer(LOWER)]), tmp_path / "s.seal", pair.with_suffix(".pub")
    key = cosign_key(tmp_path / "cosign.key", pair.with_suffix(".der").read_bytes(), b"open sesame", kind=kind)
    assert sign_and_check(run, seal, key, public, image, COSIGN_PASSWORD="open sesame")[0] == 0
    (tmp_path / "password").write_text("open sesame\nand more\n")
    assert sign_and_check(run, seal, key, public, image, "--password-file", tmp_path / "password", COSIGN_PASSWORD="wrong")[0] == 0
    seal.unlink()
    rc, err = sign_and_check(run, seal, key, public, image, COSIGN_PASSWORD="open")
    assert rc == 3 and "the password does not open the key" in err and not seal.exists()
    rc, err = sign_and_check(run, seal, key, public, image, "--password-file", tmp_path / "none")
    assert rc == 3 and "password" in err


def test_keys_by_the_library_of_cosign(run, tmp_path):
    """Made by the very code that cosign encrypts its keys with (tests/corpus/cosign/make.go)."""
    image = archive(tmp_path / "i.tar", [layer(LOWER)])
    where = pathlib.Path(__file__).resolve().parents[1] / "corpus" / "cosign"
    assert sign_and_check(run, tmp_path / "s.seal", where / "cosign.key", where / "cosign.pub", image, COSIGN_PASSWORD="holdfast-test")[0] == 0
    assert sign_and_check(run, tmp_path / "e.seal", where / "empty.key", where / "empty.pub", image, COSIGN_PASSWORD="")[0] == 0


def test_keys_encrypted_by_openssl(run, tmp_path, pair):
    image = archive(tmp_path / "i.tar", [layer(LOWER)])
    for i, how in enumerate((["-scrypt"], ["-v2", "aes-256-cbc"])):
        subprocess.run(["openssl", "pkcs8", "-topk8", *how, "-in", pair.with_suffix(".pem"), "-passout", "pass:open", "-out", tmp_path / f"{i}.key"], check=True)
        assert sign_and_check(run, tmp_path / f"{i}.seal", tmp_path / f"{i}.key", pair.with_suffix(".pub"), image, COSIGN_PASSWORD="open")[0] == 0
        rc, err = sign_and_check(run, tmp_path / "n.seal", tmp_path / f"{i}.key", pair.with_suffix(".pub"), image, COSIGN_PASSWORD="shut")
        assert rc == 3 and "the password does not open the key" in err


def test_hostile_keys(run, tmp_path, pair):
    """Parameters that would take all memory, and pieces that are not what they should be: one line, nothing written."""
    image, der = archive(tmp_path / "i.tar", [layer(LOWER)]), pair.with_suffix(".der").read_bytes()
    good = cosign_key(tmp_path / "c.key", der, b"p", n=2).read_text()
    doc = json.loads(base64.b64decode("".join(good.splitlines()[1:-1])))
    def change(*path, to):
        new = json.loads(json.dumps(doc))
        at = new
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = to
        return new
    params = ("kdf", "params")
    cases = [(change(*params, "N", to=1 << 40), "parameters of scrypt"), (change(*params, "N", to=3), "parameters"), (change(*params, "N", to=-2), "parameters"), (change(*params, "r", to=0), "parameters"),
             (change(*params, "p", to=1e9), "parameters"), (change("kdf", to=None), "otherwise than by scrypt"), (change("kdf", "name", to="argon2"), "otherwise"), (change("kdf", "salt", to="***"), "salt"),
             (change("kdf", "salt", to="A" * 8000), "salt"), (change("cipher", "nonce", to="AAAA"), "nonce"), (change("ciphertext", to="AAAA"), "too short"), (change("ciphertext", to="A" * 400), "password does not"),
             ([], "nonce"), ({**doc, "kdf": {"name": "scrypt", "params": {"N": 1 << 20, "r": 32, "p": 1}, "salt": doc["kdf"]["salt"]}}, "512 MiB")]
    for new, why in cases:
        body = base64.b64encode(json.dumps(new).encode()).decode()
        (tmp_path / "bad.key").write_text(f"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{body}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
        rc, err = sign_and_check(run, tmp_path / "s.seal", tmp_path / "bad.key", pair.with_suffix(".pub"), image, COSIGN_PASSWORD="p")
        assert rc == 3 and why in err and err.count("\n") == 1, (why, rc, err)
    not_a_key = cosign_key(tmp_path / "n.key", b"no key", b"p", n=2)
    rc, err = sign_and_check(run, tmp_path / "s.seal", not_a_key, pair.with_suffix(".pub"), image, COSIGN_PASSWORD="p")
    assert rc == 3 and "not a private key" in err
    assert not (tmp_path / "s.seal").exists()


def test_the_password_is_asked_on_the_terminal(binary, run, tmp_path, pair):
    image = archive(tmp_path / "i.tar", [layer(LOWER)])
    key = cosign_key(tmp_path / "c.key", pair.with_suffix(".der").read_bytes(), b"typed")
    def talk(text):
        pid, tty = pty.fork()
        if pid == 0:
            os.environ.pop("COSIGN_PASSWORD", None)
            os.execv(binary, [str(binary), "seal", "--force", "-o", str(tmp_path / "s.seal"), "--sign", str(key), str(image)])
        seen = b""
        while b"Password of" not in seen:
            seen += os.read(tty, 1000)
        while termios.tcgetattr(tty)[3] & termios.ECHO:  # asked, but not yet silent: what is typed now is thrown away
            pass
        os.write(tty, text)
        try:
            while more := os.read(tty, 1000):
                seen += more
        except OSError:
            pass
        echo = termios.tcgetattr(tty)[3] & termios.ECHO  # as before, however it ended
        os.close(tty)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen, echo
    rc, seen, echo = talk(b"typoo\x7f\x7fed\r")
    assert echo and rc == 0 and b"typ" not in seen.split(b": ", 1)[1] and b"signed" in seen
    assert run("seal", "verify", "--seal", tmp_path / "s.seal", "--key", pair.with_suffix(".pub"), image)[0] == 0
    rc, seen, echo = talk(b"\x03")
    assert echo and rc == 3 and b"no password was given" in seen
    p = subprocess.run([binary, "seal", "-o", tmp_path / "t.seal", "--sign", key, image], capture_output=True, text=True, start_new_session=True, stdin=subprocess.DEVNULL,
                       env={k: v for k, v in os.environ.items() if k != "COSIGN_PASSWORD"})
    assert p.returncode == 2 and "--password-file" in p.stderr


def test_made_in_the_pass_of_a_scan(run, tmp_path, pair):
    """`scan --seal` gives what `seal` gives, signed if asked, and the same result as without; the cache serves both."""
    image = archive(tmp_path / "i.tar", [layer(LOWER), layer(UPPER)], zipped=True)
    key, public = pair.with_suffix(".pem"), pair.with_suffix(".pub")
    env = {"SOURCE_DATE_EPOCH": "1720000000", "HOLDFAST_SCAN_CACHE_DIR": str(tmp_path / "cache")}
    scan = ("scan", "--no-vulnerabilities", "-f", "json", "--state", tmp_path / "state")
    assert run("seal", "--no-cache", "-o", tmp_path / "want.seal", image, env=env)[0] == 0
    plain = run(*scan, "--no-cache", image, env=env)
    for i, cache in enumerate((["--no-cache"], [], [])):  # the third has all from the cache
        rc, out, err = run(*scan, *cache, f"--seal={tmp_path}/{i}.seal", image, env=env)
        assert (rc, err) == (plain[0], plain[2])
        assert (tmp_path / f"{i}.seal").read_bytes() == (tmp_path / "want.seal").read_bytes()
        a, b = json.loads(out), json.loads(plain[1])
        for doc in (a, b):
            for part in doc.get("layers", []):
                part.pop("cached", None)
        assert a == b
    assert run(*scan, "--seal", "--sign", key, image, env=env)[0] == 0
    assert run("seal", "verify", "--state", tmp_path / "state", "--key", public, image)[0] == 0
    # another content under the same name is not replaced, and the scan says so by its exit code
    rc, out, err = run(*scan, f"--seal={tmp_path}/0.seal", archive(tmp_path / "o.tar", [layer(UPPER[2:3])]), env=env)
    assert rc == 3 and "--force" in err and not out
    assert run(*scan, "--force", f"--seal={tmp_path}/0.seal", tmp_path / "o.tar", env=env)[0] == 0
    (tmp_path / "list.txt").write_text("pkg:deb/debian/bash@5\n")
    for args, why in ((["--sign", key, image], "for --seal"), (["--seal", "--no-verify", image], "--no-verify"), ([f"--seal={tmp_path}/x", "--all-platforms", image], "--all-platforms"),
                      (["--seal", f"sbom:{tmp_path}/list.txt"], "wants an image")):
        rc, out, err = run(*scan, *args, env=env)
        assert rc == 2 and why in err, (args, err)
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("a")
    rc, out, err = run(*scan, "--seal", f"dir:{root}")
    assert rc == 2 and "no place of its own" in err
    assert run(*scan, f"--seal={tmp_path}/d.seal", f"dir:{root}")[0] == 0
    assert run("seal", "verify", "--seal", tmp_path / "d.seal", f"dir:{root}")[0] == 0


def test_units_of_systemd(tmp_path, binary):
    """What is installed is taken by systemd, and its command line by the program."""
    root = pathlib.Path(__file__).resolve().parents[2]
    text = (root / "packaging/seal/holdfast-verify@.service.in").read_text().replace("@bindir@/holdfast", str(binary))
    (tmp_path / "holdfast-verify@.service").write_text(text)
    (tmp_path / "holdfast-verify@.timer").write_text((root / "packaging/seal/holdfast-verify@.timer").read_text())
    if shutil.which("systemd-analyze"):
        for unit in ("holdfast-verify@.service", "holdfast-verify@.timer"):
            p = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", tmp_path / unit], capture_output=True, text=True)
            assert p.returncode == 0 and "holdfast" not in p.stderr, p.stderr
    (tmp_path / "d").mkdir()
    subprocess.run([binary, "seal", "-o", tmp_path / "d.seal", f"dir:{tmp_path}/d"], check=True, capture_output=True)
    words = next(line for line in text.splitlines() if line.startswith("ExecStart=")).split("=", 1)[1].replace("%I", f"dir:{tmp_path}/d").split()
    p = subprocess.run(words[:-2] + ["--seal", str(tmp_path / "d.seal")] + words[-2:], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr


def test_prune(run, tmp_path):
    """Only what watch made (mode 0400) goes, the longest unused first."""
    seals = tmp_path / "state/seals"
    seals.mkdir(parents=True)
    for i, (age, mode) in enumerate(((40, 0o400), (20, 0o400), (1, 0o400), (90, 0o600))):
        f = seals / f"sha256-{i}.seal"
        f.write_bytes(b"x" * 1000)
        f.chmod(mode)
        os.utime(f, (0, time.time() - age * 86400))
    state = ("--state", tmp_path / "state")
    rc, out, err = run("seal", "prune", *state)
    assert (rc, out) == (0, "3 seals of watch left, 3000 bytes; 1 made by people are not touched\n"), err
    rc, out, err = run("seal", "prune", *state, "--max-bytes", "2K", "-n")
    assert rc == 0 and out.splitlines()[0] == "would remove sha256-0.seal: 1000 bytes, last used 40 days ago" and len(list(seals.iterdir())) == 4
    assert run("seal", "prune", *state, "--max-bytes", "2K")[0] == 0
    assert sorted(p.name for p in seals.iterdir()) == ["sha256-1.seal", "sha256-2.seal", "sha256-3.seal"]
    assert run("seal", "prune", *state, "--older-than", "10")[0] == 0
    assert sorted(p.name for p in seals.iterdir()) == ["sha256-2.seal", "sha256-3.seal"]
    assert run("seal", "prune", "--state", tmp_path / "none")[0] == 0


def test_list(run, tmp_path):
    """What is kept: by whom, of which image; one that is damaged is named and does not hide the others."""
    state = tmp_path / "state"
    rc, out, err = run("seal", "list", "--state", state)
    assert rc == 0 and len(out.splitlines()) == 1, out + err
    for i in range(3):
        image = archive(tmp_path / f"{i}.tar", [layer([("usr/bin/a", {"data": b"%d" % i})])])
        rc, out, err = run("seal", "--state", state, image)
        assert rc == 0, err
    kept = sorted(p for p in (state / "seals").iterdir() if not p.is_symlink())
    kept[0].chmod(0o400)  # as those of watch are
    rc, out, err = run("seal", "list", "--json", "--state", state)
    got = json.loads(out)
    jsonschema.validate(got, json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/schema/seals-1.json").read_text()))
    assert rc == 0 and got["unread"] == 0 and [s["file"] for s in got["seals"]] == [p.name for p in kept], err
    assert [s["by_watch"] for s in got["seals"]] == [True, False, False]
    assert all(s["file"] == s["config"].replace(":", "-") + ".seal" and s["bytes"] == (state / "seals" / s["file"]).stat().st_size and s["entries"] for s in got["seals"])
    kept[1].write_bytes(kept[1].read_bytes()[:100])
    rc, out, err = run("seal", "list", "--state", state)
    assert rc == 4 and kept[1].name in err and len(out.splitlines()) == 3 and kept[2].name[7:19] in out and "watch" in out
    # the beginning that the list shows is enough for what takes a seal
    kept[2].rename(kept[2].with_name("sha256-" + "a" * 64 + ".seal"))
    kept[2].with_name("sha256-abababab" + "0" * 56 + ".seal").symlink_to("sha256-" + "a" * 64 + ".seal")
    for beginning in ("a" * 12, "sha256:aaaaaaaa", "abababab"):
        rc, out, err = run("seal", "show", "--state", state, beginning)
        assert rc == 0 and "/usr/bin/a" in out, err
    rc, out, err = run("seal", "show", "--state", state, "a" * 7)
    assert rc == 3 and "No such file" in err
    rc, out, err = run("seal", "show", "--state", state, "b" * 12)
    assert rc == 3 and "no kept seal is of an image whose digest begins so" in err
    (state / "seals" / ("sha256-" + "a" * 12 + "b" * 52 + ".seal")).write_bytes(b"x")
    rc, out, err = run("seal", "show", "--state", state, "a" * 12)
    assert rc == 2 and "more than one" in err
