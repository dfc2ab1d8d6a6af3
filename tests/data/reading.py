#!/usr/bin/env python3
"""Load model files with PyPI's safetensors and gguf, or write some: one line of standard input is one JSON list of words.

["safetensors", PATH] and ["gguf", PATH] answer "loads", or "refused: WHY"; ["write", PATH], whose end tells the format, answers
"written".
"""
import json
import sys

import gguf
import numpy
import safetensors
import safetensors.numpy


def load_safetensors(path):
    with safetensors.safe_open(path, "numpy") as file:
        names = set(file.keys())
    with open(path, "rb") as file:
        tensors = safetensors.deserialize(file.read())
    assert {name for name, _ in tensors} == names


def load_gguf(path):
    for tensor in gguf.GGUFReader(path).tensors:
        tensor.data.tobytes()


def write(path):
    tensors = {"a": numpy.ones((2, 3), numpy.float16), "b": numpy.zeros((0, 4), numpy.int64), "c": numpy.array(1.5)}
    if path.endswith(".safetensors"):
        safetensors.numpy.save_file(tensors, path, {"format": "np"})
        return
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_token_list(["a", "b"])
    writer.add_tensor("token_embd.weight", numpy.ones((2, 32), numpy.float32))
    blocks = gguf.quants.quantize(numpy.ones((2, 32), numpy.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def done(what, path):
    if what == "write":
        write(path)
        return "written"
    {"safetensors": load_safetensors, "gguf": load_gguf}[what](path)
    return "loads"


for line in sys.stdin:
    try:
        print(done(*json.loads(line)), flush=True)
    except BaseException as error:  # a panic of Rust is one too
        print(f"refused: {type(error).__name__}: {error}".replace("\n", " "), flush=True)
