# shellcheck shell=sh
# go-flags.sh — the flags of every build and test. make and the scripts source it, so that they share
# one build cache. Source it in a terminal before you call go yourself:
#
#   . scripts/go-flags.sh
#
# go works without it, but compiles most packages a second time. These are the flags:
#
#   CGO_ENABLED=0     a static binary without a C compiler; only the race detector needs cgo
#   -trimpath         no local paths in the binary, so that builds in different folders have the same
#                     bytes and share the cache
#   -tags=nomsgpack   without Gin's MessagePack codec, which no operation uses and which takes a
#                     fifth of the first build
#
# They are added to the caller's GOFLAGS, which can also be set by go env -w.

export CGO_ENABLED=0
GOFLAGS=$(go env GOFLAGS 2>/dev/null || echo "${GOFLAGS:-}")
case $GOFLAGS in
  *'-trimpath -tags=nomsgpack') ;;
  *) GOFLAGS="${GOFLAGS:+$GOFLAGS }-trimpath -tags=nomsgpack" ;;
esac
export GOFLAGS
