#!/usr/bin/env python3
"""Sign and verify models with PyPI's model-signing: one line of standard input is one JSON list of words.

["sign", PRIVATE_KEY, MODEL, SIGNATURE] answers "signed"; ["verify", PUBLIC_KEY, MODEL, SIGNATURE] answers "verified", or
"refused: WHY".
"""
import json
import sys

from model_signing import hashing, signing, verifying


def done(what, key, model, signature):
    ignored = hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=True)
    if what == "sign":
        config = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(ignored)
        config.sign(model, signature)
        return "signed"
    config = verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(ignored)
    config.verify(model, signature)
    return "verified"


for line in sys.stdin:
    try:
        print(done(*json.loads(line)), flush=True)
    except Exception as error:  # whatever it raises, it is no verdict in favour
        print(f"refused: {type(error).__name__}: {error}".replace("\n", " "), flush=True)
