//! The packages and features that tasks have cargo build.
//!
//! Cargo unifies the features of a dependency over the packages of one build only. Where two builds
//! end up with different features of one small crate, cargo compiles that crate and everything
//! above it twice: wasmtime and Cranelift, for minutes. The feature `workspace-features` selects
//! the same features as a build of the whole workspace, so that every build of a task shares those
//! crates.

/// The selection of the tests, lints and documentation: all packages with all features.
pub(crate) const WORKSPACE: [&str; 2] = ["--workspace", "--all-features"];

/// The program that builds the guest image. It selects the feature in its manifest.
pub(crate) const GUEST_BUILD: [&str; 2] = ["--package", "eryx-guest-build"];

/// The demo.
pub(crate) const DEMO: [&str; 4] = ["--package", "eryx-demo", "--features", WORKSPACE_FEATURES];

/// The feature of [the module documentation](self), as packages that depend on `eryx` select it.
pub(crate) const WORKSPACE_FEATURES: &str = "eryx/workspace-features";

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{DEMO, GUEST_BUILD, WORKSPACE, WORKSPACE_FEATURES};
    use crate::command::{self, cargo};

    /// Returns the features of every crate from the registry that a build uses.
    fn features(selection: &[&str], edges: &str) -> BTreeMap<String, BTreeSet<String>> {
        let format = ["--prefix", "none", "--format", "{p}|{f}|"];
        let tree = command::output(
            cargo(&["tree", "--locked", "--edges", edges])
                .args(format)
                .args(selection),
        );
        let mut crates = BTreeMap::<_, BTreeSet<_>>::new();
        for line in tree.expect("cargo lists the dependencies").lines() {
            // A third field marks packages that are listed above.
            if let [package, features, ..] = line.split('|').collect::<Vec<_>>()[..]
                && !package.contains("(/")
            {
                let features = features.split(',').map(str::to_owned);
                let package = crates.entry(package.to_owned()).or_default();
                package.extend(features.filter(|feature| !feature.is_empty()));
            }
        }
        crates
    }

    #[test]
    fn every_build_selects_the_same_features_of_shared_crates() {
        let workspace = features(&WORKSPACE, "normal,build,dev");
        let wheel = ["--package", "eryx-python", "--features", WORKSPACE_FEATURES];
        for selection in [&GUEST_BUILD[..], &DEMO, &wheel] {
            for (package, features) in features(selection, "normal,build") {
                assert_eq!(
                    features, workspace[&package],
                    "{selection:?} compiles {package} again: add its missing features to \
                     `workspace-features` in eryx-core/Cargo.toml"
                );
            }
        }
    }

    /// Pitfall: parking_lot can hang in forked processes (see eryx-sync).
    #[test]
    fn tokio_is_built_without_parking_lot() {
        let mut features = features(&WORKSPACE, "normal,build,dev").into_iter();
        let (_, tokio) = features
            .find(|(package, _)| package.starts_with("tokio v"))
            .expect("the workspace uses tokio");
        assert!(!tokio.contains("parking_lot"), "{tokio:?}");
    }
}
