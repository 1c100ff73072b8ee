#!/usr/bin/env bash
# Writes a Debian package: the programs, the systemd unit and what runs in it, completions and manual pages.
#
#   bash config/deploy/debian.sh [--out DIRECTORY] [BUILD]
#
#   --out DIRECTORY   where the package is written               [default: target/debian]
#   BUILD             the directory with tributary and loadtest  [default: target/release]
#
# Installing it starts nothing, because a worker needs a configuration; removing it keeps configuration, secrets and ledger. The
# same programs give the same bytes.
set -euo pipefail
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$repository/Cargo.toml")

fail() {
    printf 'debian.sh: %s\n' "$@" >&2
    exit 1
}

out="$repository/target/debian" build="$repository/target/release"
while [ $# -gt 0 ]; do
    case "$1" in
    --out) out="${2:?}" && shift 2 ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit ;;
    -*) fail "unknown option $1: see --help" ;;
    *) build="$1" && shift ;;
    esac
done
command -v dpkg-deb >/dev/null || fail "dpkg-deb is needed, which Debian and its relatives have"
for program in tributary loadtest; do
    [ -f "$build/$program" ] || fail "there is no $build/$program: run \`make build\` first"
done

mkdir -p "$out"
work="$(mktemp -d "$out/debian.XXXXXX")"
trap 'rm -rf "$work"' EXIT
root="$work/root"
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}"
umask 022
put() { install -D -m "$1" "$2" "$root/$3"; }

for program in tributary loadtest; do
    put 0755 "$build/$program" "usr/bin/$program"
    mkdir -p "$root"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
    "$build/$program" completions bash >"$root/usr/share/bash-completion/completions/$program"
    "$build/$program" completions zsh >"$root/usr/share/zsh/vendor-completions/_$program"
    "$build/$program" completions fish >"$root/usr/share/fish/vendor_completions.d/$program.fish"
    "$build/$program" man --out "$root/usr/share/man/man1" >/dev/null
done
gzip --no-name -9 "$root"/usr/share/man/man1/*.1
put 0644 "$repository/config/deploy/systemd/tributary.service" usr/lib/systemd/system/tributary.service
put 0755 "$repository/config/deploy/systemd/tributary-ledger" usr/sbin/tributary-ledger
put 0644 "$repository/config/tributary.example.toml" usr/share/doc/tributary/examples/tributary.example.toml
put 0644 "$repository/CHANGELOG.md" usr/share/doc/tributary/changelog
gzip --no-name -9 "$root/usr/share/doc/tributary/changelog"
put 0644 "$repository/LICENSE" usr/share/doc/tributary/copyright
bash "$repository/config/deploy/sbom.sh" tributary tributary-loadtest >"$root/usr/share/doc/tributary/sbom.cdx.json"
mkdir -p "$root/etc/tributary"
install -d -m 0700 "$root/etc/tributary/secrets"

# The newest symbols of the C library that the programs ask for say which one they need.
glibc=$(cat "$build/tributary" "$build/loadtest" | grep -a -o 'GLIBC_2\.[0-9]*' | sort -u -t . -k 2n | tail -n 1)
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: tributary
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: Tributary <tributary@localhost>
Installed-Size: $(du --summarize --apparent-size --block-size=1024 "$root/usr" | cut -f 1)
Depends: libc6 (>= ${glibc#GLIBC_}), libgcc-s1, ca-certificates
Recommends: systemd (>= 250)
Suggests: nats-server
Section: net
Priority: optional
Description: live measurement of online marketing and stores
 Sensor pings, web events and till transactions stream in over NATS. A dataflow
 maintains identity, attribution, store visits and counters, and releases
 aggregates only. Exercising a right is a retraction: every number corrects
 itself within seconds.
END
cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # After an upgrade, a worker that runs goes on with the new program. The package is installed whether that starts or not.
    if [ -n "$2" ] && ! systemctl try-restart tributary.service; then
        echo "tributary.service did not start with the new version; \`journalctl --unit tributary\` says why." >&2
        echo "Once that is mended: systemctl start tributary" >&2
    fi
fi
if [ "$1" = configure ] && [ ! -e /etc/tributary/tributary.toml ]; then
    echo "Write /etc/tributary/tributary.toml, then: systemctl enable --now tributary"
fi
END
cat >"$root/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now tributary.service
fi
END
cat >"$root/DEBIAN/postrm" <<'END'
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ "$1" = purge ] && [ -d /var/lib/private/tributary ]; then
    echo "The ledger stays in /var/lib/private/tributary: delete it yourself, once nobody needs its records"
fi
END
chmod 0755 "$root"/DEBIAN/{postinst,prerm,postrm}
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)

package="tributary_${version}_$(dpkg --print-architecture).deb"
dpkg-deb --root-owner-group --build "$root" "$work/$package" >/dev/null
mv -f "$work/$package" "$out/$package"
printf '%s: %s MB\n' "$out/$package" $(($(stat -c %s "$out/$package") / 1000000))
