"""Write a pixi.lock: conda packages by rattler's solver, wheels by uv's."""

import asyncio
import re
import tempfile
import tomllib

import rattler
from standin import Failure, uv

PYTHON_PLATFORMS = {"linux-64": "x86_64-manylinux_2_28", "linux-aarch64": "aarch64-manylinux_2_28"}


def conda_spec(name, spec):
    spec = spec if isinstance(spec, dict) else {"version": spec}
    return " ".join([name, spec.get("version", "*"), spec.get("build", "")]).strip()


def pypi_spec(name, spec):
    version = spec.get("version", "") if isinstance(spec, dict) else spec
    return name + ("" if version == "*" else version)


def write_lock(workspace, settings):
    """For all environments and platforms, into the workspace's own file."""
    if settings.offline:
        what = "failed to solve '%s'" % workspace.name
        missing = workspace.unsatisfied()
        raise Failure(what, "there is no version of %s: network access is disabled by offline mode" % missing)
    says = workspace.table("workspace") or workspace.table("project")
    channels = [entry["channel"] if isinstance(entry, dict) else entry for entry in says["channels"]]
    names = [entry if isinstance(entry, str) else entry["name"] for entry in says["platforms"]]
    platforms = [rattler.LockPlatform(name) for name in names]
    file, wheels, index = rattler.LockFile(platforms), {}, None
    for environment in workspace.environments():
        index = workspace.merged(environment, "pypi-options").get("index-url", "https://pypi.org/simple")
        file.set_channels(environment, [rattler.LockChannel(channel.rstrip("/") + "/") for channel in channels])
        for platform in platforms:
            specs = [conda_spec(*item) for item in workspace.merged(environment, "dependencies").items()]
            records = solve(channels, specs, platform, settings)
            for record in records:
                file.add_conda_package(environment, platform, record)
            wanted = [pypi_spec(*item) for item in workspace.merged(environment, "pypi-dependencies").items()]
            for package in compile_wheels(wanted, records, index, platform, settings) if wanted else []:
                wheel = package["wheels"][0]
                file.add_pypi_package(environment, platform, package["name"], package["version"], wheel["url"])
                wheels[wheel["url"]] = wheel.get("hashes", {}).get("sha256")
    file.to_path(workspace.lock_path)
    workspace.lock_path.write_text(with_hashes(workspace.lock_path.read_text(), wheels, index))


def solve(channels, specs, platform, settings):
    async def work():
        gateway = rattler.Gateway(cache_dir=settings.repodata)
        found = rattler.VirtualPackage.detect(rattler.VirtualPackageOverrides.from_env())
        sources = [str(platform.subdir), "noarch"]
        return await rattler.solve(channels, specs, gateway=gateway, platforms=sources, virtual_packages=found)

    try:
        return asyncio.run(work())
    except Exception as error:
        raise Failure("failed to solve the conda requirements of '%s'" % platform.name, str(error))


def compile_wheels(wanted, records, index, platform, settings):
    """What uv would lock, as pylock.toml has it."""
    python = next((str(record.version) for record in records if record.name.normalized == "python"), None)
    if python is None:
        raise Failure("No Python interpreter found in the dependencies")
    arguments = ["pip", "compile", "--quiet", "--no-header", "--format", "pylock.toml", "--preview-features", "pylock"]
    arguments += ["--default-index", index, "--python-version", python, "--only-binary", ":all:"]
    arguments += ["--python-platform", PYTHON_PLATFORMS[str(platform.subdir)]]
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(wanted))
        file.flush()
        ended = uv([*arguments, file.name], settings.wheels, False)
    if ended.returncode != 0:
        raise Failure("failed to solve the pypi requirements of '%s'" % platform.name, ended.stderr.strip())
    return tomllib.loads(ended.stdout)["packages"]


def with_hashes(text, wheels, index):
    """The lock's text with what py-rattler has no argument for."""
    for url, sha256 in wheels.items():
        more = "  index: %s\n%s" % (index, "  sha256: %s\n" % sha256 if sha256 else "")
        entry = re.compile(r"^(- pypi: %s\n  name: .*\n  version: .*\n)" % re.escape(url), re.MULTILINE)
        text = entry.sub(lambda found, more=more: found.group(1) + more, text)
    return text
