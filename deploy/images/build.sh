#!/bin/sh
# Builds both images with docker, podman or buildah, whichever is there first.
#   build.sh [VERSION]
# Environment: ENGINE, REGISTRY, PYTHON_IMAGE, JAVA_IMAGE, and RECOMMENDER_MAVEN_REPOSITORY.
set -eu
cd "$(dirname "$0")/../.."

version=${1:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}
engine=${ENGINE:-}
if [ -z "$engine" ]; then
    for candidate in docker podman buildah; do
        # A client without its daemon cannot build.
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" info >/dev/null 2>&1; then
            engine=$candidate
            break
        fi
    done
fi
if [ -z "$engine" ]; then
    echo "no container engine: install docker, podman or buildah (or start docker's daemon)" >&2
    exit 1
fi

for target in web modeler; do
    tag="${REGISTRY:+$REGISTRY/}recommender-$target:$version"
    set -- --file deploy/images/Dockerfile --target "$target" --tag "$tag" \
        --build-arg "VERSION=$version" \
        --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || true)" \
        --build-arg "CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    for name in PYTHON_IMAGE JAVA_IMAGE RECOMMENDER_MAVEN_REPOSITORY; do
        value=$(printenv "$name" || true)
        if [ -n "$value" ]; then
            set -- "$@" --build-arg "$name=$value"
        fi
    done
    # Podman and buildah keep HEALTHCHECK only in docker's format.
    if [ "$engine" != docker ]; then
        set -- --format docker "$@"
    fi
    # shellcheck disable=SC2086  # BUILD_OPTIONS are several words
    "$engine" build ${BUILD_OPTIONS:-} "$@" .
    echo "$tag"
done
