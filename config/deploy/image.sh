#!/usr/bin/env bash
# Writes an OCI image of programs, without a daemon and without root.
#
#   bash config/deploy/image.sh [--name NAME] [--out FILE] [PROGRAM…]
#
#   --name NAME   name and tag in the archive                 [default: tributary:VERSION]
#   --out FILE    the archive; FILE.cdx.json is its bill of materials  [default: target/image/tributary.tar]
#   PROGRAM       the programs; the first is the entrypoint   [default: target/release/tributary]
#
# The archive is an OCI layout that `docker load`, `podman load`, `skopeo copy oci-archive:FILE …` and `crane push` read. The
# image holds the programs, the libraries of this machine that they are linked to, authorities for TLS, and nothing else: no
# shell and no package manager. It runs as user 65532, and writes to /var/lib/tributary only. The same programs give the same
# bytes.
set -euo pipefail
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$repository/Cargo.toml")

fail() {
    printf 'image.sh: %s\n' "$@" >&2
    exit 1
}

name="tributary:$version" out="$repository/target/image/tributary.tar" programs=()
while [ $# -gt 0 ]; do
    case "$1" in
    --name) name="${2:?}" && shift 2 ;;
    --out) out="${2:?}" && shift 2 ;;
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit ;;
    -*) fail "unknown option $1: see --help" ;;
    *) programs+=("$1") && shift ;;
    esac
done
[ ${#programs[@]} -gt 0 ] || programs=("$repository/target/release/tributary")
[[ "$name" =~ ^[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || fail "--name $name is not NAME:TAG"
for program in "${programs[@]}"; do
    [ -f "$program" ] || fail "there is no $program: run \`make build\` first"
done
case "$(uname -m)" in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) fail "$(uname -m) is not known to OCI by this script" ;;
esac

mkdir -p "$(dirname "$out")"
work="$(mktemp -d "$(dirname "$out")/image.XXXXXX")"
trap 'rm -rf "$work"' EXIT
root="$work/root"
umask 022

# The programs with what the loader would find for them on this machine, at the same places.
mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/usr/share/doc/tributary" "$root/tmp" "$root/proc" "$root/dev" "$root/sys"
for program in "${programs[@]}"; do
    install -m 0755 "$program" "$root/usr/bin/$(basename "$program")"
done
libraries=()
if ldd "${programs[0]}" >/dev/null 2>&1; then
    missing=$(ldd "${programs[@]}" | grep 'not found' || true)
    [ -z "$missing" ] || fail "a library is missing on this machine: $missing"
    mapfile -t libraries < <(ldd "${programs[@]}" | sed -n 's/^[[:space:]]*\(.* => \)\{0,1\}\(\/[^ ]*\) (.*/\2/p' | sort -u)
    for library in "${libraries[@]}"; do
        install -D -m 0755 "$(readlink -f "$library")" "$root$library"
    done
fi
for authorities in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    if [ -f "$authorities" ]; then
        install -m 0644 "$authorities" "$root/etc/ssl/certs/ca-certificates.crt"
        break
    fi
done
[ -f "$root/etc/ssl/certs/ca-certificates.crt" ] ||
    echo "image.sh: this machine has no authorities for TLS: set nats.tls_ca_file, or install ca-certificates" >&2
printf 'root:x:0:0:root:/:/sbin/nologin\ntributary:x:65532:65532:tributary:/var/lib/tributary:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\ntributary:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -m 0644 "$repository/LICENSE" "$root/usr/share/doc/tributary/LICENSE"
packages=()
for program in "${programs[@]}"; do
    case "$(basename "$program")" in
    tributary) packages+=(tributary) ;;
    loadtest) packages+=(tributary-loadtest) ;;
    *) fail "$program is no program of this repository" ;;
    esac
done
bash "$repository/config/deploy/sbom.sh" "${packages[@]}" -- "${libraries[@]}" >"$root/usr/share/doc/tributary/sbom.cdx.json"
chmod 1777 "$root/tmp"

# One layer, without times, names and order of this machine.
state="$work/state"
mkdir -p "$state/var/lib/tributary"
chmod 0700 "$state/var/lib/tributary"
plain=(--format=ustar --sort=name --mtime=@0 --numeric-owner)
tar "${plain[@]}" --owner=0 --group=0 -C "$root" -cf "$work/layer.tar" .
tar "${plain[@]}" --owner=0 --group=0 --no-recursion -C "$state" -rf "$work/layer.tar" ./var ./var/lib
tar "${plain[@]}" --owner=65532 --group=65532 -C "$state" -rf "$work/layer.tar" ./var/lib/tributary

digest() { sha256sum "$1" | cut -d ' ' -f 1; }
size() { stat -c %s "$1"; }
layout="$work/layout"
blobs="$layout/blobs/sha256"
mkdir -p "$blobs"
# Moves a file among the blobs, under its digest, which it prints.
store() {
    local sum
    sum=$(digest "$1")
    mv "$1" "$blobs/$sum"
    printf '%s' "$sum"
}

layer_plain=$(digest "$work/layer.tar")
gzip --no-name -6 "$work/layer.tar"
layer=$(store "$work/layer.tar.gz")
commit="${TRIBUTARY_COMMIT:-$(git -C "$repository" rev-parse HEAD 2>/dev/null || echo unknown)}"
created=$(date --utc --date="@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%dT%H:%M:%SZ)
entrypoint="/usr/bin/$(basename "${programs[0]}")"
labels='"org.opencontainers.image.title":"Tributary","org.opencontainers.image.version":"'$version'","org.opencontainers.image.revision":"'$commit'","org.opencontainers.image.licenses":"Apache-2.0"'
printf '{"created":"%s","architecture":"%s","os":"linux","config":{"User":"65532:65532","Env":["PATH=/usr/bin","SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt","MIMALLOC_PURGE_DELAY=1000"],"Entrypoint":["%s"],"Cmd":["--help"],"WorkingDir":"/var/lib/tributary","ExposedPorts":{"9464/tcp":{},"9465/tcp":{}},"Volumes":{"/var/lib/tributary":{}},"StopSignal":"SIGTERM","Labels":{%s}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"config/deploy/image.sh"}]}' \
    "$created" "$architecture" "$entrypoint" "$labels" "$layer_plain" "$created" >"$work/config.json"
config_size=$(size "$work/config.json")
config=$(store "$work/config.json")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}],"annotations":{%s}}' \
    "$config" "$config_size" "$layer" "$(size "$blobs/$layer")" "$labels" >"$work/manifest.json"
manifest_size=$(size "$work/manifest.json")
manifest=$(store "$work/manifest.json")
printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"platform":{"architecture":"%s","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"%s","io.containerd.image.name":"docker.io/library/%s"}}]}' \
    "$manifest" "$manifest_size" "$architecture" "${name##*:}" "$name" >"$layout/index.json"
# What `docker load` of before OCI layouts reads.
printf '[{"Config":"blobs/sha256/%s","RepoTags":["%s"],"Layers":["blobs/sha256/%s"]}]' "$config" "$name" "$layer" >"$layout/manifest.json"

tar "${plain[@]}" --owner=0 --group=0 -C "$layout" -cf "$work/image.tar" blobs index.json manifest.json oci-layout
cp "$root/usr/share/doc/tributary/sbom.cdx.json" "$out.cdx.json"
mv -f "$work/image.tar" "$out"
printf '%s: %s, %s MB, sha256:%s\n' "$out" "$name" "$(($(size "$out") / 1000000))" "$manifest"
