//! The options for files: those that programs start with, and the folder for those that a script
//! writes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use eryx::files::{ChangedFiles, SaveFolder};
use eryx::net::policy::escape;
use eryx::{Files, MountAccess};

/// The files that programs start with.
#[derive(Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct FilesArgs {
    /// Let a program find the file HOST of this machine at the absolute path GUEST; it changes its
    /// own copy
    #[arg(long, value_name = "HOST:GUEST")]
    file: Vec<String>,
    /// Show the directory HOST of this machine to a program at the absolute path GUEST, read-only;
    /// with `:rw` the program can change it, and add 64 MiB
    #[arg(long, value_name = "HOST:GUEST[:ro|:rw]")]
    mount: Vec<String>,
}

/// The folder for the files that a script writes.
#[derive(Args)]
pub(crate) struct OutArg {
    /// Save the files that the script created or modified below this directory, which is created
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    out: Option<PathBuf>,
}

impl FilesArgs {
    /// Returns the files that programs start with.
    pub(crate) fn files(&self) -> Result<Files> {
        let mut files = Files::new();
        for text in &self.file {
            let Some((host, guest)) = host_and_guest(text) else {
                bail!("--file {text}: write --file HOST:GUEST, such as --file in.csv:/data/in.csv");
            };
            files = files.with_machine_file(guest, host);
        }
        for text in &self.mount {
            let (paths, access) = match text.rsplit_once(':') {
                Some((paths, "ro")) => (paths, MountAccess::ReadOnly),
                Some((paths, "rw")) => {
                    let max_growth = MountAccess::DEFAULT_MAX_GROWTH;
                    (paths, MountAccess::ReadWrite { max_growth })
                }
                _ => (text.as_str(), MountAccess::ReadOnly),
            };
            let Some((host, guest)) = host_and_guest(paths) else {
                bail!(
                    "--mount {text}: write --mount HOST:GUEST, such as --mount ./data:/data, and `:rw` at its end to \
                     let the script change the directory"
                );
            };
            files = files.with_mount(guest, host, access);
        }
        Ok(files)
    }
}

impl OutArg {
    pub(crate) fn is_given(&self) -> bool {
        self.out.is_some()
    }

    /// Creates and opens the directory, so that a wrong path is an error before the script runs,
    /// and a script that can change the directory around it cannot put a link in its place.
    pub(crate) fn create(&self) -> Result<Option<OutFolder>> {
        let Some(out) = &self.out else {
            return Ok(None);
        };
        fs::create_dir_all(out)
            .with_context(|| format!("--out {}: it cannot be created", out.display()))?;
        let folder = SaveFolder::open(out).with_context(|| format!("--out {}", out.display()))?;
        Ok(Some(OutFolder {
            path: out.clone(),
            folder,
        }))
    }
}

/// The directory of `--out`.
pub(crate) struct OutFolder {
    path: PathBuf,
    folder: SaveFolder,
}

impl OutFolder {
    /// Saves what the script changed.
    pub(crate) fn save(&self, changed: &ChangedFiles) -> Result<()> {
        let saved = changed.save_to(&self.folder);
        let saved = saved.with_context(|| format!("--out {}", self.path.display()))?;
        for link in saved.skipped_links {
            eprintln!(
                "eryx: --out: the symbolic link {} is not saved",
                escape(&link)
            );
        }
        Ok(())
    }
}

/// Splits `HOST:GUEST` at the last colon.
fn host_and_guest(text: &str) -> Option<(&Path, &str)> {
    let (host, guest) = text.rsplit_once(':')?;
    (!host.is_empty() && guest.starts_with('/')).then(|| (Path::new(host), guest))
}
