//! The content of a file of a session.

use eryx::files::FileContent;

/// The largest file that is read from a mounted directory, in bytes.
pub(crate) const MAX_MOUNTED: u64 = 4 << 20;

/// The content of a file.
pub(crate) enum FileBytes {
    /// A file in memory, of any size.
    InMemory(FileContent),
    /// A file in a directory of the machine, or of a package, of at most [`MAX_MOUNTED`] bytes.
    Mounted(Vec<u8>),
}

impl FileBytes {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::InMemory(content) => content.size(),
            Self::Mounted(bytes) => bytes.len() as u64,
        }
    }

    /// Reads `length` bytes from `offset` on, or fewer at the end.
    ///
    /// # Errors
    ///
    /// The message for the model, if the source of the content fails.
    pub(crate) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        let end = offset.saturating_add(length).min(self.size());
        let content = match self {
            Self::InMemory(content) => content,
            Self::Mounted(bytes) => {
                // Both are at most the length of the vector.
                let range = offset.min(end) as usize..end as usize;
                return Ok(bytes[range].to_vec());
            }
        };
        let mut bytes = Vec::new();
        let mut position = offset;
        while position < end {
            let piece = content
                .read(position, end - position)
                .map_err(|error| format!("the file cannot be read: {error}"))?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
            position += piece.len() as u64;
        }
        Ok(bytes)
    }
}
