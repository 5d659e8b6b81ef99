//! The files of sessions, for the tools and as resources.

use std::borrow::Cow;
use std::fmt::Write as _;

use data_encoding::BASE64;
use eryx::files::{Change, ChangeKind, ChangedFiles, Entry, FileType, SessionFiles};
use rmcp::model::{CallToolResult, ContentBlock, EmbeddedResource, ResourceContents};

use crate::arguments::{Encoding, FilePath, SessionName, WriteFile};
use crate::file_bytes::{FileBytes, MAX_MOUNTED};
use crate::resource_uri::ResourceUri;

/// The largest content that is returned in base64, as an image or a resource, in bytes.
pub(crate) const MAX_WHOLE: u64 = 1 << 20;

/// The largest content that one call writes, in bytes.
pub(crate) const MAX_WRITE: usize = 4 << 20;

/// The most changed files that a result of `run_python` names.
const MAX_CHANGES: usize = 20;

/// Returns the files below `path`, and links, one in a line. The list ends after `max` bytes, with
/// a note.
pub(crate) fn list(files: &SessionFiles<'_>, path: &FilePath, max: usize) -> String {
    let text = files.with_all(|entries| list_entries(entries, path, max));
    if text.is_empty() {
        return list_directory(files, path, max);
    }
    text
}

fn list_entries(
    entries: &mut dyn Iterator<Item = (String, Entry)>,
    path: &FilePath,
    max: usize,
) -> String {
    let mut text = String::new();
    for (name, entry) in entries {
        if !path.contains(&name) {
            continue;
        }
        let line = match entry {
            Entry::File(content) => format!("{name:?} {} bytes\n", content.size()),
            Entry::Symlink(target) => format!("{name:?} -> {target:?}\n"),
            _ => continue,
        };
        if text.len() + line.len() > max {
            text.push_str("[more are left out; give the `path` of a directory with fewer]");
            break;
        }
        text.push_str(&line);
    }
    text
}

/// Returns the names in a directory, which may be one of the machine.
fn list_directory(files: &SessionFiles<'_>, path: &FilePath, max: usize) -> String {
    let listed = match files.list(path.as_str()) {
        Ok(listed) => listed,
        Err(error) => return error.to_string(),
    };
    let mut text = String::new();
    for (position, (name, file_type)) in listed.iter().enumerate() {
        let line = match file_type {
            FileType::Directory => format!("{name:?} directory\n"),
            _ => format!("{name:?}\n"),
        };
        if text.len() + line.len() > max {
            let left_out = listed.len() - position;
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "[{left_out} more are left out; list them with run_python]"
            );
            break;
        }
        text.push_str(&line);
    }
    if text.is_empty() {
        return format!("There are no files in {:?}.", path.as_str());
    }
    text
}

/// Returns the content of a file.
///
/// # Errors
///
/// The message for the model, if there is no file with the path.
pub(crate) fn content(files: &SessionFiles<'_>, path: &FilePath) -> Result<FileBytes, String> {
    let name = path.as_str();
    match files.get(name) {
        Some(Entry::File(content)) => Ok(FileBytes::InMemory(content)),
        Some(Entry::Symlink(target)) => Err(format!(
            "{name:?} is a link to {target:?}: name the file itself"
        )),
        Some(_) => Err(format!(
            "{name:?} is a directory; list_files shows its files"
        )),
        None => mounted_content(files, name),
    }
}

/// Returns the content of a file in a directory of the machine, or of a package.
fn mounted_content(files: &SessionFiles<'_>, name: &str) -> Result<FileBytes, String> {
    let Ok(stat) = files.stat(name) else {
        return Err(format!(
            "there is no file {name:?}; list_files shows the files"
        ));
    };
    if stat.file_type != FileType::File {
        return Err(format!(
            "{name:?} is not a file; list_files shows the files"
        ));
    }
    if stat.size > MAX_MOUNTED {
        return Err(format!(
            "{name:?} has {} bytes; of a directory of the machine, files of at most {MAX_MOUNTED} \
             bytes are returned: read the part you need with run_python",
            stat.size
        ));
    }
    let content = files.read(name).map_err(|error| error.to_string())?;
    Ok(FileBytes::Mounted(content))
}

