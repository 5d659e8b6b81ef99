//! Wheels: the names of their files, and the metadata of their project.

/// The platform tag of wheels whose native code is compiled for sandboxes.
pub(super) const SANDBOX_PLATFORM: &str = "wasm32_wasi";

/// The parts of the file name of a wheel (Binary distribution format, "File name convention").
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WheelName<'a> {
    /// The normalized name.
    pub(super) project: String,
    pub(super) version: &'a str,
    platform: &'a str,
}

impl<'a> WheelName<'a> {
    /// Parses the name of a file. Returns `None` for one that is not a wheel.
    pub(super) fn parse(file: &'a str) -> Option<Self> {
        let mut parts = file.strip_suffix(".whl")?.split('-');
        let (project, version) = (parts.next()?, parts.next()?);
        // A build number may come before the tags.
        let tags: Vec<_> = parts.collect();
        let platform = match tags[..] {
            [_, _, platform] | [_, _, _, platform] => platform,
            _ => return None,
        };
        Some(Self {
            project: normalized(project),
            version,
            platform,
        })
    }

    /// Returns whether its native code is compiled for sandboxes.
    pub(super) fn is_for_sandboxes(&self) -> bool {
        self.platforms()
            .any(|platform| platform == SANDBOX_PLATFORM)
    }

    /// Returns whether it has native code of other platforms alone.
    pub(super) fn is_for_other_platforms(&self) -> bool {
        !self.is_for_sandboxes() && self.platforms().all(|platform| platform != "any")
    }

    /// Returns the platforms, of which a wheel may have several.
    fn platforms(&self) -> impl Iterator<Item = &'a str> {
        self.platform.split('.')
    }
}

/// Returns whether a file of this name has the metadata of a project.
pub(super) fn is_metadata(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(directory, file)| directory.ends_with(".dist-info") && file == "METADATA")
}

/// Returns the name under which a file of a wheel is installed: the directories `*.data/purelib`
/// and `*.data/platlib` lie at the top (Binary distribution format, "The .data directory").
pub(super) fn installed_name(name: &str) -> String {
    let mut parts = name.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(data), Some("purelib" | "platlib"), Some(rest)) if data.ends_with(".data") => {
            rest.to_owned()
        }
        _ => name.to_owned(),
    }
}

/// The name and the requirements of a project (Core metadata specifications).
pub(super) struct Project {
    /// The normalized name.
    pub(super) name: String,
    pub(super) requires: Vec<Requirement>,
}

/// A project that another one requires.
pub(super) struct Requirement {
    /// The normalized name of the required project.
    pub(super) name: String,
    /// Whether the requirement depends on the environment.
    pub(super) conditional: bool,
}

impl Project {
    /// Parses a metadata file.
    pub(super) fn parse(text: &str) -> Self {
        let headers = text.lines().take_while(|line| !line.is_empty());
        let mut project = Self {
            name: String::new(),
            requires: Vec::new(),
        };
        for (field, value) in headers.filter_map(|line| line.split_once(": ")) {
            if field.eq_ignore_ascii_case("Name") {
                project.name = normalized(value.trim());
            } else if field.eq_ignore_ascii_case("Requires-Dist") {
                project.requires.extend(Requirement::parse(value));
            }
        }
        project
    }
}

impl Requirement {
    /// Parses a requirement ("Dependency specifiers"). Returns `None` for the requirement of an
    /// extra.
    fn parse(text: &str) -> Option<Self> {
        let (requirement, condition) = text.split_once(';').unwrap_or((text, ""));
        let condition = condition.trim();
        if condition.contains("extra") {
            return None;
        }
        let requirement = requirement.trim();
        let end = requirement
            .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
            .unwrap_or(requirement.len());
        Some(Self {
            name: normalized(&requirement[..end]),
            conditional: !condition.is_empty(),
        })
    }
}

/// Returns the name of a project in its normalized form (Names and normalization).
pub(super) fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_has_the_normalized_name_and_the_requirements_outside_extras() {
        let project = Project::parse(
            "Metadata-Version: 2.4\nName: Charset_Normalizer\nRequires-Dist: urllib3<3,>=1.26\n\
             Requires-Dist: zope.interface (>=5) ; python_version < '3.8'\n\
             Requires-Dist: PySocks!=1.5.7; extra == 'socks'\nRequires-Dist: a[b]\n\nRequires-Dist: body\n",
        );
        assert_eq!(project.name, "charset-normalizer");
        let required: Vec<_> = project
            .requires
            .iter()
            .map(|requirement| (requirement.name.as_str(), requirement.conditional))
            .collect();
        assert_eq!(
            required,
            [("urllib3", false), ("zope-interface", true), ("a", false)]
        );
    }

    #[test]
    fn the_name_of_a_wheel_has_the_project_the_version_and_the_platforms() {
        let parse = |file| WheelName::parse(file).map(|name| (name.project.clone(), name));
        for (file, for_sandboxes, for_others) in [
            ("A_b.c-1.0-py3-none-any.whl", false, false),
            ("a_b_c-1.0-2-cp314-cp314-wasm32_wasi.whl", true, false),
            (
                "a.b.c-1.0-cp314-cp314-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                false,
                true,
            ),
            ("a_b_c-1.0-cp39-abi3-macosx_11_0_arm64.whl", false, true),
        ] {
            let Some((project, name)) = parse(file) else {
                panic!("{file}");
            };
            assert_eq!(name.is_for_sandboxes(), for_sandboxes, "{file}");
            assert_eq!(name.is_for_other_platforms(), for_others, "{file}");
            assert_eq!((project.as_str(), name.version), ("a-b-c", "1.0"), "{file}");
        }
        for file in ["a-1.0.tar.gz", "a.whl", "a-1.0-py3-none.whl"] {
            assert_eq!(parse(file), None, "{file}");
        }
    }

    #[test]
    fn only_a_metadata_file_at_the_top_counts() {
        assert!(is_metadata("requests-2.34.2.dist-info/METADATA"));
        assert!(!is_metadata("vendor/requests-2.34.2.dist-info/METADATA"));
        assert!(!is_metadata("requests/METADATA"));
    }
}
