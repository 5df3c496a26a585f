# docker build -t twinlens . && docker run -p 127.0.0.1:5001:5001 -v twinlens:/data -e LANGFUSE_INIT_USER_EMAIL=… twinlens
# See compose.yaml for a complete example. A container listens on all addresses, so it needs a user or key (secured mode).

FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps -w /wheels .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 twinlens && mkdir /data && chown twinlens /data
COPY --from=build /wheels /wheels
RUN wheel=$(ls /wheels/*.whl) && pip install --no-cache-dir "$wheel[server,grpc,tokens,postgres]" && rm -r /wheels
USER twinlens
ENV TWINLENS_DATA=/data TWINLENS_HOST=0.0.0.0 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 5001
HEALTHCHECK --interval=10s --start-period=5s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5001/health', timeout=3)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["twinlens"]
CMD ["serve"]
