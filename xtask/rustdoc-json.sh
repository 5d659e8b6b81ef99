#!/bin/sh
# rustdoc with JSON output, which is unstable. `cargo xtask public-api` has cargo run it in place of rustdoc.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@" -Z unstable-options --output-format json
