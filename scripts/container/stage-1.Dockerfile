# The system layer: what every image of infer-dev stands on. Build context: the repository's root.
#
#   docker build -f scripts/container/stage-1.Dockerfile -t infer-dev:stage-1 .
#
# Proxies for the build are Docker's own arguments (--build-arg http_proxy=...): they do not stay in the image.
ARG BASE_IMAGE=nvidia/cuda:12.8.1-cudnn-devel-ubuntu24.04
FROM ${BASE_IMAGE}

# A mirror of the distribution's packages, for this build only: the image keeps the sources that its base has.
ARG APT_MIRROR=
# User and group id of `me`, who works in the container and serves. As on the host, where the workspace is mounted from there.
ARG ME_UID=1000
ARG ME_GID=1000
# Public keys, one a line, that may log in as `me`. More can be given at run time (see start).
ARG SSH_PUBLIC_KEYS=

COPY scripts/container/build/apt scripts/container/build/system scripts/container/build/user /tmp/build/
RUN /tmp/build/system && /tmp/build/user && rm -r /tmp/build

ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["/bin/bash"]
