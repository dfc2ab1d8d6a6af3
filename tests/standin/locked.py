"""What rattler reads in lock files: one JSON line for each package of each environment on each platform, with the number of
the file among the arguments; for a file that it refuses, one line with the error."""

import json
import sys

import rattler
from rattler.lock.package import CondaLockedBinaryPackage, CondaLockedPackage


def text(value):
    return None if value is None else str(value)


def conda(package):
    if not isinstance(package, CondaLockedBinaryPackage):
        return {"kind": "conda", "source": True, "name": package.name}
    record = package.package_record
    return {
        "kind": "conda",
        "source": False,
        "location": package.location,
        "name": record.name.normalized,
        "version": text(record.version),
        "build": text(record.build),
        "build_number": record.build_number,
        "subdir": text(record.subdir),
        "sha256": record.sha256.hex() if record.sha256 else None,
        "size_bytes": record.size,
        "timestamp": round(record.timestamp.timestamp() * 1000) if record.timestamp else None,
    }


def origin_of(location):
    """As rattler writes a location again, whatever way the file had it."""
    if location.startswith("git+"):
        return "git", location
    if location.startswith("direct+"):
        return "direct", location.removeprefix("direct+")
    return ("index" if "://" in location else "path"), location


def pypi(package):
    hashes = package._package.hashes  # the public property fails where there are none
    version = None if package.version == "<dynamic>" else text(package.version)
    origin, location = origin_of(package.location)
    return {
        "kind": "pypi",
        "origin": origin,
        "location": location,
        "name": package.name,
        "version": version,
        "sha256": hashes.sha256.hex() if hashes and hashes.sha256 else None,
        "md5": hashes.md5.hex() if hashes and hashes.md5 else None,
    }


def read(path):
    for name, environment in sorted(rattler.LockFile.from_path(path).environments()):
        for platform in sorted(environment.platforms(), key=lambda platform: platform.name):
            place = {"environment": name, "platform": platform.name, "platform_subdir": str(platform.subdir)}
            for package in environment.packages(platform):
                known = conda(package) if isinstance(package, CondaLockedPackage) else pypi(package)
                yield {**place, **known}


for number, path in enumerate(sys.argv[1:]):
    try:
        lines = list(read(path))
    except Exception as error:
        lines = [{"error": "%s: %s" % (type(error).__name__, error)}]
    for line in lines:
        print(json.dumps({"file": number, **line}))
