# One image for every process of Waypost: `waypost api`, `waypost worker`, `waypost relay`, `waypost migrate`.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/waypost
WORKDIR /source
COPY requirements.lock ./
# The first part of the lock is production; the local stack and the test tools stay out.
RUN sed '/^# --- local stack/,$d' requirements.lock > production.lock \
    && /opt/waypost/bin/pip install --require-hashes --only-binary :all: -r production.lock
COPY . .
RUN /opt/waypost/bin/pip install --no-deps . \
    && /opt/waypost/bin/python -m compileall -q /opt/waypost/lib

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home waypost
COPY --from=build /opt/waypost /opt/waypost
ENV PATH=/opt/waypost/bin:$PATH PYTHONUNBUFFERED=1 API_HOST=0.0.0.0
USER waypost
WORKDIR /home/waypost
EXPOSE 8000
ENTRYPOINT ["waypost"]
CMD ["--help"]
