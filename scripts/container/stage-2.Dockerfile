# infer-dev itself on top of stage-1. Build context: the repository's root, with built tools in it.
#
#   docker build -f scripts/container/stage-2.Dockerfile -t infer-dev:stage-2 .
#
# No engine, wheel, weight or template is in it: they come in by mounts.
ARG STAGE_1=infer-dev:stage-1
FROM ${STAGE_1}

# Where the built tools lie in the context.
ARG TOOLS=target/release
# pixi, pixi-pack and pixi-unpack: those that lie in scripts/container/pixi, else, with PIXI=1, of these versions (see build/get-pixi).
ARG PIXI=
ARG PIXI_VERSION=0.77.0
ARG PIXI_SHA256=
ARG PIXI_PACK_VERSION=0.7.10
ARG PIXI_PACK_SHA256=
ARG PIXI_UNPACK_SHA256=
# Agents: Node.js packages by name and version, as npm takes them ("@anthropic-ai/claude-code@2.1.0"), and Bun, where wanted.
ARG AGENTS=
ARG BUN=
# Mirrors for this build only.
ARG APT_MIRROR=
ARG NPM_MIRROR=
# Mirrors that stay: an offline site's own channel and index, for the warming run and `pixi add` (see README.md).
ARG CONDA_MIRROR=
ARG PYPI_MIRROR=

# All tools begin with i, and nothing else there that .dockerignore lets through.
COPY ${TOOLS}/i* scripts/infer-dev /usr/local/bin/
COPY man/*.1 /usr/local/share/man/man1/
COPY man/*.5 /usr/local/share/man/man5/
COPY man/*.7 /usr/local/share/man/man7/
COPY scripts/infer-dev-entry.sh /usr/local/lib/infer-dev/
COPY scripts/helpers /usr/local/lib/infer-dev/helpers
COPY scripts/container/start scripts/container/profile.sh /usr/local/lib/infer-dev/container/
COPY scripts/model-configs /usr/local/share/doc/infer-dev/model-configs
COPY scripts/container/build/apt scripts/container/build/layout scripts/container/build/get-pixi scripts/container/build/agents /tmp/build/
# A folder of its own: pixi's name is no script's here.
COPY scripts/container/pixi/ /tmp/build/context/
RUN /tmp/build/layout && /tmp/build/get-pixi && /tmp/build/agents && rm -r /tmp/build

ENV AUTO_INFER_WORKSPACE_DIR=/hard/volume/workspace \
    AUTO_INFER_BRIDGE_LISTEN=0.0.0.0:11899 \
    INFER_DEV_IMAGE=1
EXPOSE 22 8080 8000 30000 11899
WORKDIR /soft/workspace
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/infer-dev-entry.sh"]
CMD []
