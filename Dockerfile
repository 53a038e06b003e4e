# syntax=docker/dockerfile:1
# One image a part, each with its own needs alone: `docker build --target serving -t staytrue-serving .`
# Targets: serving, gpu, torchserve, monitoring, training. docs/containers.md says which is for what.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS base
# Where pip finds PyTorch's CPU build, if its usual index offers the one for GPUs: an index address, empty for none.
ARG TORCH_INDEX=""
# Any word brings what makes tokens of texts, which models with a tokenizer file need; training always has it.
ARG TOKENIZER=""
# Any word brings what verifies signatures of versions, and signs them (docs/export.md).
ARG SIGNING=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
# Compiles native/, in this stage alone.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/staytrue
ENV PATH=/opt/staytrue/bin:$PATH
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY native ./native
COPY staytrue ./staytrue
COPY serving ./serving
COPY export ./export
COPY training ./training
COPY monitoring ./monitoring

# The lock constrains every version; an extra takes of it only what its part needs.
FROM base AS build-serving
RUN pip install --constraint requirements.lock ".[serving${TOKENIZER:+,tokenizer}${SIGNING:+,signing}]" \
    && cd / && python -c 'import staytrue.native'

FROM base AS build-gpu
# A version of its own, for onnxruntime-gpu is released apart and later. Its extras bring CUDA's libraries and cuDNN.
ARG ONNXRUNTIME_GPU="onnxruntime-gpu[cuda,cudnn]==1.31.1"
# onnxruntime and onnxruntime-gpu hold the same module: the one for GPUs must be alone.
RUN pip install --constraint requirements.lock ".[serving${TOKENIZER:+,tokenizer}${SIGNING:+,signing}]" \
    && pip uninstall --yes onnxruntime && pip install --constraint requirements.lock "${ONNXRUNTIME_GPU}" \
    && cd / && python -c 'import staytrue.native'

FROM base AS build-torchserve
RUN pip install --constraint requirements.lock ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[serving,torchserve${TOKENIZER:+,tokenizer}${SIGNING:+,signing}]" \
    && cd / && python -c 'import staytrue.native'

FROM base AS build-monitoring
RUN pip install --constraint requirements.lock ".[monitoring${SIGNING:+,signing}]"

FROM base AS build-training
RUN pip install --constraint requirements.lock ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[training,monitoring,tokenizer${SIGNING:+,signing}]"

FROM python:${PYTHON} AS runtime
ENV PATH=/opt/staytrue/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp MPLCONFIGDIR=/tmp
LABEL org.opencontainers.image.title="Staytrue" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Serve a PyTorch model and keep it true while the world drifts"
# A number, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp staytrue \
    && install -d -o 10001 -g 10001 /project /state /store
USER 10001:10001
WORKDIR /project
ENTRYPOINT ["staytrue"]
CMD ["--help"]

FROM runtime AS monitoring
COPY --from=build-monitoring /opt/staytrue /opt/staytrue
EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8090/healthz', timeout=4)"]
CMD ["monitor"]

# The sidecar too, for pods that retrain themselves.
FROM runtime AS training
COPY --from=build-training /opt/staytrue /opt/staytrue
CMD ["train"]

FROM runtime AS torchserve
USER 0:0
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=build-torchserve /opt/staytrue /opt/staytrue
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=6 CMD ["staytrue", "ping", "http://127.0.0.1:8080"]
CMD ["serve", "--runtime", "torchserve"]

# The host's container toolkit brings the driver and nothing else; CUDA's libraries and cuDNN are in the environment.
FROM runtime AS gpu
COPY --from=build-gpu /opt/staytrue /opt/staytrue
ENV STAYTRUE_SERVING_PROVIDER=cuda
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=6 CMD ["staytrue", "ping", "http://127.0.0.1:8080"]
CMD ["serve"]

# Last, so that it is what a build without --target makes.
FROM runtime AS serving
COPY --from=build-serving /opt/staytrue /opt/staytrue
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 CMD ["staytrue", "ping", "http://127.0.0.1:8080"]
CMD ["serve"]
