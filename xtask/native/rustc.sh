#!/bin/sh
# Runs the rustc of unpacked Debian packages, in whose folder this file lies, with their own C
# library: that of the machine may be older.
usr="$(dirname "$0")/usr"
exec "$usr/lib64/ld-linux-x86-64.so.2" \
    --library-path "$usr/lib/x86_64-linux-gnu:$usr/lib" \
    "$usr/bin/rustc" --sysroot "$usr" "$@"
