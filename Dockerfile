# Vedette: the worker, the commands, and what docker-compose.yml needs for the demonstration.
FROM python:3.11-slim AS build

WORKDIR /src
COPY constraints/py311.txt constraints/py311.txt
COPY pyproject.toml README.md LICENSE ./
COPY detectors detectors
COPY monitor monitor
COPY replay replay
COPY responders responders
RUN python -m venv /opt/vedette \
 && /opt/vedette/bin/pip install --no-cache-dir --constraint constraints/py311.txt ".[demo,fast]"

FROM python:3.11-slim

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin vedette \
 && install --directory --owner=vedette --group=vedette --mode=0750 /var/lib/vedette
COPY --from=build /opt/vedette /opt/vedette
COPY deploy/vedette.yaml /etc/vedette/vedette.yaml
COPY deploy/model_server.py /opt/vedette/model_server.py
COPY replay/data/clean.jsonl.zst /opt/vedette/clean.jsonl.zst

ENV PATH=/opt/vedette/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/var/lib/vedette/numba
USER vedette
WORKDIR /var/lib/vedette
VOLUME /var/lib/vedette
EXPOSE 6066

HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6066/healthz', timeout=2)"]

CMD ["vedette", "run", "-c", "/etc/vedette/vedette.yaml"]
