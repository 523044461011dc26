FROM python:3.14-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /build
COPY pyproject.toml setup.py README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/prio-load-balancer \
    && /opt/prio-load-balancer/bin/pip install --no-cache-dir --disable-pip-version-check '.[tee]'


FROM python:3.14-slim
# /data is the place for a store that lasts: REDIS_URI=sqlite:///nodes.db with a volume there.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin priolb \
    && install --directory --owner priolb --group priolb /data
COPY --from=build /opt/prio-load-balancer /opt/prio-load-balancer
ENV LISTEN_ADDR=:8080 \
    LOG_PROD=1 \
    PATH=/opt/prio-load-balancer/bin:$PATH
WORKDIR /data
USER priolb
EXPOSE 8080
# Reads the environment and the configuration file as the program does, but no flags.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["prio-load-balancer", "health"]
ENTRYPOINT ["prio-load-balancer"]
