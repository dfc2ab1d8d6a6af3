"""Write a model that both Python engines serve: model.py FOLDER

A Llama of 2 layers with random weights (always the same), a tokenizer of bytes and a chat template; 2 MB. Its heads are 64 wide,
because the engines' attention on a CPU takes nothing narrower. Nothing but Python's own library is needed.
"""

import array
import json
import os
import random
import struct
import sys

HIDDEN, LAYERS, HEADS, HEAD, INNER, WORDS = 128, 2, 2, 64, 256, 512
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def alphabet():
    """Each byte as the character by which byte-level tokenizers write it."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def tokenizer():
    words = [*alphabet(), *("<%d>" % n for n in range(256, WORDS - 1)), "<end>"]
    level = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": WORDS - 1, "content": "<end>", "special": True, "single_word": False}
            | {"lstrip": False, "rstrip": False, "normalized": False}
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel"} | level,
        "post_processor": None,
        "decoder": {"type": "ByteLevel"} | level,
        "model": {"type": "BPE", "vocab": {word: n for n, word in enumerate(words)}, "merges": [], "dropout": None}
        | {"unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False},
    }


def shapes():
    yield "model.embed_tokens.weight", (WORDS, HIDDEN)
    for layer in range(LAYERS):
        at = "model.layers.%d." % layer
        for name in "q_proj", "k_proj", "v_proj":
            yield at + "self_attn.%s.weight" % name, (HEADS * HEAD, HIDDEN)
        yield at + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD)
        for name in "gate_proj", "up_proj":
            yield at + "mlp.%s.weight" % name, (INNER, HIDDEN)
        yield at + "mlp.down_proj.weight", (HIDDEN, INNER)
        for name in "input_layernorm", "post_attention_layernorm":
            yield at + name + ".weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (WORDS, HIDDEN)


def weights():
    chance = random.Random(1)
    head, parts, end = {}, [], 0
    for name, shape in shapes():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        values = array.array("f", (1.0,)) * count
        if len(shape) == 2:
            values = array.array("f", (chance.gauss(0, 0.05) for _ in range(count)))
        parts.append(values.tobytes())
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + 4 * count]}
        end += 4 * count
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HEAD,
        "vocab_size": WORDS,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": WORDS - 1,
        "torch_dtype": "float32",
    }
    files = {
        "config.json": config,
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>"}
        | {"chat_template": TEMPLATE, "model_max_length": 4096},
        "generation_config.json": {"eos_token_id": WORDS - 1},
    }
    for name, value in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(weights())


main(sys.argv[1])
