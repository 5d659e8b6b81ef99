//! A directory that only this user can change: its path is resolved without links or directories of
//! other users, and it is held open.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::fs::{fstat, mkdirat, openat, readlinkat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The most symbolic links in one path: the limit of Linux.
const MAX_LINKS: usize = 40;

/// The mode bits that let the group and other users write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The sticky bit: only the owner of an entry, or of the directory, can rename the entry.
const STICKY: u32 = 0o1000;

/// The flags to open a directory that is only passed through: it need not be readable.
#[cfg(target_os = "linux")]
const TRAVERSE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const TRAVERSE: OFlags = OFlags::RDONLY;

/// An open directory that only this user can change. It stays the same directory when its path is
/// given to another.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`, and creates missing directories with mode 0700.
    ///
    /// # Errors
    ///
    /// When another user owns it or may write to it. The same holds for every directory and link of
    /// the path, except that root may own them, and that a directory with the sticky bit may be
    /// writable.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let absolute = std::path::absolute(path)?;
        let fd = descend(&absolute)?;
        let stat = fstat(&fd)?;
        if stat.st_uid != geteuid().as_raw() || mode(&stat) & WRITABLE_BY_OTHERS != 0 {
            return Err(untrusted(&absolute));
        }
        let fd = openat(
            &fd,
            c".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { fd, path: absolute })
    }

    /// Returns the absolute path by which the directory was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file for reading, without blocking on a FIFO or following a link.
    pub(super) fn read(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Creates a file with mode 0600. Fails if the name is taken.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(
            &self.fd,
            name,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?))
    }

    /// Renames a file, and replaces the file `to`.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Returns the status of an entry. A link is not followed.
    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Returns the names and the status of this user's regular files.
    pub(super) fn files(&self) -> io::Result<Vec<(OsString, Stat)>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            // An entry that was removed meanwhile is skipped.
            if let Ok(stat) = self.stat(&name)
                && is_own_file(&stat)
            {
                files.push((name, stat));
            }
        }
        Ok(files)
    }
}

/// Returns whether this is a regular file of this user.
pub(super) fn is_own_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == geteuid().as_raw()
}

fn mode(stat: &Stat) -> u32 {
    // Some systems have 16 bits.
    #[allow(clippy::useless_conversion, reason = "not on every system")]
    u32::from(stat.st_mode)
}

/// Opens a directory by an absolute path, component by component. Each is checked before it is
/// entered.
fn descend(path: &Path) -> io::Result<OwnedFd> {
    let mut rest: VecDeque<OsString> = components(path);
    let mut ancestors = vec![enter(None, OsStr::new("/"), Path::new("/"))?];
    let mut current = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == "/" {
            ancestors.truncate(1);
            current = PathBuf::from("/");
            continue;
        }
        if name == ".." {
            // The parent of the root is the root.
            if ancestors.len() > 1 {
                ancestors.pop();
                current.pop();
            }
            continue;
        }
        let parent = ancestors.last().expect("the root is never removed");
        match statat(parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                if !is_trusted(stat.st_uid) {
                    return Err(untrusted(&current.join(&name)));
                }
                let target = readlinkat(parent, &name, Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                for component in components(&target).into_iter().rev() {
                    rest.push_front(component);
                }
                continue;
            }
            Ok(_) => {}
            Err(Errno::NOENT) => match mkdirat(parent, &name, Mode::RWXU) {
                // Another process may create it at the same time.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
        current.push(&name);
        let entered = enter(Some(parent), &name, &current)?;
        ancestors.push(entered);
    }
    Ok(ancestors.pop().expect("the root is never removed"))
}

/// Returns the components of a path, without `.`; `/` is the root.
fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|component| !matches!(component, Component::CurDir))
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

/// Opens a directory of the path, and checks that no other user can replace the entry that comes
/// next.
fn enter(parent: Option<&OwnedFd>, name: &OsStr, path: &Path) -> io::Result<OwnedFd> {
    let flags = TRAVERSE | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match parent {
        Some(parent) => openat(parent, name, flags, Mode::empty()),
        None => openat(rustix::fs::CWD, name, flags, Mode::empty()),
    };
    let opened = opened.map_err(|error| match error {
        Errno::NOTDIR => io::Error::other(format!("{} is not a directory", path.display())),
        error => error.into(),
    })?;
    let stat = fstat(&opened)?;
    let is_sticky = mode(&stat) & STICKY != 0;
    if !is_trusted(stat.st_uid) || (mode(&stat) & WRITABLE_BY_OTHERS != 0 && !is_sticky) {
        return Err(untrusted(path));
    }
    Ok(opened)
}

