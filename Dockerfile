# The app with everything it needs except the weights of models from the Hub; docs/deploy.md says how to run it.
FROM python:3.12.13-slim-bookworm@sha256:4766d8b510c428e595d74b9cc5bbb2fae8e26316fffb4adc89908d79aacd58a2

# tini is process 1: it passes signals on and collects processes that ended. The volumes belong to the app's user.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini=0.19.0-1+b3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home app \
    && install -d -o 1000 -g 1000 /data /data/cache /data/cache/hub

WORKDIR /app

# By far the largest layer, made again only when the pins change. torch brings CUDA; the driver is the host's.
ENV PIP_CONSTRAINT=/app/constraints.txt \
    PIP_BUILD_CONSTRAINT=/app/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
COPY requirements.txt constraints.txt ./
RUN pip install --use-pep517 -r requirements.txt

COPY pyproject.toml README.md LICENSE app.py ./
COPY assets assets
COPY models models
COPY vlm_app vlm_app
RUN pip install --no-deps --no-build-isolation -e . \
    && python -m compileall -q vlm_app

# Nothing is written outside the two volumes and /tmp. Keys and tokens come with `docker run -e`, never from here.
ENV VLM_APP_PLACE=container \
    VLM_APP_HOST=0.0.0.0 \
    VLM_APP_PORT=7860 \
    VLM_APP_DATA=/data \
    XDG_CACHE_HOME=/tmp/cache \
    XDG_CONFIG_HOME=/tmp/config \
    TRITON_HOME=/tmp \
    PYTHONUNBUFFERED=1
VOLUME ["/data", "/data/cache/hub"]
EXPOSE 7860
USER 1000

HEALTHCHECK --interval=30s --timeout=5s --start-period=2m --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ['VLM_APP_PORT']), timeout=4); server.request('GET', '/health'); sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--"]
CMD ["vlm-app", "serve"]
