# Builds an image that contains only the server, as a static binary.
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" --tag accountsd .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN make build VERSION="$VERSION" && mkdir -p /image/data /image/tmp

FROM scratch
# root certificates, for a database with TLS
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /image/ /
COPY --from=build /src/bin/accountsd /accountsd

# a number, because the image has no /etc/passwd
USER 65532:65532
ENV ACCOUNTS_ADDR=:8080 \
    ACCOUNTS_DATA_DIR=/data
EXPOSE 8080
VOLUME /data

# Set ACCOUNTS_PUBLIC_URL, ACCOUNTS_SECRET_KEYS and ACCOUNTS_DATABASE_URL. They have defaults only on
# loopback addresses.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/accountsd", "healthcheck"]
ENTRYPOINT ["/accountsd"]
CMD ["serve"]