/// Returns whether the user `uid` can change this user's files in any case.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

fn untrusted(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} can be changed by others; make it yours alone (chmod go-w), or set ERYX_CACHE_DIR to a \
         directory that is, below directories that are",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_missing_directory_is_created_for_this_user_alone() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("new/../new/./eryx");
        Directory::open(&path).expect("made");
        for made in ["new", "new/eryx"] {
            let found = fs::metadata(dir.path().join(made)).expect("there");
            assert_eq!(found.mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_directory_is_rejected_when_others_can_write_to_it_or_to_a_parent() {
        let dir = tempfile::tempdir().expect("made");
        let outer = dir.path().join("outer");
        let inner = outer.join("inner");
        Directory::open(&inner).expect("made");
        for (path, mode, accepted) in [
            (&inner, 0o770, false),
            (&inner, 0o702, false),
            (&inner, 0o1777, false),
            (&inner, 0o755, true),
            (&outer, 0o775, false),
            (&outer, 0o707, false),
            (&outer, 0o1777, true),
            (&outer, 0o711, true),
        ] {
            set_mode(path, mode);
            let opened = Directory::open(&inner);
            assert_eq!(opened.is_ok(), accepted, "{} {mode:o}", path.display());
            if let Err(error) = opened {
                let error = error.to_string();
                assert!(error.contains("ERYX_CACHE_DIR"), "{error}");
                assert!(error.contains(&*path.to_string_lossy()), "{error}");
            }
            set_mode(path, 0o700);
        }
        // Only root may change the owner of a file.
        if std::os::unix::fs::chown(&outer, Some(65534), None).is_ok() {
            Directory::open(&inner).expect_err("its owner may rename its entries");
        }
    }

    #[test]
    fn links_of_this_user_are_followed_and_links_of_others_and_loops_are_not() {
        let dir = tempfile::tempdir().expect("made");
        let target = dir.path().join("there");
        Directory::open(&target).expect("made");
        for (link, to) in [
            ("absolute", &*target),
            ("relative", Path::new("../x/there")),
            ("two", Path::new("absolute")),
        ] {
            let to = if link == "relative" {
                PathBuf::from(format!(
                    "../{}/there",
                    dir.path().file_name().expect("named").to_string_lossy()
                ))
            } else {
                to.to_owned()
            };
            let link = dir.path().join(link);
            symlink(to, &link).expect("linked");
            let opened = Directory::open(&link.join("below")).expect("opened");
            let found = fs::metadata(target.join("below")).expect("made there");
            assert_eq!(fstat(&opened.fd).expect("there").st_ino, found.ino());
        }
        let looping = dir.path().join("loop");
        symlink("loop", &looping).expect("linked");
        Directory::open(&looping).expect_err("a loop");
        let theirs = dir.path().join("absolute");
        if lchown(&theirs, Some(65534), None).is_ok() {
            Directory::open(&theirs).expect_err("another user's link");
        }
    }

    #[test]
    fn an_open_directory_stays_the_same_when_its_name_is_given_to_another() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("cache");
        let opened = Directory::open(&path).expect("made");
        fs::write(path.join("entry"), "ours").expect("written");
        fs::rename(&path, dir.path().join("away")).expect("renamed");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("entry"), "theirs").expect("written");
        let file = opened.read(OsStr::new("entry")).expect("opened");
        assert_eq!(io::read_to_string(file).expect("read"), "ours");
    }

    #[test]
    fn links_and_directories_are_not_among_the_files() {
        let dir = tempfile::tempdir().expect("made");
        let opened = Directory::open(dir.path()).expect("opened");
        fs::write(dir.path().join("file"), "").expect("written");
        symlink("/dev/zero", dir.path().join("link")).expect("linked");
        fs::create_dir(dir.path().join("directory")).expect("made");
        let names: Vec<_> = opened
            .files()
            .expect("listed")
            .into_iter()
            .map(|it| it.0)
            .collect();
        assert_eq!(names, ["file"]);
        opened
            .read(OsStr::new("link"))
            .expect_err("a link is not followed");
    }
}
