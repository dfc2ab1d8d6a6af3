"""What the stand-ins for pixi, pixi-pack and pixi-unpack share: failures in pixi's shape, locks, installing.

They exist because no registry carries the real programs. Conda packages are installed by py-rattler, wheels by uv:
the same libraries that pixi itself is made of. STANDIN_LOG=FILE gets one JSON line for every run.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import traceback
import urllib.parse

import rattler

UV = pathlib.Path(sys.prefix) / "bin/uv"
LOGGED = re.compile(r"(PIXI|UV|RATTLER|CONDA|STANDIN)_.*|.*_proxy|TMPDIR|HOME", re.IGNORECASE)
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class Failure(Exception):
    """A message and its causes, outermost first."""

    def __init__(self, *chain):
        super().__init__(*chain)


def miette(failure):
    """A failure in pixi's shape."""
    first, *causes = failure.args
    marks = ["├─▶"] * (len(causes) - 1) + ["╰─▶"]
    return ["Error:   × %s" % first, *("  %s %s" % line for line in zip(marks, causes))]


def anyhow(failure):
    """A failure in the shape of pixi-pack and pixi-unpack."""
    first, *causes = failure.args
    return ["Error: %s" % first, *(["", "Caused by:"] if causes else []), *("    " + cause for cause in causes)]


def main(run, shape=miette):
    """Run a program as those end: 0, or the failure on stderr and 1."""
    log = os.environ.get("STANDIN_LOG")
    if log:
        kept = {name: value for name, value in sorted(os.environ.items()) if LOGGED.fullmatch(name)}
        argv = [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps({"argv": argv, "cwd": os.getcwd(), "env": kept}) + "\n")
    try:
        code = run()
    except Failure as failure:
        for line in shape(failure):
            say(line)
        code = 1
    except SystemExit as wanted:
        code = wanted.code
    except Exception:
        traceback.print_exc()
        code = 101  # a panic
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # rattler's threads may still be at work, and Python aborts where it meets one at its end


def say(line):
    print(line, file=sys.stderr, flush=True)


class Lock:
    """A pixi.lock, read by rattler. It does not hand out a wheel's index: that is one line of the file."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        try:
            text = self.path.read_text()
        except OSError as error:
            raise Failure("failed to load lock file from `%s`" % path, error.strerror)
        try:
            self.file = rattler.LockFile.from_path(self.path)
        except Exception as error:
            raise Failure("failed to load lock file from `%s`" % path, str(error))
        self.indexes = dict(re.findall(r"^- pypi: (\S+)\n(?:  .*\n)*?  index: (\S+)$", text, re.MULTILINE))

    def packages(self, environment, platform=None):
        """Conda records and locked wheels of an environment, for the platform of this name or the host's."""
        environments = dict(self.file.environments())
        if environment not in environments:
            raise Failure("the lock file is not up-to-date with requested environment: '%s'" % environment)
        found = environments[environment]
        host = str(rattler.Subdir.current())
        for entry in found.platforms():
            if platform in (entry.name, str(entry.subdir)) or (platform is None and str(entry.subdir) == host):
                packages = found.packages(entry)
                break
        else:
            raise Failure("environment '%s' has no platform %s in the lock file" % (environment, platform or host))
        source = next((p for p in packages if isinstance(p, rattler.lock.package.CondaLockedSourcePackage)), None)
        if source:
            raise Failure("the tests' pixi builds no source packages: %s" % source.location)
        records = [p.repo_data_record() for p in packages if isinstance(p, rattler.lock.package.CondaLockedBinaryPackage)]
        wheels = [Wheel(p, self) for p in packages if isinstance(p, rattler.PypiLockedPackage)]
        return records, wheels


class Wheel:
    """A wheel as the lock has it: from an index, from a URL or from a path."""

    def __init__(self, package, lock):
        self.package = package
        self.name, self.version, self.location = package.name, package.version, package.location
        self.direct = self.location.startswith("direct+")
        self.url = self.location.removeprefix("direct+")
        self.path = None if "://" in self.url else str((lock.path.parent / self.url).resolve())
        self.file = urllib.parse.unquote(self.url.split("#")[0].rsplit("/", 1)[-1])
        self.is_wheel = self.file.endswith(".whl")
        self.index = lock.indexes.get(self.location, "https://pypi.org/simple")
        hashes = package._package.hashes  # the public property fails where there are none
        self.sha256 = hashes.sha256.hex() if hashes and hashes.sha256 else None

    def pylock(self):
        """Its lines in a pylock.toml (PEP 751), which uv installs without asking an index: as pixi does."""
        hashes = '{ sha256 = "%s" }' % self.sha256 if self.sha256 else "{}"
        place = 'path = "%s"' % self.path if self.path else 'url = "%s"' % self.url
        lines = ["[[packages]]", 'name = "%s"' % self.name, 'version = "%s"' % self.version]
        if self.direct or self.path:
            lines.append("archive = { %s, hashes = %s }" % (place, hashes))
        else:
            lines += ['index = "%s"' % self.index, "wheels = [{ %s, hashes = %s }]" % (place, hashes)]
        return "\n".join(lines)


