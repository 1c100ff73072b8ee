#!/usr/bin/env bash
# Moves what names source lines out of programs: PROGRAM becomes small, and PROGRAM.debug holds the rest.
#
#   bash config/deploy/split-debug.sh PROGRAM…
#
# Functions keep their names. With PROGRAM.debug beside PROGRAM, or below /usr/lib/debug, gdb, perf and the program's own
# backtraces name lines as before.
set -euo pipefail

[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command -v objcopy >/dev/null ||
    { echo "split-debug.sh: objcopy is needed; install binutils. The programs stay as they are" >&2; exit 1; }

for program in "$@"; do
    [ -f "$program" ] || { echo "split-debug.sh: there is no $program: build it first" >&2; exit 1; }
    # A link leads to a program of somebody else.
    [ ! -L "$program" ] || continue
    # Of a program that is split already, nothing is left to move.
    if [[ "$(readelf --sections --wide "$program")" == *.gnu_debuglink* ]]; then
        continue
    fi
    before=$(stat -c %s "$program")
    objcopy --only-keep-debug --compress-debug-sections "$program" "$program.debug.part"
    chmod 0644 "$program.debug.part"
    mv -f "$program.debug.part" "$program.debug"
    # A rename, so that a program that runs meanwhile is not changed.
    objcopy --strip-debug --add-gnu-debuglink="$program.debug" "$program" "$program.part"
    mv -f "$program.part" "$program"
    printf '%s: %s MB, of which %s MB stay\n' "$program" $((before / 1000000)) $(($(stat -c %s "$program") / 1000000))
done
