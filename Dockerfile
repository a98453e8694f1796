# One image for the server and the workers; the command selects which.
# `make image` builds it. tests/deploy/test_image.py executes each RUN line in a folder.

FROM python:3.13-slim AS build
WORKDIR /build
COPY . .
RUN python -m venv tools && tools/bin/pip install --quiet --require-hashes -r requirements/build.lock
RUN tools/bin/python scripts/assets.py
RUN tools/bin/python -m build --no-isolation --outdir dist .
RUN python -m venv --without-pip app
RUN tools/bin/uv pip install --quiet --python app/bin/python --require-hashes -r requirements/runtime.lock
RUN tools/bin/uv pip install --quiet --python app/bin/python --no-deps --no-index dist/*.whl

FROM python:3.13-slim
COPY --from=build /build/app /build/app
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/proofdesk proofdesk
USER 10001
WORKDIR /var/lib/proofdesk
ENV PATH=/build/app/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PROOFDESK_HOME=/var/lib/proofdesk
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
CMD ["proofdesk", "serve"]