/// Returns the result of `read_file`: text in parts of `max` bytes, other content as a whole.
pub(crate) fn read_result(
    content: &FileBytes,
    session: &SessionName,
    path: &FilePath,
    offset: u64,
    max: usize,
) -> Result<CallToolResult, String> {
    let size = content.size();
    if offset > size {
        return Err(format!(
            "`offset` is {offset}, but the file has {size} bytes"
        ));
    }
    // The last character may end after the part.
    let part = content.read(offset, max as u64 + 4)?;
    if let Some(text) = text_part(&part, max) {
        let end = offset + text.len() as u64;
        let rest = match end < size {
            true => format!("; continue with offset {end}"),
            false => String::new(),
        };
        return Ok(CallToolResult::success(vec![
            ContentBlock::text(text),
            ContentBlock::text(format!("Bytes {offset} to {end} of {size}{rest}.")),
        ]));
    }
    if offset > 0 || size > MAX_WHOLE {
        return Err(format!(
            "the file is not text, and has {size} bytes: it is returned only as a whole, up to \
             {MAX_WHOLE} bytes; read the part you need with run_python"
        ));
    }
    let bytes = content.read(0, MAX_WHOLE)?;
    let data = BASE64.encode(&bytes);
    Ok(CallToolResult::success(vec![match image_type(&bytes) {
        Some(mime_type) => ContentBlock::image(data, mime_type),
        None => {
            let uri = ResourceUri::new(session.clone(), path.clone()).to_string();
            ContentBlock::Resource(EmbeddedResource::new(ResourceContents::blob(data, uri)))
        }
    }]))
}

/// Returns the whole characters of at most `max` bytes at the start of a part of a text; `None` if
/// it is not text.
fn text_part(part: &[u8], max: usize) -> Option<&str> {
    let valid = match std::str::from_utf8(part) {
        Ok(text) => text,
        // A character that the end of the part cuts.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            std::str::from_utf8(&part[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = &valid[..valid.floor_char_boundary(max)];
    (!text.contains('\0')).then_some(text)
}

/// Returns the media type of an image by its first bytes.
fn image_type(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if starts(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Some("image/gif")
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// Returns the content that a file is to have.
///
/// # Errors
///
/// The message for the model: it is not base64, or too large.
pub(crate) fn decoded(arguments: &WriteFile) -> Result<Cow<'_, [u8]>, String> {
    let content: Cow<'_, [u8]> = match arguments.encoding {
        Encoding::Text => arguments.content.as_bytes().into(),
        Encoding::Base64 => BASE64
            .decode(arguments.content.as_bytes())
            .map_err(|error| format!("`content` is not base64: {error}"))?
            .into(),
    };
    if content.len() > MAX_WRITE {
        return Err(format!(
            "`content` has {} bytes; at most {MAX_WRITE} are allowed: write several files",
            content.len()
        ));
    }
    Ok(content)
}

/// Writes a file, and returns the result.
pub(crate) fn write(
    files: &SessionFiles<'_>,
    path: &FilePath,
    content: &[u8],
) -> Result<String, String> {
    let path = path.as_str();
    files
        .write(path, content)
        .map_err(|error| error.to_string())?;
    Ok(format!("{} bytes were written to {path:?}.", content.len()))
}

/// Describes the files that a program changed; `None` if there are none.
pub(crate) fn describe_changes(changes: &ChangedFiles) -> Option<String> {
    let mut lines = Vec::new();
    let mut left_out = 0;
    for Change { path, kind } in changes.iter() {
        let line = match kind {
            ChangeKind::Created(Entry::File(content)) => {
                format!("created {path:?}, {} bytes", content.size())
            }
            ChangeKind::Modified(Entry::File(content)) => {
                format!("modified {path:?}, {} bytes", content.size())
            }
            ChangeKind::Removed => format!("removed {path:?}"),
            _ => continue,
        };
        if lines.len() < MAX_CHANGES {
            lines.push(line);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        lines.push(format!("{left_out} more; list_files shows all files"));
    }
    (!lines.is_empty()).then(|| format!("Files:\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_files_reads_no_more_of_them_than_it_shows() {
        let file = || Entry::File(Vec::new().into());
        let directories = (0..3).map(|n| (format!("/a/{n}"), Entry::Directory));
        let files = (0..).map(|n| (format!("/a/{n}.txt"), file()));
        let mut read = 0;
        let mut entries = directories.chain(files).inspect(|_| read += 1);
        let path = FilePath::try_from("/a".to_owned()).expect("valid");
        let text = list_entries(&mut entries, &path, 45);
        assert_eq!(
            text,
            "\"/a/0.txt\" 0 bytes\n\"/a/1.txt\" 0 bytes\n\
             [more are left out; give the `path` of a directory with fewer]"
        );
        assert_eq!(read, 3 + 3);
        let mut entries = [("/b/a".to_owned(), file())].into_iter();
        assert_eq!(list_entries(&mut entries, &path, 40), "");
    }

    #[test]
    fn a_part_of_a_text_ends_between_characters_and_other_content_is_not_text() {
        for (part, max, expected) in [
            ("aé".as_bytes(), 3, Some("aé")),
            ("aé".as_bytes(), 2, Some("a")),
            (b"a\xc3", 3, Some("a")),
            (b"", 3, Some("")),
            (b"\xc3", 3, None),
            (b"a\xff", 3, None),
            (b"a\0", 3, None),
        ] {
            assert_eq!(text_part(part, max), expected, "{part:?}");
        }
    }
}
