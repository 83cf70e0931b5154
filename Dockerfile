FROM python:3.11-slim

RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /workbench
COPY Makefile requirements.txt requirements-bare.txt ./
RUN make setup
COPY app.py ./
COPY .streamlit .streamlit
COPY api api
COPY engine engine
COPY pages pages
COPY ui ui

# The service needs no rights beyond its own data folder.
RUN useradd --create-home --uid 10001 workbench && mkdir /data && chown workbench /data
USER workbench
ENV WORKBENCH_DATA_DIR=/data
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s \
  CMD [".venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/healthz/live', timeout=2)"]
CMD [".venv/bin/python", "-m", "engine", "serve", "--address", "0.0.0.0"]
