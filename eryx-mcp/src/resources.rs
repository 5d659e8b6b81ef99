//! The files of sessions as resources of the protocol.

use data_encoding::BASE64;
use eryx::files::Entry;
use rmcp::model::{Resource, ResourceContents, ResourceTemplate};

use crate::resource_uri::{ResourceUri, TEMPLATE};
use crate::session_files::{self, MAX_WHOLE};
use crate::sessions::Sessions;

/// The number of resources in a page of the list.
const PAGE: usize = 100;

/// A page of the list of resources.
pub(crate) struct Page {
    pub(crate) resources: Vec<Resource>,
    /// The cursor of the next page.
    pub(crate) next: Option<String>,
}

/// Returns the template of the URIs.
pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new(TEMPLATE, "file").with_description("A file of a session.")
}

/// Returns the page of the list that starts at a cursor. The files of a session in which a program
/// runs are not in it.
///
/// # Errors
///
/// A message for the client, if it made up the cursor.
pub(crate) async fn list(sessions: &Sessions, cursor: Option<&str>) -> Result<Page, String> {
    let start: usize = match cursor {
        Some(cursor) => cursor
            .parse()
            .map_err(|_| "the cursor is not one of this server".to_owned())?,
        None => 0,
    };
    let mut resources = Vec::new();
    let mut position = 0;
    for name in sessions.names() {
        let listed = sessions
            .with_files(&name, false, |files| Ok(files.all()))
            .await;
        // The session is busy or gone.
        let Ok(entries) = listed else {
            continue;
        };
        for (path, entry) in entries {
            // A path of the file system that is too long for a URI is left out.
            let (Entry::File(content), Ok(file)) = (entry, path.clone().try_into()) else {
                continue;
            };
            position += 1;
            if position <= start {
                continue;
            }
            if resources.len() == PAGE {
                return Ok(Page {
                    resources,
                    next: Some((start + PAGE).to_string()),
                });
            }
            let uri = ResourceUri::new(name.clone(), file);
            resources.push(Resource::new(uri.to_string(), path).with_size(content.size()));
        }
    }
    Ok(Page {
        resources,
        next: None,
    })
}

/// Returns the content of a resource.
///
/// # Errors
///
/// A message for the client: there is no such file, it is too large, or its session is busy.
pub(crate) async fn read(sessions: &Sessions, uri: &str) -> Result<ResourceContents, String> {
    let ResourceUri { session, path } = ResourceUri::parse(uri)?;
    let content = sessions
        .with_files(&session, false, |files| {
            session_files::content(&files, &path)
        })
        .await?;
    let size = content.size();
    if size > MAX_WHOLE {
        return Err(format!(
            "the file has {size} bytes; a resource has at most {MAX_WHOLE}: use the tool read_file"
        ));
    }
    let bytes = content.read(0, size)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => ResourceContents::text(text, uri),
        Err(error) => ResourceContents::blob(BASE64.encode(error.as_bytes()), uri)
            .with_mime_type("application/octet-stream"),
    })
}
