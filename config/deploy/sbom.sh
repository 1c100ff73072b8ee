#!/usr/bin/env bash
# Prints the software bill of materials of programs of this workspace as CycloneDX 1.5: every crate that is linked into them,
# with its checksum and licence, and Debian's packages of the libraries that are named.
#
#   bash config/deploy/sbom.sh PACKAGE… [-- LIBRARY…]
#
# It needs nothing but Cargo, and no network. The same sources give the same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=() libraries=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do packages+=(--package "$1") && shift; done
[ $# -eq 0 ] || { shift && libraries=("$@"); }
[ ${#packages[@]} -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

crates() {
    cargo tree --quiet --locked --offline --edges normal --prefix none --format '{p}|{l}' "${packages[@]}" |
        sed 's/ (\*)$//; s/ ([^|]*)|/|/' | LC_ALL=C sort -u
}

debian() {
    local library package
    for library in "${libraries[@]}"; do
        package=$(dpkg-query --search "$(basename "$library")" 2>/dev/null | sed -n 's/^\([^:,]*\):.*\/'"$(basename "$library")"'$/\1/p' | head -n 1)
        [ -z "$package" ] || dpkg-query --show --showformat '${Package}|${Version}|${Architecture}\n' "$package"
    done | LC_ALL=C sort -u
}

printf '{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"component":{"type":"application","bom-ref":"tributary","name":"tributary","version":"%s","licenses":[{"expression":"Apache-2.0"}]}},"components":[\n' "$version"
{
    # The lock file knows the checksums of what comes from a registry.
    awk 'FNR == NR {
            if ($1 == "name") name = $3
            if ($1 == "version") version = $3
            if ($1 == "checksum") { gsub(/"/, "", name); gsub(/"/, "", version); gsub(/"/, "", $3); sum[name " v" version] = $3 }
            next
        }
        {
            split($0, part, "|"); split(part[1], crate, " v")
            printf "{\"type\":\"library\",\"bom-ref\":\"pkg:cargo/%s@%s\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:cargo/%s@%s\"", crate[1], crate[2], crate[1], crate[2], crate[1], crate[2]
            if (part[1] in sum) printf ",\"hashes\":[{\"alg\":\"SHA-256\",\"content\":\"%s\"}]", sum[part[1]]
            # Older manifests separate alternatives by a slash.
            gsub(/ *\/ */, " OR ", part[2])
            if (part[2] != "") printf ",\"licenses\":[{\"expression\":\"%s\"}]", part[2]
            print "}"
        }' Cargo.lock <(crates)
    debian | awk -F '|' '{
        printf "{\"type\":\"library\",\"bom-ref\":\"pkg:deb/debian/%s@%s?arch=%s\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:deb/debian/%s@%s?arch=%s\"}\n", $1, $2, $3, $1, $2, $1, $2, $3 }'
} | sed '$!s/$/,/'
printf ']}\n'
