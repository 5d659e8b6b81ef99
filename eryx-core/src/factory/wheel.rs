//! Wheels: the names of their files, and the metadata of their project.

/// Endings of files that contain machine code.
const NATIVE_EXTENSIONS: [&str; 4] = ["so", "pyd", "dylib", "dll"];

/// Returns whether a file of this name contains machine code.
pub(super) fn is_native(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    NATIVE_EXTENSIONS.contains(&extension)
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
fn normalized(name: &str) -> String {
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
    fn only_a_metadata_file_at_the_top_counts() {
        assert!(is_metadata("requests-2.34.2.dist-info/METADATA"));
        assert!(!is_metadata("vendor/requests-2.34.2.dist-info/METADATA"));
        assert!(!is_metadata("requests/METADATA"));
    }
}
