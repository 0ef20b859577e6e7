#!/usr/bin/env bash
# The images of Steersman, with docker, podman or buildah, whichever is there (BUILDER=... chooses).
#
#   deploy/images.sh build [NAME...]          build them: router backend scaler controller cli engine classifier
#   deploy/images.sh save FOLDER [NAME...]    as archives that `docker load`, `kind load` and containerd take
#   deploy/images.sh load [NAME...]           into the kind cluster that KIND_CLUSTER names (steersman)
#   deploy/images.sh push [NAME...]           to REGISTRY; prints IMAGE@DIGEST of each
#   deploy/images.sh names [NAME...]          prints what they are called
#
# REGISTRY, VERSION and REVISION name what is built; BASE=IMAGE@sha256:... pins the base of all but the GPU classifier,
# which is built by the name classifier-gpu alone, on GPU_BASE. caller and envoy, by their names alone too, are for the cluster
# tests: what asks, and what stands in for the official image of Envoy. SOURCE_DATE_EPOCH, by default the time of the commit, is the time of every file: podman and buildah make the same
# image of one checkout and one base each time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

REGISTRY=${REGISTRY:-ghcr.io/steersman}
VERSION=${VERSION:-$(sed -n 's/^__version__ = "\(.*\)"/\1/p' services/steersman/__init__.py)}
REVISION=${REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
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
    caller | envoy) echo "tests/cluster/$1/Dockerfile" ;;
    *) echo services/Dockerfile ;;
  esac
}

build() {
  local arguments=(--build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION" --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH")
  local base=${BASE:-}
  case $1 in
    classifier-gpu) base=${GPU_BASE:-} ;;
    router | backend | scaler | controller | cli) arguments+=(--build-arg "PROCESS=$1") ;;
  esac
  if [ -n "$base" ]; then arguments+=(--build-arg "BASE=$base"); fi
  if [ "$BUILDER" != docker ]; then arguments+=(--timestamp "$SOURCE_DATE_EPOCH"); fi
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

# Prints nothing but the image's name and digest, by which it is signed.
push() {
  local image digest; image=$(image "$1")
  case $BUILDER in
    docker)
      docker push --quiet "$image" >&2
      docker inspect --format '{{index .RepoDigests 0}}' "$image"
      ;;
    *)
      digest=$(mktemp)
      "$BUILDER" push --digestfile "$digest" "$image" >&2
      echo "${image%:*}@$(cat "$digest")"
      rm "$digest"
      ;;
  esac
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in build | save | load | push | names) ;; *) sed -n '3,13p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;; esac
[ "$verb" = names ] || BUILDER=$(builder)
folder=()
if [ "$verb" = save ]; then folder=("${1:?save needs a folder}"); shift; fi
[ $# -gt 0 ] || set -- $(all)
for name in "$@"; do
  case $verb in
    names) image "$name" ;;
    *) "$verb" "${folder[@]}" "$name" ;;
  esac
done
