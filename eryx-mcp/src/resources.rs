//! The files of sessions as resources of the protocol.

use data_encoding::BASE64;
use eryx::files::Entry;
use rmcp::model::{Resource, ResourceContents, ResourceTemplate};

use crate::arguments::SessionName;
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
    let mut page = PageBuilder {
        skipped: start,
        resources: Vec::new(),
    };
    for name in sessions.names() {
        let is_full = sessions
            .with_files(&name, false, |files| {
                Ok(files.with_all(|entries| page.add(&name, entries)))
            })
            .await;
        // An error means that the session is busy or gone.
        if is_full == Ok(true) {
            return Ok(Page {
                resources: page.resources,
                next: Some((start + PAGE).to_string()),
            });
        }
    }
    Ok(Page {
        resources: page.resources,
        next: None,
    })
}

/// A page that is being filled.
struct PageBuilder {
    /// The number of resources that are still to be skipped: those of the pages before.
    skipped: usize,
    resources: Vec<Resource>,
}

impl PageBuilder {
    /// Adds the files of a session. Returns whether there are more than the page has room for.
    fn add(
        &mut self,
        session: &SessionName,
        entries: &mut dyn Iterator<Item = (String, Entry)>,
    ) -> bool {
        for (path, entry) in entries {
            // A path of the file system that is too long for a URI is left out.
            let (Entry::File(content), Ok(file)) = (entry, path.clone().try_into()) else {
                continue;
            };
            if self.skipped > 0 {
                self.skipped -= 1;
                continue;
            }
            if self.resources.len() == PAGE {
                return true;
            }
            let uri = ResourceUri::new(session.clone(), file);
            let resource = Resource::new(uri.to_string(), path).with_size(content.size());
            self.resources.push(resource);
        }
        false
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_skips_those_before_and_reads_one_file_more_than_it_has() {
        let session = SessionName::default();
        for (skipped, first) in [(0, "/0"), (PAGE, "/100")] {
            let mut read = 0;
            let files = (0..).map(|n| (format!("/{n}"), Entry::File(Vec::new().into())));
            let mut entries = files.inspect(|_| read += 1);
            let mut page = PageBuilder {
                skipped,
                resources: Vec::new(),
            };
            assert!(page.add(&session, &mut entries));
            assert_eq!((page.resources.len(), read), (PAGE, skipped + PAGE + 1));
            assert_eq!(page.resources[0].name, first);
        }
    }
}
