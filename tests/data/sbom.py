"""Hold a CycloneDX document of standard input against the schema of its version, and read it as the library does.

Writes one line for each component: type, name, version, sha256, and the parts of its package URL.
"""

import json
import sys

from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = sys.stdin.read()
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
if error:
    sys.exit(f"{error}"[:2000])
bom = Bom.from_json(json.loads(text))
bom.validate()
subject = bom.metadata.component
for one in [subject, *bom.components]:
    purl = one.purl
    hashes = [found.content for found in one.hashes]
    parts = purl and [purl.type, purl.name, purl.version, dict(sorted(purl.qualifiers.items()))]
    print(json.dumps([one.type.value, one.name, one.version, hashes, parts]))
