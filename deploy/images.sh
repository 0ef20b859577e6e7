#!/usr/bin/env bash
# The images of Steersman, with docker, podman or buildah, whichever is there (BUILDER=... chooses).
#
#   deploy/images.sh build [NAME...]          build them: router backend scaler controller cli engine classifier
#   deploy/images.sh save FOLDER [NAME...]    as archives that `docker load`, `kind load` and containerd take
#   deploy/images.sh load [NAME...]           into the kind cluster that KIND_CLUSTER names (steersman)
#   deploy/images.sh push [NAME...]           to REGISTRY
#
# REGISTRY, VERSION and REVISION name what is built; BASE=IMAGE@sha256:... pins the base of all but the GPU classifier,
# which is built by the name classifier-gpu alone. caller, by its name alone too, is what asks in the cluster tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

REGISTRY=${REGISTRY:-ghcr.io/steersman}
VERSION=${VERSION:-$(sed -n 's/^__version__ = "\(.*\)"/\1/p' services/steersman/__init__.py)}
REVISION=${REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
KIND_CLUSTER=${KIND_CLUSTER:-steersman}

builder() {
  local found
  for found in ${BUILDER:-docker podman buildah}; do
    # A docker command without its daemon builds nothing.
    if command -v "$found" >/dev/null && { [ "$found" != docker ] || docker info >/dev/null 2>&1; }; then echo "$found"; return; fi
  done
  echo "Images need docker, podman or buildah; none works here." >&2
  return 1
}

# Those whose code is there: a process that has not been written yet has no image.
all() {
  local name
  for name in router backend scaler controller cli; do
    if [ -f "services/steersman/$name/__main__.py" ]; then echo "$name"; fi
  done
  echo engine classifier
}

image() { case $1 in classifier-gpu) echo "$REGISTRY/steersman-classifier:$VERSION-gpu" ;; *) echo "$REGISTRY/steersman-$1:$VERSION" ;; esac }

dockerfile() {
  case $1 in
    engine) echo services/Dockerfile.engine ;;
    classifier) echo triton_models/Dockerfile.cpu ;;
    classifier-gpu) echo triton_models/Dockerfile ;;
    caller) echo tests/cluster/caller/Dockerfile ;;
    *) echo services/Dockerfile ;;
  esac
}

build() {
  local arguments=(--build-arg "PROCESS=$1" --build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION")
  if [ -n "${BASE:-}" ] && [ "$1" != classifier-gpu ]; then arguments+=(--build-arg "BASE=$BASE"); fi
  "$BUILDER" build "${arguments[@]}" --file "$(dockerfile "$1")" --tag "$(image "$1")" .
}

save() {
  local image; image=$(image "$2")
  mkdir -p "$1"
  rm -f "$1/$2.tar"
  case $BUILDER in
    buildah) buildah push --quiet "$image" "docker-archive:$1/$2.tar:$image" ;;
    *) "$BUILDER" save --output "$1/$2.tar" "$image" ;;
  esac
}

load() {
  local folder; folder=$(mktemp -d)
  save "$folder" "$1"
  kind load image-archive --name "$KIND_CLUSTER" "$folder/$1.tar"
  rm -r "$folder"
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in build | save | load | push) ;; *) sed -n '3,12p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;; esac
BUILDER=$(builder)
folder=()
if [ "$verb" = save ]; then folder=("${1:?save needs a folder}"); shift; fi
[ $# -gt 0 ] || set -- $(all)
for name in "$@"; do
  case $verb in
    push) "$BUILDER" push "$(image "$name")" ;;
    *) "$verb" "${folder[@]}" "$name" ;;
  esac
done