def is_cached(record, pkgs):
    """rattler_cache 0.12's rule. Its own index of a cache leaves linked entries out, which its installer takes."""
    entry = "%s-%s-%s" % (record.name.normalized, record.version, record.build)
    sidecar = pkgs / (entry + ".lock")
    recorded = sidecar.read_bytes()[8:] if sidecar.is_file() else b""
    wanted = record.sha256
    info = pkgs / entry / "info"
    return (info / "index.json").is_file() and (wanted is None or recorded == bytes(wanted))


def install_conda(records, prefix, pkgs, offline):
    """By rattler. It knows no offline mode: what is not there is found first, and it gets a dead proxy."""
    if offline:
        for record in records:
            remote = not record.url.startswith("file:")
            if remote and not is_cached(record, pkgs):
                raise Failure(
                    "failed to fetch %s" % record.file_name,
                    "failed to interact with the package cache layer.",
                    "network access is disabled by offline mode",
                )
        for name in PROXIES:
            os.environ[name] = os.environ[name.upper()] = "http://127.0.0.1:1"
            os.environ.pop("no_proxy", None)
            os.environ.pop("NO_PROXY", None)
    try:
        asyncio.run(rattler.install(records, prefix, cache_dir=pkgs, show_progress=False, client=rattler.Client()))
    except Exception as error:
        raise Failure(*str(error).split("\nCaused by: "))


def uv(arguments, cache, offline):
    """Run uv with what pixi lets through to it, and no more."""
    passed = ("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT", "UV_HTTP_RETRIES", "UV_CONCURRENT_DOWNLOADS", "UV_LOCK_TIMEOUT")
    env = {name: value for name, value in os.environ.items() if not name.startswith("UV_") or name in passed}
    env |= {"UV_CACHE_DIR": str(cache), "UV_NO_WRAP": "1", "UV_NO_CONFIG": "1", "NO_COLOR": "1"}
    command = [UV, *arguments, *(["--offline"] if offline else [])]
    # pixi and pixi-unpack have uv inside: it has what they were handed down, a lock for one, and ends when they do.
    inside = {"close_fds": False, "preexec_fn": end_with_us, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, env=env, capture_output=True, text=True, **inside)


def end_with_us():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def install_wheels(wheels, prefix, cache, offline, environment):
    """By uv, from a pylock.toml; hashes are required where the lock has them."""
    other = next((w for w in wheels if not w.is_wheel), None)
    if other:
        raise Failure("the tests' pixi installs wheels only: %s" % other.location)
    with tempfile.TemporaryDirectory() as folder:
        pylock = pathlib.Path(folder) / "pylock.toml"
        head = 'lock-version = "1.0"\ncreated-by = "pixi"\n'
        pylock.write_text(head + "\n".join(w.pylock() for w in wheels) + "\n")
        arguments = ["pip", "install", "--python", prefix / "bin/python", "--no-deps", "--no-build"]
        # Wheels of these indexes are looked for in the cache before anybody is asked, as by pixi.
        for index in sorted({wheel.index for wheel in wheels}):
            arguments += ["--index", index]
        ended = uv([*arguments, "--preview-features", "pylock", "-r", pylock], cache, offline)
    if ended.returncode != 0:
        lines = ended.stderr.splitlines()
        chain = [re.sub("^(×|╰─▶|├─▶) ?", "", line.strip()) for line in lines if re.match("  (×|╰─▶|├─▶) ", line)]
        what = "Failed to update PyPI packages for environment '%s'" % environment
        raise Failure(what, "Failed to prepare distributions", *(chain or [ended.stderr.strip()]))


class Locked:
    """Holding a file locked, for one writer at a time."""

    def __init__(self, path):
        self.file = open(path, "a+b")

    def __enter__(self):
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return self.file

    def __exit__(self, *_):
        self.file.close()
