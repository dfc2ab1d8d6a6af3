"""vLLM over several nodes: `vllm serve`, whose `--headless` is the workers of a node that is not the first. The module of the API
server alone (vllm.entrypoints.openai.api_server) knows the flag and starts a server all the same.

Takes the flags of that module, `--model` among them, which `vllm serve` wants as an operand.
"""
import sys


def operands(flags):
    """The flags with the model in front."""
    flags = list(flags)
    if "--model" not in flags:
        return flags
    at = flags.index("--model")
    model = flags[at + 1]
    return [model, *flags[:at], *flags[at + 2:]]


if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    sys.argv = ["vllm", "serve", *operands(sys.argv[1:])]
    main()
