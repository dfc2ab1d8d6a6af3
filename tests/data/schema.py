"""Hold files against a JSON Schema: schema.py SCHEMA [--closed] [FILE.toml …], or records as lines on standard input.

Writes one line for each file or record that the schema refuses: its name, or its number and kind, a tab, and why. With --closed a
record may have no member that the schema does not name.
"""

import json
import sys
import tomllib

import jsonschema


def close(schema):
    """No members but those that it names: what stands for a kind is closed where kind and struct meet."""
    kinds = {kind["$ref"].rsplit("/")[-1] for kind in schema["oneOf"]}
    for name, part in schema["$defs"].items():
        if name not in kinds and "properties" in part:
            part["additionalProperties"] = False
    schema["unevaluatedProperties"] = False
    return schema


def why(validator, value):
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    return error and f"{error.json_path}: {error.message}"[:400]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    if "--closed" in sys.argv:
        schema = close(schema)
    files = [word for word in sys.argv[2:] if word != "--closed"]
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema)
    for name in files:
        with open(name, "rb") as file:
            cause = why(validator, tomllib.load(file))
        if cause:
            print(f"{name}\t{cause}")
    for number, line in enumerate([] if files else sys.stdin, 1):
        record = json.loads(line)
        cause = why(validator, record)
        if cause:
            print(f"{number} {record.get('kind')}\t{cause}")


main()
