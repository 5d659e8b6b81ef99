//! The option `--har`: the HTTP requests of a script, as an HTTP Archive.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use eryx::net::NetworkReport;

/// The file of an HTTP Archive.
pub(crate) struct HarFile {
    path: PathBuf,
    file: File,
}

impl HarFile {
    /// Creates the file, in place of an older one, so that a wrong path is an error before the
    /// script runs.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .with_context(|| format!("--har: cannot write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Writes the requests of a report.
    pub(crate) fn write(&self, report: &NetworkReport) -> Result<()> {
        let mut writer = BufWriter::new(&self.file);
        serde_json::to_writer_pretty(&mut writer, &report.to_har())
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(writer.flush()?))
            .with_context(|| format!("the archive {} cannot be written", self.path.display()))
    }
}
